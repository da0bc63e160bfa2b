"""The options of whoever acts in the register, as commands of the three centres take them.

    @app.command()
    @acts("IMP-P")                       # --home --person --organisation --role --json
    def freeze(acting: Acting, study: Study) -> None:
        kept = operations.freeze(acting.desk, study, actor=acting.actor)
        say_kept(kept, as_json=acting.as_json)

Whoever has the home's key may name any author here: it is the centre's own tool; people
elsewhere use the API, which knows who they are.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.operations.embedded_registry import Actor, Following, RecordDesk
    from registry.records.ports import StoredRecord
    from registry.records.service import Moved

Person = Annotated[str, typer.Option("--person", help=help_text("who acts", "執行人"))]
House = Annotated[str, typer.Option("--organisation", help=help_text("of which house", "所屬機構"))]
InRole = Annotated[str, typer.Option("--role", help=help_text("in which role", "角色"))]
ReportFile = Annotated[
    Path, typer.Option("--out", "-o", help=help_text("file, .html or .pdf", "檔案,.html 或 .pdf"))
]
Reason = Annotated[str, typer.Option("--reason", help=help_text("why", "理由"))]

KEPT = Text(
    en="{id} is kept as revision {revision} ({state}); the log has it at {place}.",
    zh="{id} 已存為第 {revision} 版({state});紀錄位置 {place}。",
)
STANDS = Text(
    en="{id}: {state}, revision {revision}, log entry {place}, {at}",
    zh="{id}:{state},第 {revision} 版,紀錄位置 {place},{at}",
)
WAITS = Text(en="Signed. Still missing: somebody of {roles}.", zh="已簽署。尚缺:{roles}。")
NEXT = Text(en="{move} -> {state}, by {roles}", zh="{move} -> {state},由 {roles} 執行")
LACKS = Text(en="  lacks [{code}]: {what} {next_step}", zh="  尚缺 [{code}]:{what}{next_step}")
READY = Text(en="  nothing is missing", zh="  無缺漏")
WROTE_REPORT = Text(en="Wrote {path}.", zh="已寫入 {path}。")
NOTHING_FOLLOWS = Text(en="Nothing follows; its record stays.", zh="無後續;紀錄永久保留。")


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts on the records of which home, and whether the answer is for machines."""

    home: Path
    actor: "Actor"
    as_json: bool

    @property
    def desk(self) -> "RecordDesk":
        """Return the records of the home; raises `HomeMissingError` if it is none."""
        from federation.operations.impact import open_desk

        return open_desk(self.home)


def acts(role: str | None = None) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return what gives a command the options of whoever acts, as its one argument `acting`.

    Parameters
    ----------
    role
        In which role people do this if they do not say; None: it must be said.
    """

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        def wrapped(
            *, home: Path, person: str, organisation: str, role: str, json_: bool, **own: object
        ) -> None:
            command(Acting(home, actor(person, organisation, role), json_), **own)

        parameters = [*list(inspect.signature(command).parameters.values())[1:], *_shared(role)]
        signature = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        wrapped.__annotations__ = {one.name: one.annotation for one in signature}
        wrapped.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        return wrapped

    return wrap


def _shared(role: str | None) -> list[inspect.Parameter]:
    """Return the options of whoever acts, as a command's signature has them."""
    empty = inspect.Parameter.empty
    asked = {
        "home": (AtCentre, empty),
        "person": (Person, empty),
        "organisation": (House, empty),
        "role": (InRole, empty if role is None else role),
        "json_": (Json, False),
    }
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=kind, default=default)
        for name, (kind, default) in asked.items()
    ]


def actor(person: str, organisation: str, role: str) -> "Actor":
    """Return who acts."""
    from federation.operations.embedded_registry import Actor

    return Actor(person, organisation, role)


def write_report(make: Callable[..., bytes], path: Path, *, as_json: bool) -> None:
    """Write a report in the user's language: PDF by the file's name, else HTML.

    Parameters
    ----------
    make
        Takes the language and `pdf`; returns the report.
    """
    from federation.operations.new_files import check_new, write_new

    check_new(path.parent, [path.name])
    content = make(settings.language(), pdf=path.suffix == ".pdf")
    write_new(path.parent, {path.name: content})
    emit({"file": path, "size_bytes": len(content)}) if as_json else say(WROTE_REPORT, path=path)


def say_kept(record: "StoredRecord", *, as_json: bool, **more: object) -> None:
    """Say where a revision was kept; `more` goes into the JSON."""
    place = {"revision": record.revision, "state": record.state}
    if as_json:
        emit({"id": record.id, **place, "log_index": record.log_index, **more})
        return
    say(KEPT, id=record.id, place=record.log_index, **place)


def say_moved(done: "Moved", *, as_json: bool) -> None:
    """Say what a signature did: the move, or who is still missing."""
    missing = [sorted(one.value for one in seat) for seat in done.missing]
    if missing and not as_json:
        say(WAITS, roles="; ".join("/".join(seat) for seat in missing))
        return
    say_kept(done.record, as_json=as_json, missing=missing)


def say_following(following: "tuple[Following, ...]") -> None:
    """Say which moves the state allows, by whom, and what each lacks."""
    for one in following:
        say_next(one)
    if not following:
        say(NOTHING_FOLLOWS)


def say_next(one: "Following") -> None:
    """Say of one move who makes it, and every coded reason that holds it back."""
    language = settings.language()
    roles = " + ".join("/".join(map(_role, seat)) for seat in one.seats)
    say(NEXT, move=one.number, state=one.after, roles=roles)
    for problem in one.held_back:
        what, do = problem.say_what(language), problem.say_next_step(language)
        say(LACKS, code=problem.code, what=what, next_step=do)
    if not one.held_back:
        say(READY)


def _role(name: str) -> str:
    """Return a role's code with what people call it."""
    from registry.roles import Role

    return f"{name} ({t(Role(name).title)})"
