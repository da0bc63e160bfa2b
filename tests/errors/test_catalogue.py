"""Every error has a page, both languages and a code of its own noun."""

import pickle
import re
from pathlib import Path

import pytest

from federation.errors import NOUNS, PlatformError, ProblemsFound, all_errors, error_of_code
from federation.errors.core import InvalidValueError
from federation.wording import Language, Text, fields_of

PAGES = Path(__file__).resolve().parents[2] / "docs" / "errors"
ERRORS = sorted(all_errors().items())
CHINESE = re.compile(r"[\u4e00-\u9fff]")
each_error = pytest.mark.parametrize(("code", "kind"), ERRORS, ids=[code for code, _ in ERRORS])


@each_error
def test_a_code_is_tf_and_three_digits_of_its_noun(code: str, kind: type[PlatformError]) -> None:
    noun = kind.__module__.rpartition(".")[2]

    assert re.fullmatch(r"TF[1-9][0-9]{2}", code)
    assert code.startswith(NOUNS[noun])


@each_error
def test_a_code_has_a_page_with_its_name_in_both_languages(
    code: str, kind: type[PlatformError]
) -> None:
    page = (PAGES / f"{code}.md").read_text(encoding="utf-8")
    lines = page.splitlines()

    assert lines[0] == f"# {code} {kind.__name__}"
    english, chinese = lines.index("## English"), lines.index("## 繁體中文")
    assert english < chinese
    assert len("".join(lines[english + 1 : chinese])) > 40
    assert len(CHINESE.findall("".join(lines[chinese + 1 :]))) > 12


@each_error
def test_what_and_next_step_are_sentences_in_both_languages(
    code: str, kind: type[PlatformError]
) -> None:
    for text in (kind.what, kind.next_step):
        assert text.en[-1] in ".!?)}", text.en
        assert text.zh[-1] in "。!?)}", text.zh
        assert CHINESE.search(text.zh) or fields_of(text.zh), text.zh


@each_error
def test_an_error_has_a_docstring_and_refuses_fields_it_does_not_have(
    code: str, kind: type[PlatformError]
) -> None:
    assert kind.__doc__
    with pytest.raises(TypeError):
        kind(no_such_field=1)


def test_no_page_is_without_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} == set(all_errors())


def test_an_error_is_found_by_its_code() -> None:
    assert error_of_code("TF103") is InvalidValueError
    assert error_of_code("TF999") is None


def test_an_error_survives_the_way_between_processes() -> None:
    error = InvalidValueError(field="x", actual=1, expected="2")
    again = pickle.loads(pickle.dumps(ProblemsFound([error, error])))

    assert again.say() == ProblemsFound([error, error]).say()


def test_several_problems_are_said_in_one_language() -> None:
    error = InvalidValueError(field="x", actual=1, expected="2")
    said = ProblemsFound([error, error]).say(Language.ZH_HANT_TW)

    assert said.count("請填寫") == 2
    assert "Give" not in said


def test_a_text_inside_a_text_is_said_in_the_same_language() -> None:
    outer = Text(en="Give {what}.", zh="請填寫{what}。")
    inner = Text(en="a number", zh="數值")

    assert outer.say(Language.ZH_HANT_TW, what=inner) == "請填寫數值。"
    assert outer.say(what=inner) == "Give a number."


@pytest.mark.parametrize(("en", "zh"), [("", "x"), ("x", ""), ("{a}", "{b}"), ("{a}", "x")])
def test_a_text_needs_both_languages_with_the_same_fields(en: str, zh: str) -> None:
    with pytest.raises(ValueError, match=r"needs? (both languages|the same fields)"):
        Text(en=en, zh=zh)
