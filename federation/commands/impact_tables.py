"""`trifed impact measures|sum-key|tabulate`: what may be measured, and what leaves a hospital."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.impact.hospital import Sealing
    from federation.impact.plan import Plan

MEASURES = Text(
    en="List the catalogue of measures: code, unit, direction, source.",
    zh="列出指標目錄:代碼、單位、方向、來源。",
)
SUM_KEY = Text(
    en="At a hospital: make this hospital's key for a sealed table.",
    zh="院端:產生密封資料表所需之本院金鑰。",
)
TABULATE = Text(
    en="At a hospital: make the table that may leave from a file of cases.",
    zh="院端:由個案檔產生可送出的彙總表。",
)
MEASURE = Text(
    en="{code}  {title} [{unit}], {better} is better; {source}",
    zh="{code}  {title} [{unit}],{better}為佳;{source}",
)
BETTER = {"higher": Text(en="higher", zh="較高"), "lower": Text(en="lower", zh="較低")}
TABLED = Text(
    en="Wrote {path}: {cells} cells of {least} people or more. Look at it, then send it.",
    zh="已寫入 {path}:{cells} 格,每格至少 {least} 人。請檢視後送出。",
)
READ = Text(
    en="Wrote {path}: the ratings of {cells} cases, counted in pairs. Look at it, then send it.",
    zh="已寫入 {path}:{cells} 個案之評分配對計數。請檢視後送出。",
)
SEALED = Text(
    en="Wrote {path}, sealed: noise until all hospitals' rows are added. The secret is gone; "
    "another table needs new keys of all hospitals.",
    zh="已寫入 {path}(密封):各院數值相加前僅為雜訊。秘密金鑰已移除;若須重製,各院須重新產生金鑰。",
)
KEPT = Text(
    en="Wrote {public}, to send to the centre, and {secret}, which stays here.\n"
    "It is signed by {keyid}: read that id to the other hospitals, by telephone.",
    zh="已寫入 {public}(請送交中心)與 {secret}(留存本院)。\n"
    "簽署金鑰為 {keyid}:請以電話向其他醫院核對。",
)

PlanFile = Annotated[Path, typer.Argument(metavar="PLAN", help=help_text("plan.toml", "plan.toml"))]
Hospital = Annotated[str, typer.Option("--site", help=help_text("this hospital", "本院"))]


def measures(json_: Json = False) -> None:
    """List the catalogue; needs no home."""
    from federation.impact.measures import catalogue

    known = catalogue().values()
    if json_:
        emit({"measures": [one.model_dump(mode="json", by_alias=True) for one in known]})
        return
    for one in known:
        words = {"code": one.code, "unit": one.unit, "source": one.source}
        say(MEASURE, title=t(one.name), better=t(BETTER[one.better]), **words)


def sum_key(
    plan: PlanFile,
    site: Hospital,
    key: Annotated[
        Path, typer.Option(help=help_text("signing key (PEM, 0600)", "簽署金鑰(PEM,0600)"))
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help=help_text("folder", "輸出資料夾"))],
    json_: Json = False,
) -> None:
    """Make the two files of a hospital's key; needs no home."""
    from federation.impact.plan import read_plan
    from federation.operations.impact_seals import new_sum_key

    made = new_sum_key(read_plan(read_file(plan)), site, signing_key=key, folder=out)
    if json_:
        emit({"public": made.public, "secret": made.secret, "signed_by": made.signed_by})
        return
    say(KEPT, public=made.public, secret=made.secret, keyid=made.signed_by)


def tabulate(
    plan: PlanFile,
    cases: Annotated[Path, typer.Argument(metavar="CASES", help=help_text("CSV", "CSV"))],
    out: Annotated[Path, typer.Option("--out", "-o", help=help_text("file", "輸出檔案"))],
    site: Hospital,
    fhir: Annotated[
        str | None,
        typer.Option(help=help_text("as MeasureReport of START/END", "MeasureReport,期間 起/訖")),
    ] = None,
    sum_key: Annotated[
        list[Path] | None,
        typer.Option(
            "--sum-key",
            help=help_text("of a sealed table: every hospital's key", "密封資料表:各院金鑰"),
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(help=help_text("SITE=PEM, every hospital's signer", "院所=PEM,各院簽署公鑰")),
    ] = None,
    secret: Annotated[
        Path | None, typer.Option(help=help_text("this hospital's secret", "本院秘密金鑰"))
    ] = None,
    sent: Annotated[
        list[Path] | None,
        typer.Option(help=help_text("a table that was sent earlier", "先前已送出的資料表")),
    ] = None,
    json_: Json = False,
) -> None:
    """Make a hospital's table; nothing of a case is in it."""
    from federation.errors.core import InvalidValueError
    from federation.impact.hospital import make_table
    from federation.impact.plan import read_plan
    from federation.operations.impact_seals import spend
    from federation.operations.new_files import check_new, write_new

    planned = read_plan(read_file(plan))
    check_new(out.parent, [out.name])
    sealing = _sealing(planned, site, sum_key or [], peer or [], secret)
    start, _, end = (fhir or "").partition("/")
    days = (start, end) if fhir else None
    if fhir and (planned.readers or planned.sealed):
        expected = "nothing: readings and sealed tables are no MeasureReport"
        raise InvalidValueError(field="--fhir", actual=repr(fhir[:60]), expected=expected)
    if sent and planned.sealed:
        expected = "nothing: a sealed table is noise, and its secret served once"
        raise InvalidValueError(field="--sent", actual=str(len(sent)), expected=expected)
    earlier = [read_file(one) for one in sent or []]
    made = make_table(read_file(cases), site, planned, days=days, sealing=sealing, sent=earlier)
    if secret is not None:
        spend(secret)
    (path,) = write_new(out.parent, {out.name: made.content})
    if json_:
        emit({"file": path, "cells": made.cells})
        return
    wording = SEALED if planned.sealed else READ if planned.readers else TABLED
    told = {"path": path, "cells": made.cells, "least": planned.least_cell}
    say(wording, **{name: told[name] for name in _FIELDS[wording]})


_FIELDS = {
    SEALED: ("path",),
    READ: ("path", "cells"),
    TABLED: ("path", "cells", "least"),
}


def _sealing(
    plan: "Plan", site: str, keys: list[Path], peers: list[str], secret: Path | None
) -> "Sealing | None":
    from federation.errors.core import InvalidValueError
    from federation.operations.impact_seals import read_sealing

    if secret is None:
        return None
    pinned = {}
    for one in peers:
        name, found, path = one.partition("=")
        if not (name and found and path):
            raise InvalidValueError(field="--peer", actual=repr(one[:60]), expected="SITE=PEM")
        pinned[name] = Path(path)
    return read_sealing(plan, site, keys=keys, peers=pinned, secret=secret)
