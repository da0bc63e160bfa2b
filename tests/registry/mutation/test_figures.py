"""A figure that the register signed and its site did not is named in the bundle."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import registry.bundle.writing as writing
import registry.models.checks as checks
from federation.domain.ids import Sha256
from federation.evidence.members import (
    MODEL,
    RECORD,
)
from federation.evidence.signing import sign_dsse
from federation.evidence.statements import PredicateType, Statement, Subject
from registry.bundle import export
from tests.registry.builders import (
    SITES,
    STUDY_DIGEST,
    Centre,
    approval,
    candidate,
    evaluation,
    facts,
    make_centre,
    metric,
    update,
)
from tests.registry.bundles import (
    a_report,
    statements,
    verdict,
)


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> None:
    """A register whose program no longer looks at what sites signed."""

    def nothing(*_: object) -> Iterator[Any]:
        return iter(())

    monkeypatch.setattr(checks, "_unlike_what_was_signed", nothing)
    monkeypatch.setattr(checks, "_contradictions", nothing)
    monkeypatch.setattr(checks, "_is_about", lambda *_: True)
    monkeypatch.setattr(writing, "_check", lambda *_: None)


def a_lie(tmp_path: Path, **changes: object) -> tuple[str | None, str | None]:
    """What is named in the bundle of a record that differs from what was signed."""
    home = make_centre(tmp_path / "lying")
    given = candidate(home, **({"statements": statements(home)} | changes))
    stored, _ = home.registrar.register(given, actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "lie.zip"))
    return found.item, found.what


def changed(tmp_path: Path, of: str, fields: dict[str, object]) -> dict[str, object]:
    """The good candidate's list `of`, with some fields of the first site replaced."""
    listed: Any = facts(make_centre(tmp_path / "facts"))[of]
    return {of: [one | fields if one["site"] == SITES[0] else one for one in listed]}


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("of", "fields", "figure"),
    [
        ("participants", {"patients": 121}, "participants.tainan-1.patients"),
        ("participants", {"rounds": 0}, "participants.tainan-1.rounds"),
        ("participants", {"rounds": 4}, "participants.tainan-1.rounds"),
        (
            "participants",
            {"dataset_digest": Sha256.of(b"other")},
            "participants.tainan-1.dataset_digest",
        ),
        ("privacy", {"epsilon": 1.5}, "privacy.tainan-1.epsilon"),
        ("privacy", {"delta": 1e-9}, "privacy.tainan-1.delta"),
        ("privacy", {"noise_multiplier": 9.0}, "privacy.tainan-1.noise_multiplier"),
        ("evaluations", {"value": 0.9}, "evaluations.tainan-1"),
        ("evaluations", {"low": 0.86}, "evaluations.tainan-1"),
        ("evaluations", {"n": 300}, "evaluations.tainan-1"),
    ],
)
def test_a_figure_that_its_site_did_not_sign_is_named(
    tmp_path: Path, of: str, fields: dict[str, object], figure: str
) -> None:
    found = a_lie(tmp_path, **changed(tmp_path, of, fields))
    assert found == (f"{RECORD}#{figure}", "it is not what the site signed")


@pytest.mark.usefixtures("lying")
def test_a_pooled_number_that_is_not_the_sum_is_named(tmp_path: Path) -> None:
    assert a_lie(tmp_path, pooled=[metric(91)])[0] == f"{RECORD}#pooled.auroc"


