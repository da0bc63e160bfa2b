"""RFC 8785: its own vectors, and what has no canonical form is refused."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as some

from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import MAX_SAFE_INTEGER, canonical, digest_of, parse

# RFC 8785, 3.2.2 and 3.2.4
EXAMPLE = rb"""{
  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
  "literals": [null, true, false]
}"""
EXAMPLE_BYTES = bytes.fromhex(
    "7b226c69746572616c73223a5b6e756c6c2c747275652c66616c73655d2c226e"
    "756d62657273223a5b3333333333333333332e333333333333332c31652b3330"
    "2c342e352c302e3030322c31652d32375d2c22737472696e67223a22e282ac24"
    "5c75303030665c6e4127425c225c5c5c5c5c222f227d"
)
# RFC 8785, 3.2.3: keys sort by UTF-16 code units
KEYS = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]
# RFC 8785, appendix B: IEEE 754 bits and their text
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
}
JSON = some.recursive(
    some.none()
    | some.booleans()
    | some.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | some.floats(-1e15, 1e15)
    | some.text(),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(), inner, max_size=4),
    max_leaves=20,
)


def test_the_example_of_the_rfc() -> None:
    assert canonical(parse(EXAMPLE)) == EXAMPLE_BYTES


def test_keys_sort_by_utf16_code_units() -> None:
    value = dict.fromkeys(sorted(KEYS), 0)
    assert list(parse(canonical(value))) == KEYS  # type: ignore[call-overload]


@pytest.mark.parametrize("bits", NUMBERS)
def test_numbers_are_written_as_the_rfc_lists_them(bits: str) -> None:
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical(number).decode() == NUMBERS[bits]


@given(JSON)
def test_what_is_written_is_read_again_as_the_same(value: object) -> None:
    assert parse(canonical(value)) == value
    assert canonical(parse(canonical(value))) == canonical(value)


def test_key_order_and_spacing_do_not_change_the_digest() -> None:
    assert digest_of(parse('{"b": 1.0, "a": [1]}')) == digest_of({"a": [1], "b": 1})


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        float("-inf"),
        2**53,
        -(2**53),
        2.0**53,
        1e20,
        {"a": [{"b": float("nan")}]},
        {1: 2},
        {"\ud800": 1},
        "\ud800",
        b"bytes",
        {1, 2},
        object(),
    ],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_not_safe_json_is_refused(value: object) -> None:
    with pytest.raises(NotCanonicalError):
        canonical(value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b'{"a":1,"a":2}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"9007199254740993",
        b"1" * 5000,
        b"\xff",
        b"[" * 100 + b"]" * 100,
        b"[" * 100_000,
    ],
    ids=lambda content: str(content[:12]),
)
def test_text_that_could_be_read_in_two_ways_is_refused(content: bytes) -> None:
    with pytest.raises(NotCanonicalError):
        parse(content)


def test_a_value_nested_without_end_is_refused() -> None:
    deep: list[object] = []
    deep.append(deep)
    with pytest.raises(NotCanonicalError):
        canonical(deep)
