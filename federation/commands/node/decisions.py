"""`trifed node proposals|endorse|approve|refuse|withdraw`: what is asked, and the answer."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.node.homes import Home, now, open_node
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from clients.approvals import Desk
    from clients.briefing import Briefing
    from clients.home import NodeHome
    from federation.domain.study import Study

PROPOSALS = Text(
    en="Show what is asked of this hospital; name one to read all of it.",
    zh="列出向本院提出的研究;指定其一可閱讀全文。",
)
APPROVE = Text(en="Sign an approval of exactly this study.", zh="簽署核准此研究。")
ENDORSE = Text(
    en="Sign, as a second person, that this study may be approved.",
    zh="以第二人身分簽署同意核准此研究。",
)
REFUSE = Text(en="Sign a refusal with a reason.", zh="簽署拒絕並附理由。")
WITHDRAW = Text(
    en="Sign the end of an approval; it binds from the next message on.",
    zh="簽署撤回核准;自下一則訊息起生效。",
)
NOTHING = Text(en="Nothing is proposed to this hospital.", zh="目前沒有向本院提出的研究。")
WHAT = Text(
    en="""{id}  [{decision}]  digest {digest}
  {title}
  Asked by {centre} (key {key}){person}, for {purpose}.
  {does} {recipe} on the cohort {cohort}, {quorum} of {sites} sites at least.
  How long: {rounds} rounds; the approval ends {expires}, in {days} days.""",
    zh="""{id}  [{decision}]  摘要 {digest}
  {title}
  由 {centre}(金鑰 {key}){person}提出,目的:{purpose}。
  世代 {cohort}:{does} {recipe},{sites} 個站點中至少 {quorum} 個。
  期限:{rounds} 輪;核准於 {expires} 到期,尚有 {days} 天。""",
)
DATA = Text(
    en="Data here: {patients} patients, {images} images. What is admitted later is not covered.",
    zh="院內資料:{patients} 位病人、{images} 張影像。之後收錄者不在核准範圍內。",
)
TRAINS = Text(en="Trains", zh="訓練")
EVALUATES = Text(
    en="Trains nothing; evaluates {entries}, of recipe", zh="不進行訓練;評估 {entries},配方"
)
FITS = Text(
    en="Trains nothing; fits {analyses} to tables of outcomes,",
    zh="不進行訓練;以結果資料表配適 {analyses},",
)
LINES = Text(
    en="Data here: {patients} patients with a line in the table. What is added later is not "
    "covered.",
    zh="院內資料:資料表中有 {patients} 位病人。之後加入者不在核准範圍內。",
)
LEAVES = Text(en="What leaves:", zh="離院內容:")
LEAVING = Text(
    en="  {when}: {words} ({field}), at most {size}",
    zh="  {when}:{words}({field}),至多 {size}",
)
AMONG = Text(
    en="The sum is among these hospitals; compare their keys with them before you approve:",
    zh="加總由以下院所組成;核准前請與各院核對金鑰:",
)
PEER = Text(en="  {site}  {key}  {known}", zh="  {site}  {key}  {known}")
OWN = Text(en="this hospital", zh="本院")
COMPARED = Text(en="compared (policy)", zh="已核對(政策)")
NOT_COMPARED = Text(en="not compared", zh="未核對")
COST = Text(
    en="Privacy: at most epsilon {epsilon:g} at delta {delta:g} for one patient over the study. "
    "In the last {period_days} days all studies spent {spent:.3f} of {budget:g}; at least "
    "{left:.3f} stays when this one took all it asks for.",
    zh="隱私:整個研究中每位病人至多 epsilon {epsilon:g}(delta {delta:g})。近 {period_days} 天"
    "所有研究已用 {spent:.3f},上限 {budget:g};此研究用盡後至少剩餘 {left:.3f}。",
)
NO_PRIVACY = Text(en="Privacy: no differential privacy.", zh="隱私:未使用差分隱私。")
POLICY_YES = Text(en="Policy: every rule allows it.", zh="政策:所有規則皆允許。")
POLICY_NO = Text(en="Policy: refuses it: {reasons}", zh="政策:拒絕:{reasons}")
PROBLEM = Text(en="Cannot be judged: [{code}] {said}", zh="無法判定:[{code}] {said}")
BY = Text(en=", {person}", zh="、{person} ")
UNDECIDED = Text(en="undecided", zh="未決定")
DECIDED = {
    "approved": Text(en="approved", zh="已核准"),
    "refused": Text(en="refused", zh="已拒絕"),
    "withdrawn": Text(en="withdrawn", zh="已撤回"),
}
APPROVED = Text(
    en="Approved and signed: {study}. The node sends it to the centre.",
    zh="已核准並簽署:{study}。節點將送交中心。",
)
ENDORSED = Text(
    en="Endorsed by {by}: {study}. Next, the data officer: trifed node approve {study}",
    zh="{by} 已背書:{study}。下一步由資料官執行:trifed node approve {study}",
)
REFUSED = Text(en="Refused and signed: {study}.", zh="已拒絕並簽署:{study}。")
WITHDRAWN = Text(en="Withdrawn and signed: {study}.", zh="已撤回並簽署:{study}。")

Digest = Annotated[
    str | None, typer.Option(help=help_text("refuse any version but this", "只接受此版本"))
]
Reason = Annotated[str, typer.Option(help=help_text("the centre reads it", "中心會讀到"))]

app = typer.Typer()


@app.command(help=t(PROPOSALS))
def proposals(
    home: Home, study: Annotated[str | None, typer.Argument()] = None, json_: Json = False
) -> None:
    """Show every proposal, or one, in words."""
    node, desk = open_node(home)
    listed = _asked_for(desk, study)
    if not listed and not json_:
        say(NOTHING)
        return
    shown = [_briefing(node, one) for one in listed]
    if json_:
        emit([_as_json(one) for one in shown])
    for one in () if json_ else shown:
        say(WHAT, **_asked(one))
        for line in _in_words(one):
            typer.echo(f"  {line}")


@app.command(help=t(APPROVE))
def approve(study: str, home: Home, digest: Digest = None, json_: Json = False) -> None:
    """Approve a study."""
    from clients.decide import approve_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = approve_study(NodeHome.open(home), StudyId(study), now=now(), digest=digest)
    emit({"study": study, "decision": "approved", "file": path}) if json_ else say(
        APPROVED, study=study
    )


@app.command(help=t(ENDORSE))
def endorse(
    study: str,
    home: Home,
    by: Annotated[str, typer.Option(help=help_text("your name in people/", "您在 people/ 的名稱"))],
    digest: Digest = None,
    key: Annotated[
        Path | None,
        typer.Option(help=help_text("your private key, if not here", "您的私鑰(若不在此處)")),
    ] = None,
    json_: Json = False,
) -> None:
    """Endorse a study as the second of two persons."""
    from clients.decide import endorse_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    node = NodeHome.open(home)
    path = endorse_study(node, StudyId(study), by=by, now=now(), digest=digest, key=key)
    emit({"study": study, "endorsed_by": by, "file": path}) if json_ else say(
        ENDORSED, study=study, by=by
    )


@app.command(help=t(REFUSE))
def refuse(study: str, home: Home, reason: Reason, json_: Json = False) -> None:
    """Refuse a study."""
    from clients.decide import refuse_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = refuse_study(NodeHome.open(home), StudyId(study), reason=reason, now=now())
    emit({"study": study, "decision": "refused", "file": path}) if json_ else say(
        REFUSED, study=study
    )


@app.command(help=t(WITHDRAW))
def withdraw(study: str, home: Home, reason: Reason, json_: Json = False) -> None:
    """End an approval."""
    from clients.decide import withdraw_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = withdraw_study(NodeHome.open(home), StudyId(study), reason=reason, now=now())
    emit({"study": study, "decision": "withdrawn", "file": path}) if json_ else say(
        WITHDRAWN, study=study
    )


def _asked_for(desk: "Desk", study: str | None) -> "list[Study]":
    from federation.domain.ids import StudyId

    return desk.proposed() if study is None else [desk.proposal(StudyId(study))]


def _briefing(node: "NodeHome", study: "Study") -> "Briefing":
    from clients.briefing import briefing_of

    return briefing_of(node, study, now=now(), language=settings.language())


def _as_json(found: "Briefing") -> dict[str, object]:
    from federation.wire.study import study_as_json

    return {"study": study_as_json(found.study), **found.as_json(settings.language())}


def _asked(found: "Briefing") -> dict[str, object]:
    study, proposer, decision = found.study, found.proposer, found.decision
    person = proposer.person if proposer else ""
    return {
        "id": study.id,
        "digest": found.digits,
        "title": study.title,
        "decision": t(UNDECIDED if decision is None else DECIDED[decision.value]),
        "centre": found.centre,
        "key": proposer.keyid.hex[:12] if proposer else "?",
        "person": t(BY, person=person) if person else "",
        "purpose": study.purpose.value,
        "does": _does(study),
        "recipe": study.recipe,
        "cohort": study.cohort,
        "quorum": study.quorum,
        "sites": len(study.sites),
        "rounds": study.training.rounds,
        "expires": study.expires,
        "days": found.days,
    }


def _does(study: "Study") -> str:
    if study.outcomes is not None:
        return t(FITS, analyses=", ".join(one.name for one in study.outcomes.analyses))
    if study.evaluation is None:
        return t(TRAINS)
    return t(EVALUATES, entries=", ".join(one.entry for one in study.evaluation.versions))


def _data(found: "Briefing") -> str:
    counts = {name: found.counts[name] for name in ("patients", "images")}
    is_table = found.study.outcomes is not None
    return t(LINES, patients=counts["patients"]) if is_table else t(DATA, **counts)


def _in_words(found: "Briefing") -> list[str]:
    from clients.policy import reasons

    language, cost = settings.language(), found.cost
    if found.problem is not None:
        return [t(PROBLEM, code=found.problem.code, said=found.problem.say(language))]
    against = reasons(found.verdicts, language)
    return [
        _data(found),
        t(LEAVES),
        *(
            t(LEAVING, when=one.when, words=one.words, field=one.field, size=_size(one.bytes))
            for one in found.leaves
        ),
        *_peers(found),
        t(NO_PRIVACY)
        if cost is None
        else t(
            COST,
            epsilon=cost.epsilon,
            delta=cost.delta,
            spent=cost.spent,
            budget=cost.budget,
            left=cost.left,
            period_days=cost.period_days,
        ),
        t(POLICY_NO, reasons="; ".join(against)) if against else t(POLICY_YES),
    ]


def _peers(found: "Briefing") -> list[str]:
    """Return among whom a sum is, with the ids of their nodes' keys; nothing without a sum."""
    if not found.peers:
        return []
    known = [
        OWN if one.is_own else COMPARED if one.is_known else NOT_COMPARED for one in found.peers
    ]
    lines = zip(found.peers, known, strict=True)
    return [
        t(AMONG),
        *(t(PEER, site=one.site, key=one.keyid, known=t(said)) for one, said in lines),
    ]


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 100_000 else f"{size_bytes:,} B"
