"""`trifed evidence log`: the log of everything signed; audit it, read it, prove an entry.

`audit`, `show`, `prove` read a centre's home; `check` needs a file and keys, no more.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from federation.commands.homes import AtCentre
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

if TYPE_CHECKING:
    from federation.evidence.witness import Witness
    from registry.models.service import Registrar

HELP = Text(en="The log of everything that was signed.", zh="所有簽署內容的紀錄。")
AUDIT = Text(
    en="Compare every row of the register with what was signed; name what was edited.",
    zh="逐筆比對登錄資料庫與已簽署內容;指出遭更動之處。",
)
SHOW = Text(
    en="Show an entry, or without a number the log's signed state.",
    zh="顯示一筆紀錄;未指定編號則顯示紀錄的簽署狀態。",
)
PROVE = Text(en="Write an entry with its proof as a file.", zh="將一筆紀錄及其證明寫入檔案。")
CHECK = Text(en="Check such a file offline, with its witnesses.", zh="離線驗證該檔案及其見證者。")
SIGN_MODEL = Text(
    en="Sign the weights of an entry (model-signing, local key).",
    zh="簽署登錄項目的模型權重(model-signing,本地金鑰)。",
)
AUDITED = Text(
    en="The register equals what was signed: {found}", zh="登錄資料與簽署內容一致:{found}"
)
ENTRY = Text(
    en="Entry {index} of {size}, {kind}, signed by {keyid}",
    zh="第 {index} 筆(共 {size} 筆),{kind},簽署金鑰 {keyid}",
)
PROVED = Text(
    en="Wrote {path}: entry {index} in the state of {size} entries, {witnesses} witnesses. "
    "Anyone can check it: trifed evidence log check {path} --centre-key centre.pub",
    zh="已寫入 {path}:第 {index} 筆,紀錄狀態 {size} 筆,{witnesses} 位見證者。任何人可驗證:"
    "trifed evidence log check {path} --centre-key centre.pub",
)
HOLDS = Text(
    en="Entry {index} is in the log of {size} entries. Witnesses: {witnesses}",
    zh="第 {index} 筆確在 {size} 筆的紀錄中。見證者:{witnesses}",
)
SIGNED = Text(en="Wrote the signature {path}", zh="已寫入簽章 {path}")
NOBODY = Text(en="none", zh="無")

log_app = typer.Typer(help=t(HELP), no_args_is_help=True)
Index = Annotated[int, typer.Argument(help=help_text("entry, from 0", "紀錄編號,自 0 起"))]


@log_app.command(help=t(AUDIT))
def audit(
    home: AtCentre,
    seen: Annotated[
        list[Path] | None,
        typer.Option(
            help=help_text(
                "a signed state kept elsewhere: a note, a witness.json, a centre-heads.json",
                "他處保存的簽署狀態:狀態檔、witness.json 或 centre-heads.json",
            )
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Audit the register; exit 0 only when all of it is what was signed."""
    from federation.evidence.inclusion import origin_of
    from federation.evidence.kept_notes import note_in
    from registry.auditing import audit_log
    from registry.nouns import nouns_in_the_log

    keeper = _registrar(home)
    key = keeper.signer.public_key
    notes = [note_in(read_file(path), origin=origin_of(key)) for path in seen or ()]
    nouns = nouns_in_the_log(artefacts=keeper.artefacts, key=key)
    found = audit_log(keeper.store, key=key, seen=notes, nouns=nouns).as_json()
    emit(found) if json_ else say(
        AUDITED, found=", ".join(f"{name} {count}" for name, count in found.items())
    )


@log_app.command(help=t(SHOW))
def show(
    home: AtCentre,
    index: Annotated[
        int | None, typer.Argument(help=help_text("entry, from 0", "紀錄編號,自 0 起"))
    ] = None,
    json_: Json = False,
) -> None:
    """Show an entry's statement, or the newest signed state with its witnesses."""
    from federation.evidence.canonical import parse
    from federation.evidence.dsse import read_envelope
    from registry.witnesses.service import cosigned_checkpoint, witnessed_checkpoint

    with _registrar(home).store.reading() as transaction:
        log = transaction.log
        size = log.size()
        if index is None:
            note = cosigned_checkpoint(log, size) or witnessed_checkpoint(log, at_least=1)
            emit({"size": size, "checkpoint": note}) if json_ else typer.echo(note, nl=False)
            return
        entry = log.entry(index)
    envelope = read_envelope(entry.envelope)
    statement = parse(envelope.payload)
    if json_:
        emit({"index": index, "size": size, "keyid": envelope.keyid, "statement": statement})
        return
    kind = str(statement.get("predicateType")) if isinstance(statement, dict) else "?"
    say(ENTRY, index=index, size=size, kind=kind, keyid=envelope.keyid)
    emit(statement)


