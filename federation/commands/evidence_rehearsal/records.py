"""The records behind the dossier: data application, dataset cards, training run, version card.

What the platform knows it writes; what only people know is typed by invented people, and
says that it is a rehearsal. Nothing is written that a person would have to have: no risk
file, no certificate, no instructions for use. The dossier says that these are missing.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from federation.commands.evidence_rehearsal.people import (
    COMMITTEE,
    DATA_COUNCIL,
    DATA_STAFF,
    EVALUATOR,
    OWNER,
    REGISTRAR,
)
from federation.commands.evidence_rehearsal.version_card import file_summary, hand_in_card
from federation.coordinator.home import CentreHome
from federation.coordinator.records import ControlRecords
from federation.domain.ids import Sha256, StudyId
from federation.operations.dataset_cards import SIGNED, import_cards
from federation.operations.embedded_registry import RecordDesk
from federation.operations.training_runs import RunWords, newest_run, write_training_run
from federation.storage import write_atomic

if TYPE_CHECKING:
    from registry.records.ports import StoredRecord

APPLICATION = "demo-data-application"
REASON = "demo"
USE_DATA, VERIFY = "D1", "R1"
ARRIVAL_S = 20.0
DAYS = 30
REGISTER, EVALUATE = "T2", "T3"

STEWARD_WORDS = """\
person = "demo-steward-{site}"
organisation = "{site} hospital (demo)"
title = {{ "zh-TW" = "合成胸部 X 光(示範)", en = "Generated chest films (demo)" }}
source_systems = ["TriFed phantom generator"]
exclusion = {{ "zh-TW" = "隔離檔案、無標註影像、已退出者", \
en = "files kept out, images without a label, people who opted out" }}
legal_basis = "research-exemption"
application = "{application}"
[ethics]
board = "none: generated images of nobody"
exemption = "DEMO-generated-images"
[labels]
process = {{ "zh-TW" = "由產生程式依所繪圖樣標註", \
en = "labelled by the program that drew the pattern" }}
annotators = 0
qualification = {{ "zh-TW" = "無人標註", en = "no person labelled" }}
adjudication = {{ "zh-TW" = "不適用", en = "not applicable" }}
"""
"""What the invented data steward of each hospital types; the patients are nobody."""

Waited = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written: states by record, and what people can open."""

    cards: Mapping[str, str]
    run: str
    run_state: str
    version_state: str
    summary: Path

    def as_json(self) -> dict[str, object]:
        """Return the records for machines."""
        return {
            "dataset_cards": dict(self.cards),
            "training_run": {"id": self.run, "state": self.run_state},
            "version": self.version_state,
            "summary": str(self.summary),
        }