def but(listed: list[dict[str, object]], site: str | None, kind: str) -> list[dict[str, object]]:
    """The statements without those of a kind (of one site, or of all)."""
    return [one for one in listed if one["kind"] != kind or site not in (None, one["site"])]


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("kind", "figure"),
    [
        ("update", "participants.tainan-1.signed"),
        ("evaluation", "evaluations.tainan-1.signed"),
        ("approval", "approvals.tainan-1"),
    ],
)
def test_a_figure_of_a_site_that_signed_nothing_is_named(
    tmp_path: Path, kind: str, figure: str
) -> None:
    home = make_centre(tmp_path / "own")
    left = but(statements(home), "tainan-1", kind)
    stored, _ = home.registrar.register(candidate(home, statements=left), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "lie.zip"))
    assert (found.item, found.what) == (f"{RECORD}#{figure}", "it is not what the site signed")


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("of", "more", "figure"),
    [
        ("participants", {}, "participants"),
        ("privacy", {}, "privacy"),
        ("evaluations", {"value": 0.99, "high": 0.995}, "evaluations.tainan-1.signed"),
        ("evaluations", {"site": "yilan-4", "value": 0.9}, "evaluations.yilan-4.signed"),
    ],
)
def test_a_line_put_beside_what_was_signed_is_named(
    tmp_path: Path, of: str, more: dict[str, object], figure: str
) -> None:
    listed: Any = facts(make_centre(tmp_path / "facts"))[of]
    assert a_lie(tmp_path, **{of: [listed[0] | more, *listed]})[0] == f"{RECORD}#{figure}"


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("missing", "figure"),
    [
        ("patients", "participants.tainan-1.patients"),
        ("dataset_digest", "participants.tainan-1.dataset_digest"),
        ("epsilon", "privacy.tainan-1.signed"),
    ],
)
def test_a_figure_that_the_sites_report_left_out_is_named(
    tmp_path: Path, missing: str, figure: str
) -> None:
    home = make_centre(tmp_path / "own")
    report = {"patients": 120, "epsilon": 7.5, "dataset_digest": Sha256.of(b"data of tainan-1")}
    del report[missing]
    said = {"site": "tainan-1", "run": "cxr-2026.1", "round": 1, "report": report}
    subjects = (Subject("study/cxr-2026", STUDY_DIGEST),)
    envelope = sign_dsse(Statement(subjects, PredicateType.UPDATE, said), home.nodes["tainan-1"])
    listed = but(statements(home), "tainan-1", "update")
    listed.append({"site": "tainan-1", "kind": "update", "envelope": envelope})
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "lie.zip"))
    assert found.item == f"{RECORD}#{figure}"


def a_round(home: Centre, number: int, *, entries: int, head: bytes) -> dict[str, object]:
    """A node's update of a round, with how far its privacy book was then."""
    heads = {
        "ledger": {"entries": entries, "head": Sha256.of(head)},
        "audit": {"lines": 4, "head": Sha256.of(b"log")},
    }
    said = {"site": "tainan-1", "run": "cxr-2026.1", "round": number, "heads": heads}
    report = {"patients": 120, "epsilon": 7.5, "dataset_digest": Sha256.of(b"data of tainan-1")}
    statement = Statement(
        (Subject("study/cxr-2026", STUDY_DIGEST),),
        PredicateType.UPDATE,
        said | {"report": report},
    )
    envelope = sign_dsse(statement, home.nodes["tainan-1"])
    return {"site": "tainan-1", "kind": "update", "envelope": envelope}


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize(
    ("entries", "head", "holds"),
    [(1, b"b", False), (2, b"other", False), (2, b"a", True), (4, b"c", True)],
)
def test_a_privacy_book_that_was_put_back_or_changed_is_named(
    tmp_path: Path, entries: int, head: bytes, holds: bool
) -> None:
    home = make_centre(tmp_path / "books")
    listed = [
        *but(statements(home), "tainan-1", "update"),
        a_round(home, 1, entries=2, head=b"a"),
        a_round(home, 2, entries=entries, head=head),
    ]
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "books.zip"))
    assert found.verified is holds
    assert holds or found.item == f"{RECORD}#books.tainan-1"


@pytest.mark.usefixtures("lying")
def test_sites_that_were_given_different_models_in_one_round_are_named(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "models")
    listed = but(statements(home), None, "update") + [
        {
            "site": site,
            "kind": "update",
            "envelope": a_report(
                home, site, model=Subject("model/cxr-2026.1/1", Sha256.of(site.encode()))
            ),
        }
        for site in SITES
    ]
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "models.zip"))
    assert found.item == f"{RECORD}#models.update.1"


