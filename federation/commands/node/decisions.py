"""`trifed node proposals|approve|refuse|withdraw|policy`: what is asked, and the answer."""

from typing import TYPE_CHECKING, Annotated

import typer

from federation import settings
from federation.commands.node.homes import Home, now, open_node
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from clients.approvals import Desk
    from clients.home import NodeHome
    from federation.domain.study import Study

PROPOSALS = Text(
    en="Show what is asked of this hospital, in words.", zh="以文字顯示向本院提出的研究。"
)

APPROVE = Text(en="Sign an approval of exactly this study.", zh="簽署核准此研究。")

REFUSE = Text(en="Sign a refusal with a reason.", zh="簽署拒絕並附理由。")

WITHDRAW = Text(
    en="Sign the end of an approval; it binds from the next message on.",
    zh="簽署撤回核准;自下一則訊息起生效。",
)

EXPLAIN = Text(en="Say what the policy thinks of a study.", zh="說明政策對研究的判定。")

NOTHING = Text(en="Nothing is proposed to this hospital.", zh="目前沒有向本院提出的研究。")

PROPOSAL = Text(
    en="""{id}  [{decision}]  digest {digest}
  {title}
  Asked by {centre}, for {purpose}; until {expires}.
  Trains {recipe} for {rounds} rounds on the cohort {cohort}, {quorum} of {sites} sites at least.
  What leaves: a model update, patient count and loss per round; metrics at the end.
  Privacy: {privacy}
  Policy: {policy}
""",
    zh="""{id}  [{decision}]  摘要 {digest}
  {title}
  由 {centre} 提出,目的:{purpose};有效至 {expires}。
  以世代 {cohort} 訓練 {recipe},共 {rounds} 輪,{sites} 個站點中至少 {quorum} 個。
  離院內容:每輪一份模型更新、病人數、訓練損失;最後為評估指標。
  隱私:{privacy}
  政策:{policy}
""",
)

PRIVATE = Text(
    en="at most epsilon {epsilon:g} at delta {delta:g} per patient over the whole study",
    zh="整個研究中每位病人至多 epsilon {epsilon:g}(delta {delta:g})",
)

NOT_PRIVATE = Text(en="no differential privacy", zh="未使用差分隱私")

POLICY_YES = Text(en="allows it", zh="允許")

POLICY_NO = Text(en="refuses it: {reasons}", zh="拒絕:{reasons}")

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

REFUSED = Text(en="Refused and signed: {study}.", zh="已拒絕並簽署:{study}。")

WITHDRAWN = Text(en="Withdrawn and signed: {study}.", zh="已撤回並簽署:{study}。")

policy_app = typer.Typer(help=t(EXPLAIN), no_args_is_help=True)

app = typer.Typer()


@app.command(help=t(PROPOSALS))
def proposals(home: Home, json_: Json = False) -> None:
    """Show every proposal in words."""
    node, desk = open_node(home)
    listed = [_described(node, desk, study) for study in desk.proposed()]
    if json_:
        emit(listed)
    elif not listed:
        say(NOTHING)
    for one in () if json_ else listed:
        typer.echo(_in_words(node, one))


@app.command(help=t(APPROVE))
def approve(
    study: str,
    home: Home,
    digest: Annotated[
        str | None, typer.Option(help=help_text("refuse any version but this", "只核准此版本"))
    ] = None,
    json_: Json = False,
) -> None:
    """Approve a study."""
    from clients.decide import approve_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = approve_study(NodeHome.open(home), StudyId(study), now=now(), digest=digest)
    emit({"study": study, "decision": "approved", "file": path}) if json_ else say(
        APPROVED, study=study
    )


@app.command(help=t(REFUSE))
def refuse(
    study: str,
    home: Home,
    reason: Annotated[str, typer.Option(help=help_text("the centre reads it", "中心會讀到"))],
    json_: Json = False,
) -> None:
    """Refuse a study."""
    from clients.decide import refuse_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = refuse_study(NodeHome.open(home), StudyId(study), reason=reason, now=now())
    emit({"study": study, "decision": "refused", "file": path}) if json_ else say(
        REFUSED, study=study
    )


@app.command(help=t(WITHDRAW))
def withdraw(
    study: str,
    home: Home,
    reason: Annotated[str, typer.Option(help=help_text("the centre reads it", "中心會讀到"))],
    json_: Json = False,
) -> None:
    """End an approval."""
    from clients.decide import withdraw_study
    from clients.home import NodeHome
    from federation.domain.ids import StudyId

    path = withdraw_study(NodeHome.open(home), StudyId(study), reason=reason, now=now())
    emit({"study": study, "decision": "withdrawn", "file": path}) if json_ else say(
        WITHDRAWN, study=study
    )


@policy_app.command("show", help=t(EXPLAIN))
def policy_show(home: Home, json_: Json = False) -> None:
    """Show the policy."""
    from clients.policy import read_policy

    node, _ = open_node(home)
    found = read_policy(node.policy)
    emit(found.model_dump(mode="json")) if json_ else typer.echo(
        node.policy.read_text(encoding="utf-8")
    )


@policy_app.command("explain", help=t(EXPLAIN))
def policy_explain(study: str, home: Home, json_: Json = False) -> None:
    """Say what the policy thinks of a study."""
    from federation.domain.ids import StudyId

    node, desk = open_node(home)
    one = _described(node, desk, desk.proposal(StudyId(study)))
    emit(one) if json_ else typer.echo(_in_words(node, one))


def _described(node: "NodeHome", desk: "Desk", study: "Study") -> dict[str, object]:
    from clients.approvals import decision_of
    from clients.policy import read_policy, reasons_against
    from federation.evidence.verification import PublicKey
    from federation.recipes import catalogue as recipes
    from federation.wire.study import study_as_json

    decision = decision_of(desk, study, PublicKey.load(node.officer_public_key))
    reasons = reasons_against(
        study,
        read_policy(node.policy),
        recipe=recipes.recipe(study.recipe),
        now=now(),
        language=settings.language(),
    )
    return {
        "study": study_as_json(study),
        "decision": None if decision is None else decision.value,
        "policy_reasons": reasons,
    }


def _in_words(node: "NodeHome", one: dict[str, object]) -> str:
    study, reasons = one["study"], one["policy_reasons"]
    assert isinstance(study, dict)
    assert isinstance(reasons, list)
    privacy, decision = study["privacy"], one["decision"]
    return t(
        PROPOSAL,
        id=study["id"],
        digest=str(study["digest"]).removeprefix("sha256:")[:12],
        decision=t(UNDECIDED if decision is None else DECIDED[str(decision)]),
        title=study["title"],
        centre=node.settings().centre,
        purpose=study["purpose"],
        expires=study["expires"],
        recipe=study["recipe"],
        rounds=study["training"]["rounds"],
        cohort=study["cohort"],
        quorum=study["quorum"],
        sites=len(study["sites"]),
        privacy=t(NOT_PRIVATE) if privacy is None else t(PRIVATE, **_pick(privacy)),
        policy=t(POLICY_NO, reasons="; ".join(reasons)) if reasons else t(POLICY_YES),
    )


def _pick(privacy: dict[str, object]) -> dict[str, object]:
    return {"epsilon": privacy["epsilon"], "delta": privacy["delta"]}
