"""Say what an error code means, in the reader's language: what, what to do, and its page.

The sentences come from the error's class with its fields left open, the page from
the wheel or the checkout. A code that was never given out gets its nearest ones.
"""

import re
from difflib import get_close_matches

import typer

from federation import settings
from federation.commands.output import emit, say, t
from federation.commands.pages import page_of
from federation.wording import Language, Text

NO_CODE = Text(
    en="No error has the code {code}. Codes look like TF320.", zh="沒有代碼 {code}。代碼如 TF320。"
)
NEAREST = Text(en="Nearest ones:", zh="相近的代碼:")
ONE = Text(en="  {code}  {what}", zh="  {code}  {what}")
NEXT = Text(en="What to do: {next_step}", zh="處理方式:{next_step}")

MOST_NEAR = 5
_HEADINGS = {Language.EN: "## English", Language.ZH_HANT_TW: "## 繁體中文"}


def explain_code(given: str, *, as_json: bool) -> None:
    """Print what a code means; exit 1 where there is none, with the nearest ones."""
    from federation.errors import error_of_code

    code = spelled(given)
    kind = error_of_code(code)
    if kind is None:
        _print_nearest(given, as_json=as_json)
        raise typer.Exit(1)
    language = settings.language()
    found = {
        "code": code,
        "what": kind.what.in_general(language),
        "next_step": kind.next_step.in_general(language),
        "page": section_of(page_of(code) or "", language),
        "docs": f"docs/errors/{code}.md",
    }
    if as_json:
        emit(found)
        return
    typer.echo(f"[{code}] {found['what']}")
    typer.echo(t(NEXT, next_step=found["next_step"]))
    typer.echo(f"\n{found['page']}\n\n{found['docs']}")


def spelled(given: str) -> str:
    """Return a code as it is written, from `tf 320`, `320`, `[TF320]` and the like."""
    letters = re.sub(r"[^A-Z0-9]", "", given.upper())
    return f"TF{letters}" if letters.isdigit() else letters


def section_of(page: str, language: Language) -> str:
    """Return the part of a page in a language; all of it where it has no such part."""
    _, found, rest = page.partition(_HEADINGS[language])
    return rest.partition("\n## ")[0].strip() if found else page.strip()


def nearest(given: str) -> list[str]:
    """Return the codes spelled most like it, and those whose name or sentence has the word."""
    from federation.errors import all_errors

    known = all_errors()
    near = get_close_matches(spelled(given), known, n=MOST_NEAR, cutoff=0.6)
    word = given.strip().lower()
    spoken = [
        code
        for code, kind in sorted(known.items())
        if len(word) > 1
        and (word in kind.__name__.lower() or word in kind.what.en.lower() or word in kind.what.zh)
    ]
    return list(dict.fromkeys([*near, *spoken]))[:MOST_NEAR]


def _print_nearest(given: str, *, as_json: bool) -> None:
    from federation.errors import all_errors

    near = nearest(given)
    if as_json:
        emit({"code": None, "asked": given, "nearest": near})
        return
    say(NO_CODE, code=given)
    if near:
        say(NEAREST)
    for code in near:
        say(ONE, code=code, what=all_errors()[code].in_general(settings.language()))