@log_app.command(help=t(PROVE))
def prove(
    index: Index,
    home: AtCentre,
    out: Annotated[
        Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))
    ] = None,
    json_: Json = False,
) -> None:
    """Prove an entry in the state that most witnesses signed."""
    from federation.evidence.checkpoint import checkpoint_of, split_note
    from federation.evidence.log_proof import LogProof
    from federation.storage import write_atomic
    from registry.evidence.service import prove_inclusion
    from registry.witnesses.service import witnessed_checkpoint

    with _registrar(home).store.reading() as transaction:
        log = transaction.log
        note = witnessed_checkpoint(log, at_least=index + 1)
        size = checkpoint_of(split_note(note)[0]).size
        inclusion = prove_inclusion(log, index, size=size)
        witnesses = len(log.cosignatures(size))
        proof = LogProof(log.entry(index).envelope, inclusion, note)
    path = out or Path(f"entry-{index}.proof.json")
    write_atomic(path, proof.as_bytes(), mode=0o644)
    found = {"index": index, "size": size, "witnesses": witnesses}
    emit({"proof": path, **found}) if json_ else say(PROVED, path=path, **found)


@log_app.command(help=t(CHECK))
def check(
    file: Path,
    centre_key: Annotated[
        Path,
        typer.Option(
            "--centre-key",
            help=help_text(
                "the centre's public key, from a source you trust", "中心公鑰,須來自可信來源"
            ),
        ),
    ],
    witness: Annotated[
        list[str] | None,
        typer.Option(
            help=help_text(
                "NAME=KEYFILE of a witness you trust", "您信任的見證者,格式為 名稱=公鑰檔"
            )
        ),
    ] = None,
    needed: Annotated[
        int | None,
        typer.Option(
            min=0, help=help_text("how many must have signed; default all", "至少幾位;預設全部")
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """Check a proof; exit 0 only when it holds and enough witnesses signed."""
    from federation.evidence.log_proof import LogProof, check_proof
    from federation.evidence.verification import PublicKey

    witnesses = [_witness(one) for one in witness or ()]
    found = check_proof(
        LogProof.from_bytes(read_file(file)),
        log=PublicKey.load(centre_key),
        witnesses=witnesses,
        needed=len(witnesses) if needed is None else needed,
    )
    if json_:
        size = found.checkpoint.size
        emit({"index": found.index, "size": size, "witnesses": list(found.witnesses)})
        return
    names = ", ".join(found.witnesses) or t(NOBODY)
    say(HOLDS, index=found.index, size=found.checkpoint.size, witnesses=names)


@log_app.command("sign-model", help=t(SIGN_MODEL))
def sign_model(entry: str, home: AtCentre, json_: Json = False) -> None:
    """Sign the model file of an entry with the register's key for weights."""
    from federation.evidence.model_version import Record
    from registry.evidence.weights import sign_model
    from registry.models.service import find

    keeper = _registrar(home)
    with keeper.store.reading() as transaction:
        record = Record.from_json(find(transaction.models, entry).record.encode())
    key = _weights_key(home)
    path = sign_model(keeper.artefacts, record.model, key=key, signer=keeper.signer)
    emit({"entry": record.entry, "signature": path}) if json_ else say(SIGNED, path=path)


def _registrar(home: Path) -> "Registrar":
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar

    return registrar(CentreHome.open(home))


def _weights_key(home: Path) -> Path:
    """Return where a centre keeps its key for weights, beside its evidence key."""
    from federation.coordinator.home import CentreHome

    return CentreHome.open(home).evidence_key.with_name("weights.key")


def _witness(given: str) -> "Witness":
    from federation.evidence.verification import PublicKey
    from federation.evidence.witness import Witness

    name, _, path = given.partition("=")
    return Witness(name, PublicKey.load(Path(path)))
