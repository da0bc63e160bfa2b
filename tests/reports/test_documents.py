"""Documents are read strictly, and one that tells of too few cases is refused whole."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from federation.domain.ids import Sha256
from federation.errors.reports import ReportCellError, ReportDocumentError
from registry.reports.documents import MAX_BYTES, read_economics, read_evaluation
from tests.reports.examples import economics_bytes, evaluation_bytes, evaluation_json

Document = dict[str, Any]


def test_a_document_is_read_and_named_by_the_digest_of_its_bytes() -> None:
    assert read_evaluation(evaluation_bytes()).digest == Sha256.of(evaluation_bytes())
    assert read_economics(economics_bytes()).digest == Sha256.of(economics_bytes())


def _set(document: Document, path: str, value: object) -> Document:
    *steps, last = path.split("/")
    place: Any = document
    for step in steps:
        place = place[int(step) if isinstance(place, list) else step]
    place[int(last) if isinstance(place, list) else last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("schema", "trifed.evaluation-report/2"),
        ("more", 1),
        ("about/protocol", "sha256:short"),
        ("about/sites", []),
        ("assessment/slices/all/auroc/value", "0.9"),
        ("assessment/slices/all/cases", -1),
        ("assessment/refusals/0/refused", "because"),
        ("assessment/failures", [{"name": "x", "code": "E1"}]),
        ("decision/verdict", "fine"),
        ("decision/findings/0/reason", {"en": "only"}),
        ("curves/roc/0", [0.1, 0.2]),
        ("curves/roc/0/1", 1.5),
        ("drift/0/distribution/edges", [0.5]),
        ("matrix/values/0", [0.5]),
        ("plan/smallest_cell", 2),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(path: str, value: object) -> None:
    with pytest.raises(ReportDocumentError) as caught:
        read_evaluation(_set(evaluation_json(), path, value))
    assert path.split("/")[0] in caught.value.say()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"schema": NaN}', b'{"a":1,"a":2}', b"\xff"]
)
def test_what_is_no_json_object_is_refused(content: bytes) -> None:
    for read in (read_evaluation, read_economics):
        with pytest.raises(ReportDocumentError):
            read(content)


def test_a_file_that_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(ReportDocumentError, match="4 MiB"):
        read_evaluation(b" " * (MAX_BYTES + 1))


def test_economics_with_an_unknown_parameter_or_half_a_table_is_refused() -> None:
    changes: list[Callable[[Document], object]] = [
        lambda document: document["tornado"]["bars"][0].update(parameter="luck"),
        lambda document: document["acceptability"].pop(),
        lambda document: document["frontier"][0].update(best="nobody"),
        lambda document: document["plane"].clear(),
    ]
    for change in changes:
        document = json.loads(economics_bytes())
        change(document)
        with pytest.raises(ReportDocumentError):
            read_economics(document)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("assessment/slices/sex=F/cases", 9),
        ("assessment/sites/tainan-1/cases", 1),
        ("assessment/slices/all/rates/sensitivity", {"value": 0.5, "interval": [0, 1], "of": 8}),
        ("assessment/slices/all/rates/sensitivity", {"value": 0.05, "interval": [0, 1], "of": 100}),
        ("assessment/slices/all/rates/sensitivity", {"value": 0.97, "interval": [0, 1], "of": 100}),
        ("assessment/slices/all/rates/sensitivity", {"value": None, "band": [0, 1], "of": 9}),
        ("curves/reliability/0", [0.05, 0.5, 0.2, 0.8, 9]),
        ("curves/reliability/0", [0.05, 0.02, 0.0, 0.1, 200]),
    ],
)
def test_a_document_that_tells_of_too_few_cases_is_refused_whole(path: str, value: object) -> None:
    with pytest.raises(ReportCellError, match="fewer than 10"):
        read_evaluation(_set(evaluation_json(), path, value))
