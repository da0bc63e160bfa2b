"""`trifed registry card new|check|submit`: the card of a version, as a file a person fills in.

`card_app` is the group; anything that is none of its commands is an entry to export, so
that `trifed registry card ENTRY --format FORMAT` stays what it is.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from federation.commands import registry_card
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    import click

    from registry.models.service import Registrar
    from registry.models.version_card import VersionCard
    from registry.records.ports import StoredRecord

HELP = Text(
    en="The card of a version: make, check, hand in, export.",
    zh="版本登錄卡:產生、檢查、提交、匯出。",
)
NEW = Text(en="Write an entry's card as a file to fill in.", zh="產生登錄卡檔供填寫。")
CHECK = Text(en="Say what a card still lacks; exit 0 when nothing.", zh="列出登錄卡缺漏之處。")
SUBMIT = Text(
    en="Hand in a card; it can be changed while the version is a draft.",
    zh="提交登錄卡;草稿階段可再修改。",
)
WROTE = Text(
    en="Wrote {path}. Fill it in, then: trifed registry card check {path}",
    zh="已寫入 {path}。填寫後請執行:trifed registry card check {path}",
)
COMPLETE = Text(
    en="The card of {entry} is complete. Hand it in: trifed registry card submit {path}",
    zh="{entry} 的登錄卡已完整。提交:trifed registry card submit {path}",
)
KEPT = Text(
    en="The card of {entry} is kept as revision {revision}; the log has it at {place}.",
    zh="{entry} 的登錄卡已存為第 {revision} 版;紀錄位置 {place}。",
)
CommandLine = Annotated[Path, typer.Argument(help=help_text("card file", "登錄卡檔"))]


class _CardGroup(TyperGroup):
    """Takes what is none of its commands as an entry to export."""

    def parse_args(self, ctx: "click.Context", args: list[str]) -> list[str]:
        """Put `export` before an entry."""
        known = {*self.commands, "--help"}
        given = args if not args or args[0] in known else ["export", *args]
        return list(super().parse_args(ctx, given))


card_app = typer.Typer(help=t(HELP), cls=_CardGroup, no_args_is_help=True)
card_app.command("export", help=t(registry_card.CARD))(registry_card.card)


@card_app.command(help=t(NEW))
def new(
    entry: str,
    home: AtCentre,
    out: Annotated[
        Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write the card of an entry as TOML; a file that is there stays as it is."""
    from registry.models.cards import card_template, new_card

    card = new_card(_registrar(home).store, entry)
    path = out or Path(f"{card.entry}.card.toml")
    _write_new(path, card_template(card))
    emit({"entry": card.entry, "file": path}) if json_ else say(WROTE, path=path)


@card_app.command(help=t(CHECK))
def check(file: CommandLine, home: AtCentre, json_: Json = False) -> None:
    """Raise everything that the card lacks."""
    from federation.errors import ProblemsFound
    from registry.models.cards import check_card

    card = _read(file)
    problems = check_card(_registrar(home).store, card)
    if problems:
        raise ProblemsFound(problems)
    emit({"entry": card.entry, "complete": True}) if json_ else say(
        COMPLETE, entry=card.entry, path=file
    )


@card_app.command(help=t(SUBMIT))
def submit(
    file: CommandLine,
    home: AtCentre,
    person: Annotated[str, typer.Option(help=help_text("who hands it in", "提交人"))],
    organisation: Annotated[str, typer.Option(help=help_text("of which house", "所屬機構"))],
    role: Annotated[str, typer.Option(help=help_text("DEV or HAO", "DEV 或 HAO"))] = "HAO",
    json_: Json = False,
) -> None:
    """Keep the card in the register, signed, logged and audited, with its ML-BOM."""
    kept = hand_in(home, _read(file), person=person, house=organisation, role=role)
    if json_:
        emit({"entry": kept.id, "revision": kept.revision, "log_index": kept.log_index})
        return
    say(KEPT, entry=kept.id, revision=kept.revision, place=kept.log_index)


def hand_in(
    home: Path, card: "VersionCard", *, person: str, house: str, role: str
) -> "StoredRecord":
    """Keep a card as the newest revision of its version's record, with its ML-BOM.

    Raises
    ------
    PlatformError
        If it is of another record, or the register refuses it.
    """
    from datetime import UTC, datetime

    from federation.operations.registry import show_entry
    from registry.exchange.service import with_mlbom
    from registry.models.cards import submit_card, version_noun
    from registry.records.service import Records
    from registry.roles import Author, role_named

    keeper = _registrar(home)
    noun = version_noun(artefacts=keeper.artefacts, key=keeper.signer.public_key)
    records = Records(keeper.store, keeper.signer, lambda: datetime.now(UTC))
    found = show_entry(home, card.entry)
    if found.failure is not None:
        raise found.failure
    assert found.record is not None, "a home has the key that checks its entries"
    whole = with_mlbom(card, found.record, keeper.artefacts)
    return submit_card(records, noun, whole, author=Author(person, role_named(role), house))


def _registrar(home: Path) -> "Registrar":
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar

    return registrar(CentreHome.open(home))


def _read(file: Path) -> "VersionCard":
    from federation.errors.core import FileMissingError
    from registry.models.cards import MAX_CARD_BYTES, read_card

    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise FileMissingError(file=file.name, why=why) from error
    return read_card(content, name=file.name)


def _write_new(path: Path, content: str) -> None:
    from federation.errors.registry import CardFileError

    try:
        with path.open("x", encoding="utf-8") as opened:
            opened.write(content)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise CardFileError(name=path.name, why=why) from error