@dataclass(frozen=True, slots=True)
class RecordsOf:
    """The records of one version.

    Parameters
    ----------
    homes
        The homes of the hospitals that trained it, by name.
    look
        Raises what ended a process meanwhile.
    """

    centre: Path
    desk: RecordDesk
    study: StudyId
    entry: str
    homes: Mapping[str, Path]
    folder: Path
    look: Waited

    def write(self, judged: Mapping[str, str], *, now: datetime) -> Written:
        """Write all of them; raises what a node or the register refused with.

        Parameters
        ----------
        judged
            Evaluations that count, by dimension.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        _apply(self.desk, self.folder, now=now)
        cards = self._dataset_cards(now)
        run, state = self._training_run()
        card = hand_in_card(self.centre, self.entry, judged, folder=self.folder)
        summary = file_summary(
            self.centre, self.desk, self.entry, folder=self.folder, today=now.date()
        )
        return Written(cards, run, state, self._registered(card), summary)

    def _registered(self, card: "StoredRecord") -> str:
        """Have the version registered, as far as the register lets it; return its state."""
        head = card
        for number, actor in ((REGISTER, REGISTRAR), (EVALUATE, EVALUATOR)):
            moves = self.desk.following(card.noun, card.id)
            if not any(one.number == number and not one.held_back for one in moves):
                break
            head = self.desk.move(
                card.noun, card.id, number, actor, reason=REASON, revision=head.revision
            ).record
        return head.state

    def _dataset_cards(self, now: datetime) -> dict[str, str]:
        """Have every hospital sign its card, and take the cards into the register."""
        from clients.card_words import read_words
        from clients.home import NodeHome
        from clients.signed_cards import sign_card

        for site, home in self.homes.items():
            words = STEWARD_WORDS.format(site=site, application=APPLICATION).encode()
            path = self.folder / f"{site}.card.toml"
            write_atomic(path, words, mode=0o644)
            sign_card(NodeHome.open(home), self.study, read_words(words, name=path.name), now=now)
        self._await_cards()
        taken = import_cards(CentreHome.open(self.centre), self.study)
        return {
            one.record.id: self._let_use(one.record.id)
            for one in taken
            if one.record is not None and str(one.site) in self.homes
        }

    def _await_cards(self) -> None:
        """Wait until the nodes brought their signed cards; what is late is left out."""
        kept, end = ControlRecords(self.centre), time.monotonic() + ARRIVAL_S
        wanted = f'"{SIGNED}"'.encode()
        while time.monotonic() < end:
            there = {str(site) for site, sent in kept.cards(self.study).items() if wanted in sent}
            if self.homes.keys() <= there:
                return
            self.look()
            time.sleep(0.1)

    def _let_use(self, card: str) -> str:
        head = self.desk.get("dataset-card", card)
        move = self.desk.move(
            "dataset-card", card, USE_DATA, COMMITTEE, reason=REASON, revision=head.revision
        )
        return move.record.state

    def _training_run(self) -> tuple[str, str]:
        """Write the record of the run, and have it verified against the log."""
        home = CentreHome.open(self.centre)
        words = RunWords(hardware="one machine, a process each", application=APPLICATION)
        kept = write_training_run(home, newest_run(home, self.study), words, actor=OWNER)
        moved = self.desk.move(
            "training-run", kept.id, VERIFY, EVALUATOR, reason=REASON, revision=kept.revision
        )
        return kept.id, moved.record.state


def _apply(desk: RecordDesk, folder: Path, *, now: datetime) -> None:
    """Take an application for nobody's data through its checks; it says that it is a rehearsal."""
    said = b"A rehearsal: the data are generated, nothing is applied for.\n"
    write_atomic(folder / "application.txt", said, mode=0o644)
    digest = str(Sha256.of(said))
    day = now.astimezone(UTC).date()
    body: dict[str, Any] = {
        "rule_pack": "NHI-DMA-2025",
        "applicant": {
            "kind": "hospital",
            "name": {"zh-TW": "示範醫院(虛構)", "en": OWNER.organisation},
            "code": "DEMO-0",
        },
        "purpose": "health-care",
        "purpose_words": {
            "zh-TW": "演練:資料為合成,未申請任何健保資料。",
            "en": "Rehearsal: the data are generated, no insurance data is applied for.",
        },
        "plan": digest,
        "data": {
            "modalities": ["CR", "DX"],
            "fields": [{"name": "image", "why": {"zh-TW": "模型輸入", "en": "input of the model"}}],
        },
        "handlers": [{"person": "demo-ai-owner", "own_unit": True}],
        "period": {"begins": day.isoformat(), "ends": (day + timedelta(days=DAYS)).isoformat()},
        "ethics": {"exemption_code": "DEMO-generated-images"},
        "documents": [{"kind": kind, "sha256": digest} for kind in ("plan", "form")],
    }
    seen = desk.put("data-application", APPLICATION, body, OWNER, revision=0).revision
    for number, actor in (("submit", OWNER), ("accept", DATA_STAFF), ("approve", DATA_COUNCIL)):
        moved = desk.move(
            "data-application", APPLICATION, number, actor, reason=REASON, revision=seen
        )
        seen = moved.record.revision
