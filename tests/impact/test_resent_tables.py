"""A hospital's second table tells nothing of a few people beside its first."""

import json
from pathlib import Path

import pytest

from federation.commands.main import run
from federation.errors.freezing import TableTooCloseError
from federation.impact.hospital import make_table
from federation.impact.plan import read_plan
from tests.impact.test_analysis import PLAN, plan

SITE = "tainan-1"
READERS = """
study = "readers-1"
design = "reader-study"
intervention = "ai"
comparator = "usual"
periods = 1
[readers]
names = ["r1", "r2"]
ratings = 3
[[measures]]
id = "reader-auroc"
role = "primary"
analysis = "reader-study"
unit = "1"
better = "higher"
figure = "auroc"
"""


def cases(*groups: tuple[str, int], extra: str = "") -> bytes:
    """Return cases by ward."""
    lines = [
        f"{ward},0,usual,{50 + case},{1000 + case},{case % 4}"
        for ward, count in groups
        for case in range(count)
    ]
    return ("\n".join(["cluster,period,arm,turnaround,cost,los", *lines]) + f"\n{extra}").encode()


def made(content: bytes, *sent: bytes) -> bytes:
    return make_table(content, SITE, plan(), sent=sent).content


FIRST = cases(("ward-1", 30), ("ward-2", 30))


@pytest.mark.parametrize(
    ("second", "places"),
    [
        (cases(("ward-1", 31), ("ward-2", 30)), 9),
        (cases(("ward-1", 39), ("ward-2", 40)), 3),
        (cases(("ward-1", 29), ("ward-2", 30)), 9),
        (cases(("ward-1", 42), ("ward-2", 19)), 6),
        (cases(("ward-1", 30), ("ward-2", 30), extra="ward-2,0,usual,7,,\n"), 3),
    ],
    ids=["one more", "nine more", "one fewer", "moved wards, one more", "one value of one measure"],
)
def test_a_table_a_few_people_beside_one_sent_is_refused(second: bytes, places: int) -> None:
    with pytest.raises(TableTooCloseError) as refused:
        made(second, made(FIRST))
    assert refused.value.values["places"] == places
    assert "ward" not in refused.value.say()


@pytest.mark.parametrize(
    "second",
    [
        FIRST,
        cases(("ward-1", 40), ("ward-2", 30)),
        cases(("ward-1", 30), ("ward-2", 30), ("ward-3", 10)),
        cases(("ward-1", 30)),
    ],
    ids=["the same", "ten more", "a new ward", "a ward that left"],
)
def test_a_table_that_differs_by_nobody_or_by_many_is_made(second: bytes) -> None:
    assert made(second, made(FIRST)) == made(second)


def test_each_table_that_was_sent_counts() -> None:
    earlier = [made(FIRST), made(cases(("ward-1", 40), ("ward-2", 30)))]
    with pytest.raises(TableTooCloseError):
        made(cases(("ward-1", 41), ("ward-2", 30)), *earlier)
    assert made(cases(("ward-1", 50), ("ward-2", 30)), *earlier)


def test_a_table_that_was_sent_as_a_report_counts() -> None:
    days = ("2026-01-01", "2026-06-30")
    report = make_table(FIRST, SITE, plan(), days=days).content
    with pytest.raises(TableTooCloseError):
        made(cases(("ward-1", 33), ("ward-2", 30)), report)


def readings(positives: int, negatives: int) -> bytes:
    truths = [1] * positives + [0] * negatives
    lines = [
        f"c{case},{reader},{arm},{truth},{1 + (case + truth) % 3}"
        for case, truth in enumerate(truths)
        for reader in ("r1", "r2")
        for arm in ("ai", "usual")
    ]
    return "\n".join(["case,reader,arm,truth,rating", *lines]).encode()


def test_readings_of_a_few_more_cases_are_refused() -> None:
    asked = read_plan(READERS.encode())
    sent = [make_table(readings(30, 30), SITE, asked).content]
    for few in ((31, 30), (30, 39), (42, 19)):
        with pytest.raises(TableTooCloseError):
            make_table(readings(*few), SITE, asked, sent=sent)
    assert make_table(readings(40, 50), SITE, asked, sent=sent).cells == 90


def test_the_command_writes_no_table_that_is_too_close(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.toml").write_text(PLAN, "utf-8")
    (tmp_path / "cases.csv").write_bytes(FIRST)
    (tmp_path / "more.csv").write_bytes(cases(("ward-1", 31), ("ward-2", 30)))
    first, second = tmp_path / "first.csv", tmp_path / "second.csv"

    def tabulate(name: str, out: Path, *more: str) -> int:
        files = [str(tmp_path / "plan.toml"), str(tmp_path / name)]
        return run(["impact", "tabulate", *files, "--site", SITE, "-o", str(out), *more, "--json"])

    assert tabulate("cases.csv", first) == 0
    capsys.readouterr()
    assert tabulate("more.csv", second, "--sent", str(first)) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "TF928"
    assert not second.exists()
    assert tabulate("cases.csv", second, "--sent", str(first)) == 0
