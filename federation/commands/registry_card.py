"""`trifed registry card` and `import-chai`: entries in the formats that others read.

`add_to(app)` adds both to the group of `trifed registry`.
"""

from pathlib import Path
from typing import Annotated

import typer

from federation import settings
from federation.commands.output import Json, emit, help_text, say, t
from federation.wording import Language, Text
from registry.exchange.kinds import ENDINGS, Format, Table

CARD = Text(
    en="Write an entry in a format that others read.", zh="將登錄項目匯出為其他系統可讀的格式。"
)
IMPORT = Text(
    en="Read a CHAI Applied Model Card as a draft of source attributes.",
    zh="讀取 CHAI 模型資訊卡,作為透明性指標草稿。",
)
WROTE = Text(en="Wrote {path} ({format}).", zh="已寫入 {path}({format})。")
READ = Text(
    en="Read a card of version {version}: it answers {answered} of 31 attributes. "
    "Signature: {signature}.",
    zh="已讀取 {version} 版資訊卡:可回答 31 項中的 {answered} 項。簽章:{signature}。",
)
DRAFT = Text(en="The draft is in {path}.", zh="草稿位於 {path}。")

Home = Annotated[
    Path,
    typer.Option(
        "--home",
        help=help_text("centre home", "中心的工作目錄"),
        default_factory=settings.centre_home,
    ),
]
OneLanguage = Annotated[
    Language | None,
    typer.Option("--language", help=help_text("language of a CHAI card", "CHAI 資訊卡的語言")),
]


def card(
    entry: str,
    home: Home,
    format_: Annotated[Format, typer.Option("--format", help=help_text("format", "格式"))],
    out: Annotated[
        Path | None, typer.Option(help=help_text("file to write", "要寫入的檔案"))
    ] = None,
    language: OneLanguage = None,
    site: Annotated[
        str | None, typer.Option(help=help_text("site of a Croissant file", "Croissant 檔的院所"))
    ] = None,
    json_: Json = False,
) -> None:
    """Write an entry's card; nothing is written unless it satisfies its format."""
    from federation.coordinator.home import CentreHome
    from federation.operations.embedded_registry import registrar
    from federation.operations.registry import show_entry
    from registry.exchange.formats import write
    from registry.exchange.service import card_in

    found = show_entry(home, entry)
    if found.failure is not None:
        raise found.failure
    assert found.record is not None, "a home has the key that checks its entries"
    register = registrar(CentreHome.open(home))
    path = out or Path(f"{found.record.entry}{ENDINGS[format_]}")
    content = write(
        card_in(register.store, found.record, key=register.signer.public_key),
        format_,
        language=language or settings.language(),
        site=site,
        table=_table(path),
    )
    _save(path, content)
    if json_:
        emit({"entry": found.record.entry, "format": format_, "file": path})
        return
    say(WROTE, path=path, format=format_.value)


def import_chai(
    file: Path,
    out: Annotated[
        Path | None, typer.Option(help=help_text("draft to write", "要寫入的草稿檔"))
    ] = None,
    language: OneLanguage = None,
    json_: Json = False,
) -> None:
    """Read a stranger's card; nothing is registered by it."""
    from registry.exchange.chai_reading import MAX_BYTES, read_chai
    from registry.exchange.rendering import json_bytes

    spoken = language or settings.language()
    found = read_chai(_read(file, most=MAX_BYTES + 1))
    draft = found.as_json("zh-TW" if spoken is Language.ZH_HANT_TW else "en")
    if out is not None:
        _save(out, json_bytes(draft))
    if json_:
        emit(draft)
        return
    say(
        READ,
        version=draft["version"],
        answered=len(found.attributes),
        signature=draft["signature"],
    )
    if out is not None:
        say(DRAFT, path=out)


def add_to(app: typer.Typer) -> None:
    """Add both commands to a group."""
    app.command("card", help=t(CARD))(card)
    app.command("import-chai", help=t(IMPORT))(import_chai)


def _table(path: Path) -> Table:
    endings = {table.value: table for table in Table}
    return endings.get(path.suffix.lower(), Table.HTML)


def _read(path: Path, *, most: int) -> bytes:
    """Return the first `most` bytes of a file."""
    from federation.errors.core import FileMissingError

    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise FileMissingError(
            file=path.name, why=error.strerror or type(error).__name__
        ) from error


def _save(path: Path, content: bytes) -> None:
    from federation.errors.exchange import ExportNotWrittenError

    try:
        path.write_bytes(content)
    except OSError as error:
        raise ExportNotWrittenError(
            file=path.name, why=error.strerror or type(error).__name__
        ) from error
