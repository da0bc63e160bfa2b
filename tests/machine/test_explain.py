"""`trifed explain` says what a code means and what to do, for every code, in both languages."""

import json

import pytest
import typer

from federation.commands.explain import explain_code, nearest, section_of, spelled
from federation.commands.pages import page_of
from federation.errors import all_errors
from federation.wording import Language


@pytest.mark.parametrize("language", ["en", "zh-Hant-TW"])
def test_every_code_is_explained_in_the_readers_language_alone(
    language: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIFED_LANG", language)
    lost = []
    for code in sorted(all_errors()):
        explain_code(code, as_json=True)
        found = json.loads(capsys.readouterr().out)
        assert (found["code"], found["docs"]) == (code, f"docs/errors/{code}.md")
        assert found["what"] and found["next_step"] and "{" not in found["what"]
        if len(found["page"]) < 20 or "## " in found["page"]:
            lost.append(code)
    assert lost == []


def test_a_person_sees_what_happened_what_to_do_and_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TRIFED_LANG", "en")
    explain_code("tf251", as_json=False)
    said = capsys.readouterr().out

    assert said.startswith("[TF251] The hospital has switched")
    assert "What to do: Ask its staff" in said
    assert "checkup.toml" in said and "docs/errors/TF251.md" in said
    assert "醫院" not in said and "該院" not in said


@pytest.mark.parametrize("given", ["TF251", "tf251", " tf 251 ", "[TF251]", "251", "TF-251"])
def test_a_code_is_understood_however_it_is_typed(given: str) -> None:
    assert spelled(given) == "TF251"


def test_an_unknown_code_gets_its_nearest_ones_and_exit_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as stop:
        explain_code("TF2511", as_json=False)
    assert stop.value.exit_code == 1
    assert "TF251" in capsys.readouterr().out

    with pytest.raises(typer.Exit):
        explain_code("TF2511", as_json=True)
    assert "TF251" in json.loads(capsys.readouterr().out)["nearest"]


def test_a_word_finds_the_codes_that_speak_of_it() -> None:
    assert "TF801" in nearest("PortTaken")
    assert "TF251" in nearest("遠端檢查")
    assert len(nearest("the")) <= 5


@pytest.mark.parametrize("given", ["", "?", "\x00", "x" * 10_000, "../../etc/passwd"])
def test_what_is_no_code_at_all_is_refused_quietly(given: str) -> None:
    with pytest.raises(typer.Exit):
        explain_code(given, as_json=True)


def test_a_page_without_the_language_is_shown_whole() -> None:
    assert section_of("# A\n\nwords", Language.EN) == "# A\n\nwords"
    page = page_of("TF416") or ""
    assert "中心" in section_of(page, Language.ZH_HANT_TW)
    assert "中心" not in section_of(page, Language.EN)
