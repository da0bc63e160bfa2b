"""Every error this platform raises on purpose, by noun.

PlatformError (base.py)
├── ProblemsFound              TF100  several at once
├── core.py          TF1xx  ids, states, values, settings
├── storage.py       TF107  the centre's database and artefact store
├── enrolment.py     TF2xx  invitations, requests, certificates
├── control.py       TF23x  control channel, front door, long-running processes
├── observation.py   TF25x  checkups from afar, logs, metrics, traces
├── study.py         TF3xx  study files and recipes
├── approval.py      TF32x  proposals, policy, approvals
├── rounds.py        TF4xx  SuperLink, nodes, rounds, updates, strategies
├── durable.py       TF43x  what stops, pauses or replaces a run that goes on after crashes
├── queue.py         TF44x  the queue of studies, the conductor, Prefect
├── transport.py     TF42x  what carries a round lost something
├── leases.py        TF46x  sites that a round went on without, or a run paused
├── replay.py        TF47x  computing a run or a round once more
├── data.py          TF5xx  DICOM intake, de-identification, labels, cohorts
├── pixeltext.py     TF53x  text burned into pixels
├── deidentification TF53x  what de-identification refuses
├── sources.py       TF54x  PACS, DICOMweb, watched folders, the receiving port
├── people.py        TF56x  pseudonym keys, opt-out, lineage
├── cohorts.py       TF58x  catalogue database, cohort queries, labels, masks
├── privacy.py       TF6xx  mechanisms and accountants
├── ledger.py        TF63x  the privacy book and the outbound gate
├── heads.py         TF648  what both sides keep of each other, lost books
├── signed.py        TF70x  canonical values, keys, envelopes, the log
├── registry.py      TF72x  model versions, the register's service, bundles, cards
├── moves.py         TF734  records of any noun: revisions, moves, roles, signatures
├── guards.py        TF743  what holds a move of a model version back
├── access.py        TF76x  who comes into the register, by what means, how often
├── exchange.py      TF78x  formats in and out of the register
├── evidence.py      TF790  bundles, certificates, what a reader holds against them
├── witness.py       TF795  who co-signs the evidence log
├── machine.py       TF80x  ports, disk, clock, processes
├── reports.py       TF824  reports of evaluations, studies, models and dossiers
├── governance.py    TF83x  applications, deployments, incidents and the like
├── evidence_nouns   TF84x  dossiers, impact studies, payment, lineage
├── evaluation.py    TF85x  federated evaluation and suppression
├── evaluating.py    TF890  evaluations of versions at hospitals, protocol to document
├── economics.py     TF87x  economic models
├── impact.py        TF88x  impact studies
├── secure_sum.py    TF895  sums among hospitals of which nobody sees a part
├── impact_commands  TF90x  what studies, dossiers and payment are told by a command
├── impact_designs   TF91x  reader studies, medians, cohorts, sealed tables
├── freezing.py      TF925  a study's data once they are frozen
├── outcomes.py      TF945  outcome studies over hospitals, table to result
├── records.py       TF96x  records made of what was signed: proofs, runs, dataset cards
└── upkeep.py        TF97x  what keeps a centre and its register whole while they run

A code is never reused; each has a page docs/errors/CODE.md in both languages,
and `tests/errors` fails when one is missing. `all_errors()` is the catalogue.
"""

import importlib
from collections.abc import Iterator

from federation.errors.base import PlatformError, ProblemsFound

NOUNS = {
    "base": "TF1",
    "core": "TF1",
    "storage": "TF1",
    "enrolment": "TF2",
    "control": "TF2",
    "observation": "TF2",
    "study": "TF3",
    "approval": "TF3",
    "rounds": "TF4",
    "transport": "TF4",
    "durable": "TF4",
    "leases": "TF4",
    "queue": "TF4",
    "replay": "TF4",
    "data": "TF5",
    "pixeltext": "TF5",
    "deidentification": "TF5",
    "sources": "TF5",
    "people": "TF5",
    "cohorts": "TF5",
    "privacy": "TF6",
    "ledger": "TF6",
    "heads": "TF6",
    "registry": "TF7",
    "signed": "TF7",
    "moves": "TF7",
    "guards": "TF7",
    "exchange": "TF7",
    "access": "TF7",
    "evidence": "TF7",
    "witness": "TF7",
    "machine": "TF8",
    "reports": "TF8",
    "governance": "TF8",
    "evidence_nouns": "TF8",
    "evaluation": "TF8",
    "evaluating": "TF8",
    "economics": "TF8",
    "impact": "TF8",
    "secure_sum": "TF8",
    "impact_commands": "TF9",
    "impact_designs": "TF9",
    "freezing": "TF9",
    "outcomes": "TF9",
    "records": "TF9",
    "upkeep": "TF9",
}
"""The modules of errors and what their codes begin with."""

__all__ = ["NOUNS", "PlatformError", "ProblemsFound", "all_errors", "error_of_code"]


def all_errors() -> dict[str, type[PlatformError]]:
    """Return every error class by its code.

    Raises
    ------
    ValueError
        If two classes claim the same code.
    """
    for noun in NOUNS:
        importlib.import_module(f"federation.errors.{noun}")
    found: dict[str, type[PlatformError]] = {}
    for kind in _subclasses(PlatformError):
        if "code" not in vars(kind) or not kind.__module__.startswith("federation."):
            continue
        if kind.code in found:
            raise ValueError(f"{kind.code} is claimed by {kind} and {found[kind.code]}")
        found[kind.code] = kind
    return found


def error_of_code(code: str) -> type[PlatformError] | None:
    """Return the class of a code, or None when no such code was ever given out."""
    return all_errors().get(code)


def _subclasses(kind: type[PlatformError]) -> Iterator[type[PlatformError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _subclasses(child)