def ordered_model(folder: Path, *, fill: float) -> tuple[dict[str, object], Sha256]:
    """A model file as the centre keeps it, and the digest by which sites name the model."""
    first, second = np.full(5, fill, "<f4"), np.zeros((2, 2), "<f4")
    order = json.dumps([["b", [5]], ["a", [2, 2]]])
    content = save({"a": second, "b": first}, {"trifed-manifest": order})
    digest = Sha256.of(content)
    (folder / f"{digest.hex}.safetensors").write_bytes(content)
    named_ = {"path": f"{digest.hex}.safetensors", "sha256": digest, "size_bytes": len(content)}
    return named_ | {"parameters": 9}, Sha256.of(first.tobytes() + second.tobytes())


@pytest.mark.usefixtures("lying")
@pytest.mark.parametrize("fill", [0.5, 0.75])
def test_weights_that_the_sites_did_not_evaluate_are_named(tmp_path: Path, fill: float) -> None:
    home = make_centre(tmp_path / "weights")
    model, _ = ordered_model(home.registrar.artefacts, fill=0.5)
    _, evaluated = ordered_model(home.registrar.artefacts, fill=fill)
    report = {"metrics": [metric(30)]}
    said = {"site": "tainan-1", "run": "cxr-2026.1", "round": 3, "report": report}
    subjects = (
        Subject("study/cxr-2026", STUDY_DIGEST),
        Subject("model/cxr-2026.1/3", evaluated),
    )
    envelope = sign_dsse(
        Statement(subjects, PredicateType.EVALUATION, said), home.nodes["tainan-1"]
    )
    listed = but(statements(home), "tainan-1", "evaluation")
    listed.append({"site": "tainan-1", "kind": "evaluation", "envelope": envelope})
    given = candidate(home, model=model, statements=listed)
    stored, _ = home.registrar.register(given, actor="centre")
    path = export(home.registrar, stored.entry, tmp_path / "weights.zip", with_model=True)
    found = verdict(path)
    assert found.verified is (fill == 0.5)
    assert found.verified or (found.item, found.what) == (MODEL, "it is not what the site signed")


@pytest.mark.usefixtures("lying")
def test_statements_of_another_run_study_or_decision_are_named(tmp_path: Path) -> None:
    cases = [
        ("update", lambda home: update(home, "tainan-1", run="cxr-2026.2")),
        ("approval", lambda home: approval(home, "tainan-1", decision="refused")),
        (
            "evaluation",
            lambda home: sign_dsse(
                Statement(
                    (Subject("study/other", Sha256.of(b"another study")),),
                    PredicateType.EVALUATION,
                    {"site": "tainan-1", "run": "cxr-2026.1", "report": {}},
                ),
                home.nodes["tainan-1"],
            ),
        ),
    ]
    for number, (kind, made) in enumerate(cases):
        home = make_centre(tmp_path / f"other{number}")
        listed = [{"site": "tainan-1", "kind": kind, "envelope": made(home)}]
        stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
        found = verdict(export(home.registrar, stored.entry, tmp_path / "other.zip"))
        assert found.item == f"dsse/00001-tainan-1-{kind}.json"
        assert found.what == "it is about another site, study or run"


@pytest.mark.usefixtures("lying")
def test_more_privacy_spent_than_was_approved_is_named(tmp_path: Path) -> None:
    home = make_centre(tmp_path / "spent")
    said = {"site": "tainan-1", "decision": "approved", "epsilon": 2.0}
    subject = Subject("study/cxr-2026", STUDY_DIGEST)
    envelope = sign_dsse(
        Statement((subject,), PredicateType.APPROVAL, said), home.officers["tainan-1"]
    )
    listed = but(statements(home), "tainan-1", "approval")
    listed.append({"site": "tainan-1", "kind": "approval", "envelope": envelope})
    stored, _ = home.registrar.register(candidate(home, statements=listed), actor="centre")
    found = verdict(export(home.registrar, stored.entry, tmp_path / "spent.zip"))
    assert found.item == f"{RECORD}#privacy.tainan-1.approved"


def test_a_lying_evaluation_is_refused_by_the_register_itself(tmp_path: Path) -> None:
    from federation.errors import ProblemsFound

    home = make_centre(tmp_path / "honest")
    listed = [
        {
            "site": "tainan-1",
            "kind": "evaluation",
            "envelope": evaluation(home, "tainan-1", value=0.5),
        }
    ]
    with pytest.raises(ProblemsFound):
        home.registrar.register(candidate(home, statements=listed), actor="centre")
