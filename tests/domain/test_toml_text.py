"""No TOML file costs more than its size, and each that is none is one kind of error."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.domain.toml_text import MAX_PARTS, MOST_BYTES, parse_toml


@pytest.mark.parametrize(
    "text",
    [
        "a" + ".a" * 300_000 + " = 1",
        "[a" + ".a" * 300_000 + "]",
        "a" + " . b" * 200_000 + " = 1",
        "a.\"b\".'c'" * 50_000 + " = 1",
        "x = " + "[" * 100_000,
        "x = " + "[" * 40 + "]" * 40,
        "x = " + "{ y = " * 40 + "1" + " }" * 40,
        "x = 1" + "0" * 100_000,
        "'" * 500_001,
        '"' * 500_000,
        "x = 2026-13-45",
        "x = 1\nx = 2",
    ],
    ids=lambda text: text[:12],
)
def test_a_hostile_file_is_refused_at_once(text: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError):
        parse_toml(text.encode())
    assert time.monotonic() - began < 20, "hours without the limit"


def test_what_people_write_is_read() -> None:
    text = (
        "# a remark: a.b.c.d\n"
        'title = "1.2.3 and ...... dots"\n'
        "shares = [" + "0.1, " * 5000 + "]\n"
        f"{'.'.join('a' * 1 for _ in range(MAX_PARTS))} = 1\n"
        'note = """\n' + "." * 500 + '\n"""\n'
    )
    found = parse_toml(text.encode())
    assert found["title"] == "1.2.3 and ...... dots"
    with pytest.raises(ValueError, match="32 parts"):
        parse_toml(f"{'.'.join('a' for _ in range(MAX_PARTS + 1))} = 1".encode())


def test_a_file_that_nobody_writes_by_hand_is_refused_unread() -> None:
    with pytest.raises(ValueError, match="4 MiB"):
        parse_toml(b"#" * (MOST_BYTES + 1))


@given(st.binary(max_size=200))
def test_no_bytes_are_more_than_a_refusal(content: bytes) -> None:
    try:
        parse_toml(content)
    except ValueError:
        return
