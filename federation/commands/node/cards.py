"""`trifed node card new|sign`: what this hospital says of the data a study used, signed."""

from pathlib import Path
from typing import Annotated

import typer

from federation.commands.node.homes import Home, now
from federation.commands.output import Json, emit, help_text, read_file, say, t
from federation.wording import Text

HELP = Text(
    en="The dataset card of a study: write, sign, send.", zh="研究的資料卡:撰寫、簽署、送出。"
)
NEW = Text(
    en="Write the file in which a person says what no machine knows.",
    zh="產生供人員填寫之說明檔。",
)
SIGN = Text(
    en="Sign the card: what the node knows, and what the file says.",
    zh="簽署資料卡:節點已知內容與檔案所載說明。",
)
WROTE = Text(
    en="Wrote {path}. Fill it in, then: trifed node card sign {study} {path}",
    zh="已寫入 {path}。填寫後執行:trifed node card sign {study} {path}",
)
SIGNED = Text(
    en="Signed: the data of {study}. The node sends it to the centre.",
    zh="已簽署 {study} 的資料卡。節點將送交中心。",
)

card_app = typer.Typer(help=t(HELP), no_args_is_help=True)


@card_app.command(help=t(NEW))
def new(
    study: str,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help=help_text("file to write", "輸出檔案"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write the file of words; one that is there stays as it is."""
    from clients.card_words import CARD_WORDS
    from federation.domain.ids import StudyId
    from federation.operations.new_files import write_new

    path = out or Path(f"{study}.card.toml")
    write_new(path.parent, {path.name: CARD_WORDS.format(study=StudyId(study)).encode()})
    emit({"study": study, "file": path}) if json_ else say(WROTE, path=path, study=study)


@card_app.command(help=t(SIGN))
def sign(
    study: str,
    file: Annotated[Path, typer.Argument(help=help_text("file of words", "說明檔"))],
    home: Home,
    json_: Json = False,
) -> None:
    """Sign the card of an approved study."""
    from clients.card_words import read_words
    from clients.home import NodeHome
    from clients.signed_cards import sign_card
    from federation.domain.ids import StudyId

    words = read_words(read_file(file), name=file.name)
    path = sign_card(NodeHome.open(home), StudyId(study), words, now=now())
    emit({"study": study, "file": path}) if json_ else say(SIGNED, study=study)
