"""Every noun of the register but model versions: the list, its routes, its rules, its diagrams.

    for router in noun_routers(records, author_of): app.include_router(router)
    run(records, (*rules(versions), *noun_rules(calendar)), now=now)
    python -m registry.nouns                     # draws docs/registry-nouns.md anew

Model versions need the register's key and files (`registry.models.cards.version_noun`);
sign-offs are written by the register alone. Neither is in the list.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from federation.domain.diagrams import Machines, with_diagrams
from federation.errors.registry import RequestInvalidError
from federation.evidence.verification import PublicKey
from registry import (
    applications,
    approvals,
    certification,
    datasets,
    deployments,
    evaluations,
    exports,
    feedback,
    impact,
    incidents,
    optout,
    reimbursement,
    reviews,
    training,
)
from registry.applications.clocks import rules as application_rules
from registry.applications.publications import RULES as PUBLICATION_RULES
from registry.applications.working_days import WEEKENDS, WorkingDays
from registry.approvals.noun import RULES as APPROVAL_RULES
from registry.certification.routes import certification_routes
from registry.deployments.clocks import RULES as DEPLOYMENT_RULES
from registry.feedback.routes import pooled_routes
from registry.incidents.noun import RULES as INCIDENT_RULES
from registry.optout.noun import RULES as OPT_OUT_RULES
from registry.optout.routes import applied_routes
from registry.records.routes import AuthorOf, record_routes
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.reviews.noun import RULES as REVIEW_RULES
from registry.timers.due import Rule

GOVERNANCE: tuple[Noun[Any], ...] = (
    applications.NOUN,
    applications.PUBLICATION,
    exports.NOUN,
    exports.SCAN,
    approvals.NOUN,
    optout.NOUN,
    optout.PROPAGATION,
    deployments.NOUN,
    feedback.NOUN,
    incidents.NOUN,
    reviews.NOUN,
)
"""The nouns of everyday governance (docs/registry-nouns.md)."""

EVIDENCE: tuple[Noun[Any], ...] = (
    datasets.NOUN,
    training.NOUN,
    evaluations.NOUN,
    impact.NOUN,
    *certification.NOUNS,
    reimbursement.NOUN,
)
"""The nouns that approvals rest on (docs/registry-evidence-nouns.md)."""

ALL_NOUNS: tuple[Noun[Any], ...] = (*GOVERNANCE, *EVIDENCE)

PLURALS: Mapping[str, str] = {"feedback": "feedback", "impact-study": "impact-studies"}
"""Nouns whose address is not their name and an s."""

PAGE = Path("docs/registry-nouns.md")


def noun_named(name: str) -> Noun[Any]:
    """Return the noun of that name.

    Raises
    ------
    RequestInvalidError
        If there is none.
    """
    for noun in ALL_NOUNS:
        if noun.name == name:
            return noun
    known = ", ".join(noun.name for noun in ALL_NOUNS)
    raise RequestInvalidError(why=f"no such kind of record; there are: {known}")


def nouns_in_the_log(*, artefacts: Path, key: PublicKey) -> tuple[Noun[Any], ...]:
    """Return every noun whose records the log may hold: for an audit of what they are found by.

    Parameters
    ----------
    artefacts, key
        The register's file store and its key, for model versions.
    """
    from registry.models.cards import version_noun
    from registry.records.sign_offs import SIGN_OFF
    from registry.witnesses.noun import WITNESS

    return (*ALL_NOUNS, version_noun(artefacts=artefacts, key=key), SIGN_OFF, WITNESS)


def noun_routers(records: Records, author_of: AuthorOf) -> list[APIRouter]:
    """Return the routes of every noun: list, show, history, write, move; and their summaries."""
    each = [
        record_routes(records, noun, author_of=author_of, path=PLURALS.get(noun.name))
        for noun in ALL_NOUNS
    ]
    return [
        *each,
        applied_routes(records),
        pooled_routes(records),
        certification_routes(records),
    ]


def noun_rules(calendar: WorkingDays = WEEKENDS) -> tuple[Rule, ...]:
    """Return what the clock does for all of them, by the official calendar where it is known."""
    return (
        *application_rules(calendar),
        *PUBLICATION_RULES,
        *APPROVAL_RULES,
        *OPT_OUT_RULES,
        *DEPLOYMENT_RULES,
        *INCIDENT_RULES,
        *REVIEW_RULES,
        *datasets.RULES,
        *certification.RULES,
        *reimbursement.RULES,
    )


def machines() -> Machines:
    """Return the state machines of everyday governance by the names people know."""
    return {noun.name: noun.moves.as_transitions() for noun in GOVERNANCE}


def draw(checkout: Path) -> None:
    """Draw the page's diagrams anew."""
    page = checkout / PAGE
    page.write_text(with_diagrams(page.read_text(encoding="utf-8"), machines()), encoding="utf-8")


if __name__ == "__main__":
    draw(Path())
