"""`trifed node policy` and `trifed node person`: the rules, their signature, who may sign."""

from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands.node.homes import Home, now, open_node, record
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

HELP = Text(en="Rules that bind this hospital's node.", zh="約束本院節點的規則。")
SHOW = Text(en="Show the policy and whether it is in force.", zh="顯示政策及其是否生效。")
CHECK = Text(en="Say everything that is wrong with a policy file.", zh="列出政策檔的所有問題。")
SIGN = Text(
    en="Sign policy.toml as the data officer; it is in force from then on.",
    zh="由資料官簽署 policy.toml;自此生效。",
)
EXPLAIN = Text(
    en="Say yes or no of every rule to a study, asked and allowed.",
    zh="逐條說明政策對研究的判定、所求與所允許。",
)
PRINT = Text(en="Print a commented policy to start from.", zh="印出附註解的政策範本。")
PEOPLE = Text(en="Persons who may sign at this hospital.", zh="可於本院簽署的人員。")
ADD = Text(en="Add a person; the data officer signs.", zh="新增人員;由資料官簽署。")
REMOVE = Text(en="Let a person sign no more.", zh="停止某人的簽署資格。")
LIST = Text(en="List the persons who may sign.", zh="列出可簽署的人員。")

IN_FORCE = Text(
    en="In force: number {number}, signed {signed}, until {expires}.",
    zh="生效中:第 {number} 號,簽署於 {signed},至 {expires}。",
)
NOT_IN_FORCE = Text(en="NOT in force: [{code}] {said}", zh="未生效:[{code}] {said}")
CORRECT = Text(
    en="{file} is a valid policy. Next: trifed node policy sign",
    zh="{file} 為有效的政策。下一步:trifed node policy sign",
)
SIGNED = Text(
    en="Signed as number {number}; in force until {expires}.",
    zh="已簽署為第 {number} 號;有效至 {expires}。",
)
VERDICT = Text(
    en="{answer}  {name}: asked {asked}, allowed {allowed}",
    zh="{answer}  {name}:要求 {asked},允許 {allowed}",
)
ANSWERS = {
    "yes": Text(en="yes", zh="是"),
    "no": Text(en="NO ", zh="否"),
    "does-not-apply": Text(en="-  ", zh="—"),
}
ALLOWED = Text(
    en="The policy allows {study}; staff decide.", zh="政策允許 {study};由院方人員決定。"
)
REFUSED = Text(en="The policy refuses {study}: {reasons}", zh="政策拒絕 {study}:{reasons}")
ADDED = Text(en="{name} may sign, with key {key}.", zh="{name} 可簽署,金鑰 {key}。")
REMOVED = Text(en="{name} may sign no more.", zh="{name} 已不得簽署。")
PERSON = Text(en="{name}  {key}", zh="{name}  {key}")

policy_app = typer.Typer(help=t(HELP), no_args_is_help=True)
person_app = typer.Typer(help=t(PEOPLE), no_args_is_help=True)


@policy_app.command("show", help=t(SHOW))
def policy_show(home: Home, json_: Json = False) -> None:
    """Show the policy."""
    from clients.policy import policy_in_force, read_policy
    from federation.errors import PlatformError

    node, _ = open_node(home)
    written, language = read_policy(node.policy), settings.language()
    try:
        signed, problem = policy_in_force(node, now=now()), None
    except PlatformError as error:
        signed, problem = None, error
    if json_:
        emit(
            {
                **written.model_dump(mode="json"),
                "in_force": signed is not None,
                "number": signed.number if signed else None,
                "expires": signed.expires if signed else None,
                "problem": problem.as_json(language) if problem else None,
            }
        )
        return
    typer.echo(node.policy.read_text(encoding="utf-8"))
    if signed:
        say(IN_FORCE, number=signed.number, signed=signed.signed_at, expires=signed.expires)
    elif problem:
        say(NOT_IN_FORCE, code=problem.code, said=problem.say(language))


