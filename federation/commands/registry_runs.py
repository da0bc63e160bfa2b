"""`trifed registry training-run` and `dataset-cards`: records made of what the centre kept.

`add_to(app)` adds both to the group of `trifed registry`.
"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.acting import House, Person, actor, say_kept
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.dataset_cards import TakenCard

TRAINING_RUN = Text(
    en="Write the record of a training run from the centre's own rounds.",
    zh="依中心保存的輪次產生訓練執行紀錄。",
)
DATASET_CARDS = Text(
    en="Take the dataset cards of a study that hospitals signed into the register.",
    zh="將各院已簽署的資料卡列入登錄系統。",
)
TAKEN = Text(
    en="{site}: card {id} is {state}, revision {revision}.",
    zh="{site}:資料卡 {id} 為 {state},第 {revision} 版。",
)
NOT_TAKEN = Text(en="{site}: [{code}] {what}", zh="{site}:[{code}] {what}")
NONE = Text(en="No hospital of {study} sent a card.", zh="{study} 尚無醫院送出資料卡。")


def training_run(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help=help_text("run, or a study for its last one", "執行,或研究名稱")
        ),
    ],
    home: AtCentre,
    person: Person,
    organisation: House,
    role: Annotated[str, typer.Option(help=help_text("HAO or DEV", "HAO 或 DEV"))] = "HAO",
    hardware: Annotated[
        str | None, typer.Option(help=help_text("on what the hospitals trained", "各院訓練硬體"))
    ] = None,
    energy_kwh: Annotated[
        float | None, typer.Option(min=0, help=help_text("energy that was measured", "實測用電"))
    ] = None,
    application: Annotated[
        str | None, typer.Option(help=help_text("data application", "資料申請案編號"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write, or write anew, the record of a run; VAL-E verifies it (R1)."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import RunId, StudyId
    from federation.operations.training_runs import RunWords, newest_run, write_training_run

    centre = CentreHome.open(home)
    is_run = RunId.pattern.fullmatch(run) is not None
    name = RunId(run) if is_run else newest_run(centre, StudyId(run))
    words = RunWords(hardware, energy_kwh, application)
    acting = actor(person, organisation, role)
    say_kept(write_training_run(centre, name, words, actor=acting), as_json=json_)


def dataset_cards(
    study: Annotated[str, typer.Argument(metavar="STUDY", help=help_text("study", "研究"))],
    home: AtCentre,
    json_: Json = False,
) -> None:
    """Take in what is signed; exit 1 if a card that came was not taken."""
    from federation.coordinator.home import CentreHome
    from federation.domain.ids import StudyId
    from federation.operations.dataset_cards import import_cards

    found = import_cards(CentreHome.open(home), StudyId(study))
    if json_:
        emit([_as_json(one) for one in found])
    for one in () if json_ else found:
        _tell(one)
    if not found and not json_:
        say(NONE, study=study)
    sys.exit(1 if any(one.refusal for one in found) else 0)


def add_to(app: typer.Typer) -> None:
    """Add both commands to a group."""
    app.command("training-run", help=t(TRAINING_RUN))(training_run)
    app.command("dataset-cards", help=t(DATASET_CARDS))(dataset_cards)


def _as_json(one: "TakenCard") -> dict[str, object]:
    record, refusal = one.record, one.refusal
    return {
        "site": one.site,
        "id": None if record is None else record.id,
        "state": None if record is None else record.state,
        "revision": None if record is None else record.revision,
        "refused": None if refusal is None else refusal.code,
    }


def _tell(one: "TakenCard") -> None:
    from federation import settings

    if one.record is not None:
        kept = one.record
        say(TAKEN, site=one.site, id=kept.id, state=kept.state, revision=kept.revision)
    elif one.refusal is not None:
        what = one.refusal.say_what(settings.language())
        say(NOT_TAKEN, site=one.site, code=one.refusal.code, what=what)
