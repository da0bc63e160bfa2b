"""The tutorials of the three centres run as they are printed."""

import os
import re
import shlex
from pathlib import Path
from string import Template
from typing import Any

import pytest

from federation.commands.main import run
from tests.impact_cli.builders import Home

PAGES = Path(__file__).resolve().parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
NAMES = ("ENTRY", "LEAD", "STATISTICIAN", "BOARD", "COMMITTEE", "APPROVER", "TABLES", "MAKER")


class Reader:
    """Does what a page says: `sh` and `python` blocks are run, `text` ones are looked for.

    A line that begins with `!` is to be refused. In a text `…` stands for anything.
    """

    def __init__(self, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
        self.known = {"ENTRY": home.entry, "TRIFED_CENTRE_HOME": str(home.path)}
        self.names: dict[str, Any] = {}
        self.capsys = capsys
        self.said = ""

    def read(self, page: str) -> None:
        for kind, text in BLOCK.findall((PAGES / page).read_text(encoding="utf-8")):
            if kind == "sh":
                self.said = "".join(map(self.command, text.splitlines()))
            elif kind == "python":
                exec(compile(text, page, "exec"), self.names)
            elif kind == "text":
                self.look_for(text)

    def command(self, line: str) -> str:
        words = shlex.split(Template(line).safe_substitute(self.known), comments=True)
        if words[:1] == ["export"]:
            name, _, value = words[1].partition("=")
            self.known.setdefault(name, value)
            os.environ[name] = self.known[name]
            return ""
        wanted = 1 if words[0] == "!" else 0
        program, *arguments = words[wanted:]
        assert program == "trifed", line
        self.capsys.readouterr()
        ended = run(arguments)
        out, err = self.capsys.readouterr()
        assert ended == wanted, f"{line}\n{out}{err}"
        return out + err

    def look_for(self, text: str) -> None:
        for line in filter(None, text.splitlines()):
            pattern = ".*".join(re.escape(part) for part in line.split("…"))
            assert re.search(f"^{pattern}$", self.said, re.M), f"{line}\n---\n{self.said}"


@pytest.mark.parametrize(
    "page",
    [
        "responsible-ai.md",
        "validation.md",
        "impact.md",
    ],
)
def test_a_tutorial_does_what_it_says(
    page: str,
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("TRIFED_CENTRE_HOME", str(home.path))
    monkeypatch.chdir(tmp_path)
    Reader(home, capsys).read(page)


def test_every_centre_has_a_tutorial() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {"responsible-ai", "validation", "impact"}
