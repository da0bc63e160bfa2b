"""A design as a file, and its power by size."""

import pytest

from federation.errors.impact import DesignValueError, ProtocolFileError
from federation.impact.design import Design, power_table, read_design

MEANS = """
kind = "means"
[effect]
difference = -5
deviation = 18
"""
RATES = """
kind = "proportions"
[effect]
one = 0.05
other = 0.035
"""
# swCRTdesign's README: 24 clusters, 5 periods, n = 120, mu0 .05, mu1 .035, tau .01
WEDGE = """
kind = "stepped-wedge"
sizes = [120]
[effect]
one = 0.05
other = 0.035
[wedge]
steps = [6, 6, 6, 6]
between = 0.01
"""


def design(text: str, old: str = "", new: str = "") -> Design:
    assert old in text
    return read_design(text.replace(old, new, 1).encode())


def test_the_published_stepped_wedge_has_its_power() -> None:
    ((size, power),) = power_table(design(WEDGE)).rows
    assert size == 120 and power == pytest.approx(0.7861896, abs=5e-8)


def test_the_needed_size_is_the_first_that_reaches_the_power() -> None:
    for text in (MEANS, RATES, WEDGE):
        found = power_table(design(text))
        assert found.needed is not None
        assert found.design.power(found.needed) >= 0.8 > found.design.power(found.needed - 1)
    # two-sample normal approximation, by hand: 2 ((1.959964 + 0.841621) 18 / 5)^2 = 203.4
    assert power_table(design(MEANS)).needed == 204
    assert power_table(design(MEANS)).people == 408


def test_wards_need_more_people_than_single_patients() -> None:
    wards = MEANS + "[clusters]\nsize = 40\ncorrelation = 0.02\nvariation = 0.3\n"
    found = power_table(design(wards))
    assert found.people is not None and found.people > 408
    assert found.as_json()["unit"] == {"en": "clusters an arm", "zh-TW": "每組群集數"}


def test_without_an_effect_no_size_is_enough_and_that_is_said() -> None:
    nothing = power_table(design(MEANS, "difference = -5", "difference = 0"))
    assert nothing.needed is None and nothing.people is None and len(nothing.rows) == 6


@pytest.mark.parametrize(
    ("text", "old", "new"),
    [
        (MEANS, "difference = -5", "difference = nan"),
        (MEANS, "deviation = 18", ""),
        (MEANS, "deviation = 18", "deviation = 18\none = 0.1"),
        (MEANS, 'kind = "means"', 'kind = "proportions"'),
        (RATES, 'kind = "proportions"', 'kind = "means"'),
        (WEDGE, "[wedge]", "[other]"),
        (WEDGE, "steps = [6, 6, 6, 6]", "steps = []"),
        (WEDGE, "[wedge]", "[clusters]\nsize = 9\ncorrelation = 0.1\n[wedge]"),
        (MEANS, 'kind = "means"', 'kind = "means"\nwanted = 1'),
        (MEANS, 'kind = "means"', "kind = "),
        (MEANS, 'kind = "means"', f"# {'x' * 2**16}"),
    ],
)
def test_a_file_that_is_no_design_is_refused(text: str, old: str, new: str) -> None:
    with pytest.raises(ProtocolFileError):
        design(text, old, new)


def test_bytes_and_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ProtocolFileError):
        read_design(b"\xff")
    for text, old, new in (
        (MEANS, "deviation = 18", "deviation = 0"),
        (RATES, "one = 0.05", "one = 1.5"),
        (WEDGE, "steps = [6, 6, 6, 6]", "steps = [6]"),
    ):
        with pytest.raises(DesignValueError):
            power_table(design(text, old, new))
