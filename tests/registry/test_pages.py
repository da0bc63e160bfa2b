"""What a regulator reads in a terminal, in both languages."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from federation.evidence.canonical import parse
from federation.evidence.inclusion import CheckedEntry, ShownEntry, check_entry
from federation.evidence.signing import new_key
from federation.evidence.verification import PublicKey
from federation.wording import Language
from registry.models.pages import list_page, show_page
from registry.models.routes import line_of
from registry.models.service import show
from registry.pages.states import status_of
from tests.registry.builders import Centre, candidate, facts

EN, ZH = Language.EN, Language.ZH_HANT_TW


def text_of(page: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    console.print(page)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def entry_of(centre: Centre, key: PublicKey | None, **changes: object) -> CheckedEntry:
    stored, _ = centre.registrar.register(candidate(centre, **changes), actor="centre")
    found = show(centre.registrar.store, stored.entry)
    record = parse(found.record)
    assert isinstance(record, dict)
    shown = ShownEntry(
        found.entry,
        record,
        found.superseded_by,
        found.envelope,
        found.inclusion.as_json(),
        found.checkpoint,
    )
    return check_entry(shown, key=key)


def test_the_page_says_how_the_version_stands_now(centre: Centre) -> None:
    entry = entry_of(centre, centre.signer.public_key)
    assert "In the register now" not in text_of(show_page(entry, EN))
    page = text_of(show_page(entry, EN, now=status_of("internal-eval")))
    assert "In the register now: Internal evaluation." in page
    assert "not for use on" in page
    assert "目前的狀態:內部評估中" in text_of(show_page(entry, ZH, now=status_of("internal-eval")))


def test_the_page_says_what_it_is_who_took_part_and_how_good(centre: Centre) -> None:
    page = text_of(show_page(entry_of(centre, centre.signer.public_key), EN))
    for part in (
        "Pneumonia on chest films",
        "TWAI-2026-00001-4.v0.1.0",
        "no release for use on patients",
        "3 of 3 rounds at 3 sites",
        "hualien-3",
        "auroc 0.870 (0.800–0.920)",
        "7.50, 1e-05",
        "what is promised",
        "yilan-4 [TF601]",
    ):
        assert part in page
    assert len(page.splitlines()) <= 25


def test_the_page_says_that_signature_and_log_were_verified(centre: Centre) -> None:
    entry = entry_of(centre, centre.signer.public_key)
    page = text_of(show_page(entry, EN))
    assert "✓ Signed by the centre's key " + centre.signer.keyid in page
    assert "✓ Entry 7 of 7 in the log; 6 signed statements" in page
    assert "✓ 已由中心金鑰" in text_of(show_page(entry, ZH))


def test_an_entry_that_does_not_hold_shows_nothing_but_the_warning(
    centre: Centre, tmp_path: Path
) -> None:
    other = new_key(tmp_path / "other.key").public_key
    entry = entry_of(centre, other)
    page = text_of(show_page(entry, EN))
    assert "DO NOT RELY ON THIS ENTRY" in page and "TF704" in page
    assert "0.870" not in page and "✓" not in page
    assert "請勿採信" in text_of(show_page(entry, ZH))


def test_an_unchecked_entry_says_so(centre: Centre) -> None:
    entry = entry_of(centre, None)
    page = text_of(show_page(entry, EN))
    assert "Not verified" in page and "✓" not in page
    broken = replace(entry, shown=replace(entry.shown, record={"title": "x"}))
    assert "DO NOT RELY" in text_of(show_page(broken, EN))


def test_a_superseded_entry_names_its_successor(centre: Centre) -> None:
    entry = entry_of(centre, None)
    newer = replace(entry, shown=replace(entry.shown, superseded_by="TWAI-2026-00001-4.v0.1.1"))
    assert "Superseded by TWAI-2026-00001-4.v0.1.1" in text_of(show_page(newer, EN))


def test_a_suppressed_count_is_shown_as_such(centre: Centre) -> None:
    parts = facts(centre)["participants"]
    assert isinstance(parts, list)
    parts[0]["patients"] = None
    entry = entry_of(centre, None, participants=parts)
    assert "under 10" in text_of(show_page(entry, EN))
    assert "少於 10" in text_of(show_page(entry, ZH))


def test_markup_in_a_title_is_text(centre: Centre) -> None:
    study = facts(centre)["study"]
    assert isinstance(study, dict)
    entry = entry_of(centre, None, study={**study, "title": "[bold red]x[/] [link=http://x]"})
    assert "[bold red]x[/]" in text_of(show_page(entry, EN))
    with centre.registrar.store.reading() as transaction:
        lines = [line_of(item) for item in transaction.models.page(offset=0, limit=9)]
    assert "[bold" in text_of(list_page(lines, EN))


@pytest.mark.parametrize(("language", "word"), [(EN, "Pooled result"), (ZH, "合併結果")])
def test_the_list_has_a_line_for_each_entry(centre: Centre, language: Language, word: str) -> None:
    entry_of(centre, None)
    with centre.registrar.store.reading() as transaction:
        lines = [line_of(item) for item in transaction.models.page(offset=0, limit=9)]
    page = text_of(list_page(lines, language))
    assert "TWAI-2026-00001-4.v0.1.0" in page and word in page


def test_an_empty_register_says_so() -> None:
    assert "Nothing is registered" in text_of(list_page([], EN))
    assert "沒有任何登錄" in text_of(list_page([], ZH))
