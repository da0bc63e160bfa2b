"""What Prefect's pages say in words and tables."""

import pytest

from federation.domain.ids import SiteId
from federation.flows.tables import end_page, metric_page, progress_words, round_table
from federation.operations.campaign import SiteResult

METRIC = {"name": "auroc", "value": 0.8125, "low": 0.7, "high": 0.9, "n": 40}
ENTRY = {"entry": "TWAI-2026-00001-4.v0.1.0"}


def a_result(site: str, evaluation: dict[str, object] | None) -> SiteResult:
    return SiteResult(SiteId(site), 20, 3, {}, evaluation, ())


def test_the_last_page_has_a_row_for_every_site_evaluated_or_not() -> None:
    page = end_page(
        [
            a_result("taipei", {"metrics": [METRIC]}),
            a_result("tainan", {"metrics": [], "refused": "TF641"}),
            a_result("hualien", None),
        ],
        ENTRY,
    )

    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {6}
    assert rows[2:] == [
        "| taipei | 3 | auroc | 0.812 | 0.700 to 0.900 |",
        "| tainan | 3 | not shown | TF641 | |",
        "| hualien | 3 | not shown |  | |",
    ]


@pytest.mark.parametrize(
    ("percent", "words"),
    [
        ({}, "1 of 4 rounds"),
        ({"tainan": 100, "taichung": 40}, "1 of 4 rounds; round 2: taichung 40 %, tainan 100 %"),
    ],
)
def test_progress_names_each_site_of_the_round_in_flight(
    percent: dict[str, int], words: str
) -> None:
    assert progress_words(1, 4, percent) == words


def test_no_patient_count_is_finer_than_tens() -> None:
    reports = {
        "taipei": {"report": {"patients": 47, "loss": 0.5}, "seconds": 1.5},
        "tainan": {"report": {"patients": 7, "loss": 0.5}, "seconds": 1.5},
    }

    rows = round_table({"reports": reports, "refused": [{"site": "hualien", "code": "TF460"}]})

    assert [(row["site"], row["patients"], row["code"]) for row in rows] == [
        ("hualien", "", "TF460"), ("tainan", "fewer than 10", ""), ("taipei", "40+", ""),
    ]  # fmt: skip


def test_the_largest_mean_loss_has_the_longest_bar() -> None:
    def a_round(number: int, loss: float) -> dict[str, object]:
        return {"round": number, "reports": {"taipei": {"report": {"loss": loss}}}}

    page = metric_page([a_round(1, 1.0), a_round(2, 0.5)])

    bars = [line.count("█") for line in page.splitlines()[2:]]
    assert bars == [24, 12]