@policy_app.command("check", help=t(CHECK))
def policy_check(
    home: Home, file: Annotated[Path | None, typer.Argument()] = None, json_: Json = False
) -> None:
    """Check a policy file before it is signed."""
    from clients.policy import check_policy

    path = file or open_node(home)[0].policy
    found = check_policy(read_file(path))
    emit(found.model_dump(mode="json")) if json_ else say(CORRECT, file=path.name)


@policy_app.command("sign", help=t(SIGN))
def policy_sign(
    home: Home,
    reset_clock: Annotated[
        bool,
        typer.Option(
            "--reset-clock",
            help=help_text(
                "the clock was ahead before; this time is right", "先前時鐘過快;以此時為準"
            ),
        ),
    ] = False,
    json_: Json = False,
) -> None:
    """Sign the policy."""
    from clients.policy import sign_policy

    signed = sign_policy(open_node(home)[0], now=now(), resets_clock=reset_clock)
    made = {"number": signed.number, "digest": signed.digest, "expires": signed.expires}
    emit(made) if json_ else say(SIGNED, number=signed.number, expires=signed.expires)


@policy_app.command("explain", help=t(EXPLAIN))
def policy_explain(study: str, home: Home, json_: Json = False) -> None:
    """Say what every rule thinks of a study."""
    from clients.decide import case_of
    from clients.policy import judge, reasons
    from federation.domain.ids import StudyId

    node, desk = open_node(home)
    case = case_of(node, desk.proposal(StudyId(study)), now=now())
    verdicts, language = judge(case.study, case.signed.policy, case.facts), settings.language()
    against = reasons(verdicts, language)
    if json_:
        rules = [verdict.as_json(language) for verdict in verdicts]
        emit({"study": study, "allowed": not against, "policy_reasons": against, "rules": rules})
        return
    for one in verdicts:
        said = one.as_json(language)
        answer = t(ANSWERS[said["answer"]])
        say(VERDICT, answer=answer, name=said["words"], asked=said["asked"],
            allowed=said["allowed"])  # fmt: skip
    if against:
        say(REFUSED, study=study, reasons="; ".join(against))
    else:
        say(ALLOWED, study=study)


@policy_app.command("template", help=t(PRINT))
def policy_template() -> None:
    """Print the template."""
    from clients.policy import TEMPLATE

    typer.echo(TEMPLATE, nl=False)


@person_app.command("add", help=t(ADD))
def person_add(
    name: str,
    home: Home,
    key: Annotated[
        Path | None,
        typer.Option(
            help=help_text("their public key (PEM), made elsewhere", "其於他處產生的公鑰(PEM)")
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Add a person."""
    from clients.persons import People
    from federation.domain.audit import AuditKind
    from federation.evidence.verification import PublicKey

    given = None if key is None else PublicKey.from_pem(read_file(key), name=key.name)
    made = People.of(open_node(home)[0]).add(name, now=now(), key=given)
    record(home, AuditKind.PERSON_ADDED, name)
    emit({"person": name, "keyid": made.key.keyid}) if json_ else say(
        ADDED, name=name, key=made.key.keyid
    )


@person_app.command("remove", help=t(REMOVE))
def person_remove(name: str, home: Home, json_: Json = False) -> None:
    """Remove a person."""
    from clients.persons import People
    from federation.domain.audit import AuditKind

    People.of(open_node(home)[0]).remove(name, now=now())
    record(home, AuditKind.PERSON_REMOVED, name)
    emit({"person": name, "removed": True}) if json_ else say(REMOVED, name=name)


@person_app.command("list", help=t(LIST))
def person_list(home: Home, json_: Json = False) -> None:
    """List everybody who may sign."""
    from clients.persons import People

    found = People.of(open_node(home)[0]).all()
    if json_:
        emit([{"person": person.name, "keyid": person.key.keyid} for person in found])
    for person in () if json_ else found:
        say(PERSON, name=person.name, key=person.key.keyid)
