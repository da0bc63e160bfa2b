import pytest

from clients.data.pixeltext.reader import Reading
from clients.data.pixeltext.telling import Line, looks_like_a_line, tells, weight


def line(words: str, *, sure: float = 0.99, score: float = 0.9, length: float = 4.0) -> Line:
    return Line(Reading(tuple((character, sure) for character in words)), score, length, height=20)


@pytest.mark.parametrize(
    "words",
    [
        "WANG MEI",
        "LEE",
        "640",
        "王明",
        "王小明",
        "AP WANG",
        "R 12345",
        "liegend 3B4",
        "Nguyễn",
        "DMD",
    ],
)
def test_a_name_or_number_tells(words: str) -> None:
    assert tells([line(words, length=2.0)])


@pytest.mark.parametrize(
    "words",
    ["L", "r", "AP SUPINE", "APPORTABLE", "PORTABLEAP", "Bettaufnahme", "llegend", "左", "右 L"],
)
def test_a_marker_does_not_tell(words: str) -> None:
    assert not tells([line(words, length=1.0)])


@pytest.mark.parametrize("words", ["PALEE", "RLEE", "APWANG", "LAPPA", "SUPINEWU1"])
def test_a_name_grown_together_with_a_short_marker_tells(words: str) -> None:
    assert tells([line(words)])


def test_two_letters_do_not_tell_alone_but_add_up_over_the_picture() -> None:
    assert not tells([line("SG", length=1.2)])
    assert tells([line("SG", length=1.2), line("12", length=1.2), line("WU", length=1.2)])


def test_an_ideograph_weighs_two() -> None:
    assert weight(line("王")) == 2
    assert weight(line("王1")) == 3


def test_what_is_read_unsurely_does_not_count() -> None:
    assert weight(line("WANG", sure=0.6)) == 0
    assert not tells([line("WANG", sure=0.6, score=0.5)])


def test_a_sure_line_that_cannot_be_read_tells() -> None:
    assert tells([line("", length=2.5)])
    assert tells([line("a", length=2.5)])
    assert not tells([line("", length=1.2)])
    assert not tells([line("", score=0.7)])
    assert not looks_like_a_line(Line(Reading(()), 0.9, 4.0, height=90))


def test_nothing_read_tells_nothing() -> None:
    assert not tells([])
