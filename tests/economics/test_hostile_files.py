"""A model file that is wrong, hostile or too large is one coded refusal, before any work."""

import time

import pytest

from federation.economics.analysis import analyse
from federation.economics.model_file import read_model
from federation.errors import PlatformError
from tests.economics.test_analysis import EXAMPLE, counts_of

WORKUP = '"gamma", first = 4500, second = 600'
SET = '{ name = "EQ-5D-5L Taiwan (Lin 2018)", low = -1.0259, high = 1.0 }'
THRESHOLDS = "[1000000, 2000000, 3000000]"
POSITIVES = "true_positives = 78"
ZEROS = "0" * 400

CHANGES: list[tuple[str, str, str]] = [
    *(
        (THRESHOLDS, given, "TF874")
        for given in (
            "[nan]",
            "[inf]",
            "[-5]",
            "[0]",
            "[1e308]",
            "[3e6, 1e6]",
            "[1e6, 1e6]",
            "[]",
            "[true]",
            f"[1{ZEROS}]",
            f"[1{ZEROS * 20}]",
            "[" + "1," * 300 + "]",
        )
    ),
    *(
        (WORKUP, given, "TF873")
        for given in (
            '"gamma", first = 1e308, second = 1e308',
            '"gamma", first = 1e-200, second = 1e200',
            '"lognormal", first = 1e11, second = 1e3',
            '"lognormal", first = 1, second = 50',
            '"uniform", first = 0, second = 1e308',
            '"normal", first = 1e300, second = 1e299',
            '"beta", first = 1e-300, second = 1e-300',
            '"fixed", first = 1e308',
            '"fixed", first = -1',
        )
    ),
    (WORKUP, '"fixed", first = nan', "TF874"),
    (WORKUP, f"{WORKUP}, price_year = 0", "TF873"),
    (WORKUP, f'{WORKUP}, currency = ""', "TF873"),
    ("prevalence = {", 'prevalence = { currency = "USD",', "TF874"),
    (SET, SET.replace("-1.0259", "-2.5"), "TF873"),
    (SET, '{ name = "ours", low = -99, high = 1 }', "TF873"),
    (SET, '{ name = "ours", low = -1, high = 5 }', "TF873"),
    (SET, '{ name = "ours", low = 1, high = 0 }', "TF873"),
    (SET, '{ name = "ours", low = nan, high = 1 }', "TF874"),
    *(
        (POSITIVES, f"true_positives = {given}", "TF874")
        for given in ("78.5", "true", f"1{ZEROS}", f"1{ZEROS * 20}")
    ),
    (POSITIVES, "true_positives = 9000000000000", "TF873"),
    (POSITIVES, "true_positives = -1", "TF873"),
    ("cycles = 20", "cycles = true", "TF874"),
    ("cycles = 20", f"cycles = 1{ZEROS}", "TF874"),
    ('"half-cycle"', '"simpson"\ncycles = 1', "TF874"),
    ("eligible = [200000", "eligible = [inf", "TF874"),
    ("eligible = [200000", "eligible = [1e300", "TF874"),
    ("share = [0.1", "share = [nan", "TF874"),
    ("share = [0.1", "share = [-0.1", "TF873"),
    ("cost_well =", 'cost_well = { law = "fixed", first = 0, source = "x" }\ncost_well =', "TF874"),
    ('"usual reading"', '"usual \\u202ereading"', "TF874"),
    ('"usual reading"', '"usual:reading"', "TF874"),
    ("[parameters]", "x" + ".x" * 400_000 + " = 1\n[parameters]", "TF874"),
    ("[parameters]", "x = " + "[" * 400 + "]" * 400 + "\n[parameters]", "TF874"),
    ("[parameters]", "x = " + "[" * 5000 + "]" * 5000 + "\n[parameters]", "TF874"),
    (
        "[parameters]",
        "[parameters]\n"
        + "\n".join(f'k{n} = {{ law = "fixed", first = 1, source = "s" }}' for n in range(5000)),
        "TF874",
    ),
]


@pytest.mark.parametrize(("old", "new", "code"), CHANGES, ids=[new[:40] for _, new, _ in CHANGES])
def test_what_is_wrong_is_one_coded_refusal(old: str, new: str, code: str) -> None:
    assert old in EXAMPLE
    began = time.monotonic()
    with pytest.raises(PlatformError) as refused:
        analyse(read_model(EXAMPLE.replace(old, new, 1).encode(), counts_of), draws=1000)
    assert refused.value.code == code
    assert len(refused.value.say()) < 4000 and time.monotonic() - began < 20


def test_a_known_value_set_keeps_its_published_range() -> None:
    ours = EXAMPLE.replace(SET, '{ name = "ours", low = -0.594, high = 1 }', 1)
    assert read_model(ours.encode(), counts_of).value_set.low == -0.594
