"""Every reader of a TOML file that somebody else wrote refuses a hostile one with its own code.

A megabyte of one dotted key costs the standard library's parser hours, a number of 5,000
digits or 10,000 brackets raise other errors than its own. `parse_toml` bounds all three,
so a module that reads such a file goes through it.
"""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from clients.card_words import read_words
from clients.checkup_desk import FILE as CHECKUP
from clients.checkup_desk import check_allowed
from clients.data.catalogue.database import SETTING as CATALOGUE
from clients.data.catalogue.database import place_of
from clients.data.cohort.definition import read_cohort
from clients.data.intake.rules import FILE as INTAKE
from clients.data.intake.rules import read_rules as read_intake_rules
from clients.data.labels.mapping import read_mapping
from clients.data.people.rules import FILE as OPT_OUT
from clients.data.people.rules import read_rules as read_opt_out_rules
from clients.data.ways_in.sources import FILE as SOURCES
from clients.data.ways_in.sources import read_sources
from clients.home import NodeHome
from clients.policy.rules import check_policy
from federation.commands.impact import _settings
from federation.errors.base import PlatformError
from federation.evaluation.policy import read_policy
from federation.homes import read_settings
from federation.operations.evaluations.plan_file import parse_plan as parse_evaluation
from federation.operations.outcomes.plan_file import parse_plan as parse_outcomes
from federation.operations.study_file import read_study_file
from registry.applications.working_days import read_calendar
from registry.certification.rule_packs import read_pack
from registry.models.cards import read_card

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ROOT = Path(__file__).parents[2]

HOSTILE = {
    "a long key": b"a" + b".a" * 14_000 + b" = 1",
    "a long table": b"[a" + b".a" * 14_000 + b"]",
    "many digits": b"seed = 1" + b"0" * 6000,
    "deep lists": b"sites = " + b"[" * 200 + b"]" * 200,
    "deeper lists": b"sites = " + b"[" * 14_000,
    "no date": b"expires = 2026-13-45",
    "no text": b"\xff\xfe",
}
"""Below every reader's own limit of size, so that it is the text that is refused."""

OF_BYTES: dict[str, Callable[[bytes], object]] = {
    "an evaluation's plan": lambda content: parse_evaluation(content, now=NOW),
    "an outcome study's plan": parse_outcomes,
    "an evaluation's policy": read_policy,
    "a hospital's policy": check_policy,
    "a hospital's words for a card": lambda content: read_words(content, name="words.toml"),
    "a model card's draft": lambda content: read_card(content, name="card.toml"),
    "a rule pack": lambda content: read_pack(content.decode("latin-1"), name="pack"),
}

OF_FILES: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a study": ("study.toml", lambda path: read_study_file(path, now=NOW)),
    "a home's settings": ("centre.toml", read_settings),
    "a calendar": ("working-days.toml", read_calendar),
    "a cohort": ("chest.toml", read_cohort),
    "labels": ("labels.toml", read_mapping),
    "intake rules": (INTAKE, lambda path: read_intake_rules(path.parent / "data")),
    "opt-out rules": (OPT_OUT, lambda path: read_opt_out_rules(path.parent / "data")),
    "ways in": (SOURCES, lambda path: read_sources(path.parent)),
    "the catalogue's place": (CATALOGUE, lambda path: place_of(path.parent / "data")),
    "the checkup's setting": (
        CHECKUP,
        lambda path: check_allowed(cast(NodeHome, SimpleNamespace(folder=path.parent))),
    ),
}

SHIPPED = {
    "federation/commands/evidence_rehearsal/version_card.py",
    "federation/impact/measures.py",
    "federation/recipes/catalogue.py",
    "registry/reports/checklists/__init__.py",
}
"""These read files of the package itself."""

AFTER = {"federation/homes.py", "federation/operations/toml_lines.py"}
"""These look for lines in a text that `parse_toml` has read before."""


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("reader", OF_BYTES)
def test_a_hostile_text_is_a_coded_refusal_at_once(reader: str, hostile: str) -> None:
    began = time.monotonic()
    with pytest.raises(PlatformError):
        OF_BYTES[reader](HOSTILE[hostile])
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("reader", OF_FILES)
def test_a_hostile_file_is_a_coded_refusal_at_once(
    reader: str, hostile: str, tmp_path: Path
) -> None:
    name, read = OF_FILES[reader]
    (tmp_path / name).write_bytes(HOSTILE[hostile])
    began = time.monotonic()
    with pytest.raises(PlatformError):
        read(tmp_path / name)
    assert time.monotonic() - began < 5


def test_a_hostile_option_is_read_as_a_text() -> None:
    digits = "1" + "0" * 6000
    assert _settings([f"n={digits}"]) == f'\nn = "{digits}"'.encode()


def test_no_other_module_reads_toml_past_the_limits() -> None:
    folders = ("clients", "federation", "registry", "strategies")
    found = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\btomllib\.loads?\(", path.read_text(encoding="utf-8"))
    }
    assert found == {"federation/domain/toml_text.py"} | SHIPPED | AFTER
