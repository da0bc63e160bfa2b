"""The public pages over HTTP: search, entries, proofs, the log; hidden and broken entries."""

import re
import sqlite3
import zipfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from federation.evidence.checkpoint import verify_checkpoint
from federation.evidence.inclusion import origin_of
from federation.evidence.model_version import ModelVersionState as State
from registry.models.numbers import model_id
from registry.models.version_card import Code, Organisation
from registry.pages.ports import Choice, Wanted
from registry.pages.routes import PUBLIC_PAGES
from registry.pages.tables import sql_index
from tests.databases import own_schema
from tests.postgres import postgres  # noqa: F401
from tests.registry.access_builders import Browser
from tests.registry.bundles import statements
from tests.registry.page_builders import Register, both, make_register
from tests.registry.record_builders import TFD

MG = (
    Code(kind="modality", system="DICOM", code="MG"),
    Code(kind="body-part", system="DICOM", code="BREAST"),
    Code(kind="condition", system="ICD-10", code="C50.9", display="malignant neoplasm"),
)
SECRET = (Code(kind="modality", system="DICOM", code="XX"),)


@dataclass
class Filled:
    """A register with a live entry, one in pilot, and three that the public never saw."""

    register: Register
    chest: str
    breast: str
    hidden: list[str]

    def find(self, **wanted: Any) -> list[str]:
        found = sql_index(self.register.house.url).search(Wanted(**wanted))
        assert found.total == len(found.items)
        return [record.id for record in found.items]


def fill(register: Register) -> Filled:
    chest = register.enter(register.candidate("chest"))
    breast = register.enter(
        register.candidate("breast"),
        State.PILOT,
        name=both("乳房攝影 100%_病灶", "Lesions on mammograms 100%_"),
        organisation=Organisation(name=both("國泰醫院", "Cathay Hospital")),
        intended_use=both("協助判讀乳房攝影", "Helps to read mammograms."),
        codes=MG,
    )
    register.deploy(breast, "taipei-2", "pilot")
    register.deploy(breast, "penghu-9", "planned")
    hidden = [
        register.enter(
            register.candidate(state.value), state, name=both("隱藏", "Hidden"), codes=SECRET
        )
        for state in (State.DRAFT, State.SUSPENDED, State.REJECTED)
    ]
    return Filled(register, chest, breast, hidden)


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return make_register(tmp_path)


@pytest.fixture
def filled(register: Register) -> Filled:
    return fill(register)


def ask(register: Register, path: str, **headers: str) -> httpx.Response:
    return Browser(register.app()).get(path, headers=headers)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_the_search_finds_by_every_field_and_only_public_entries(
    request: pytest.FixtureRequest, tmp_path: Path, database: str
) -> None:
    is_sqlite = database == "sqlite"
    url = None if is_sqlite else own_schema(str(request.getfixturevalue("postgres")))
    there = fill(make_register(tmp_path, url=url))
    chest, breast = there.chest, there.breast
    assert there.find() == [breast, chest]
    for wanted, found in (
        ({"text": "MAMMOGRAMS lesions"}, [breast]),
        ({"text": "乳房攝影"}, [breast]),
        ({"text": chest}, [chest]),
        ({"text": "100%_"}, [breast]),
        ({"text": "%"}, [breast]),
        ({"text": "_ammograms"}, []),
        ({"text": "hidden"}, []),
        ({"text": "' OR 1=1 --"}, []),
        ({"modality": "MG"}, [breast]),
        ({"modality": "XX"}, []),
        ({"body_part": "CHEST"}, [chest]),
        ({"condition": "c50.9"}, [breast]),
        ({"condition": "pneumonia"}, [chest]),
        ({"status": "pilot"}, [breast]),
        ({"status": "suspended"}, []),
        ({"hospital": "Taipei"}, [breast]),
        ({"hospital": "0421040011"}, [breast]),
        ({"hospital": "cathay"}, [breast]),
        ({"hospital": "penghu"}, []),
        ({"hospital": "%"}, []),
        ({"modality": "MG", "status": "live"}, []),
    ):
        assert there.find(**wanted) == found, wanted
    index = sql_index(there.register.house.url)
    values = {one.value for one in index.choices()}
    assert values == {"MG", "BREAST", "DX", "CHEST"}
    assert Choice("modality", "MG") in index.choices()
    assert index.search(Wanted()).hospitals == {breast: ["taipei-2"]}
    beyond = index.search(Wanted(skip=100))
    assert (beyond.total, list(beyond.items)) == (2, [])


def test_a_version_suspended_after_registration_stays_public(filled: Filled) -> None:
    register = filled.register
    records, versions = register.records, register.versions
    records.move(versions, filled.chest, "T9", author=TFD, revision=1, reason="harm")
    assert filled.find(status="suspended") == [filled.chest]
    page = ask(register, f"/register/{filled.chest}")
    assert page.status_code == 200 and "must not be used" in page.text
    assert "TFDA liaison" in page.text and "tfd-1" not in page.text and "harm" not in page.text


def test_a_hidden_entry_is_answered_as_one_that_is_not_there(filled: Filled) -> None:
    browser = Browser(filled.register.app())
    unknown = model_id(year=2026, number=99) + ".v0.1.0"
    for entry in filled.hidden:
        for path in ("", "/proof", "/lineage", "/bundle.zip"):
            hidden = browser.get(f"/register/{entry}{path}")
            nothing = browser.get(f"/register/{unknown}{path}")
            assert hidden.status_code == nothing.status_code == 404
            told = hidden.text.replace(entry, "ENTRY"), nothing.text.replace(unknown, "ENTRY")
            assert told[0] == told[1]
            headers = dict(hidden.headers), dict(nothing.headers)
            assert {**headers[0], "content-length": ""} == {**headers[1], "content-length": ""}
        assert entry not in browser.get("/register").text


def test_other_versions_are_named_where_the_public_may_know_of_them(register: Register) -> None:
    first = register.enter(register.candidate())
    second = register.candidate(run="cxr-2026.2", statements=[])
    third = register.candidate(run="cxr-2026.3", statements=[])
    register.enter(second, State.DRAFT)
    assert len({one.partition(".v")[0] for one in (first, second, third)}) == 1
    page = ask(register, f"/register/{first}").text
    assert second not in page and third not in page
    register.enter(third)
    page = ask(register, f"/register/{first}").text
    assert second not in page and third in page
    answer = ask(register, f"/register/{first.partition('.v')[0]}")
    assert answer.headers["location"] == f"/register/{third}"


def test_a_models_number_alone_leads_to_its_newest_public_version(filled: Filled) -> None:
    answer = ask(filled.register, f"/register/{filled.chest.partition('.v')[0]}")
    assert answer.status_code == 307
    assert answer.headers["location"] == f"/register/{filled.chest}"
    assert ask(filled.register, "/").headers["location"] == "/register"


def test_an_entry_changed_in_the_database_is_not_shown(filled: Filled) -> None:
    database = sqlite3.connect(filled.register.centre.database)
    for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'"):
        database.execute(f"DROP TRIGGER {name}")
    database.execute(
        "UPDATE registry_records SET body = replace(body, 'Tainan', 'Better') "
        "WHERE noun = 'model-version'"
    )
    database.commit()
    database.close()
    answer = ask(filled.register, f"/register/{filled.chest}")
    assert answer.status_code == 500
    assert "Do not rely on this entry" in answer.text and "Better Hospital" not in answer.text


def test_a_record_of_training_changed_in_the_database_is_not_shown(filled: Filled) -> None:
    database = sqlite3.connect(filled.register.centre.database)
    database.execute("UPDATE model_versions SET record = replace(record, '120', '999')")
    database.commit()
    database.close()
    for path in ("", "/proof", "/lineage", "/bundle.zip"):
        answer = ask(filled.register, f"/register/{filled.chest}{path}")
        assert answer.status_code == 500 and "999" not in answer.text


def test_the_search_page_says_what_was_found_and_keeps_what_was_asked(filled: Filled) -> None:
    page = ask(filled.register, "/register?q=mammograms&modality=MG").text
    assert "Entries 1 to 1 of 1" in page and 'value="mammograms"' in page
    assert '<option value="MG" selected>' in page and "taipei-2" in page
    empty = ask(filled.register, "/register?q=nothing").text
    assert "No entries found" in empty and "Ask for less" in empty
    assert ask(filled.register, "/register?page=9").status_code == 200


def test_an_empty_register_says_so_in_both_languages(register: Register) -> None:
    assert "Nothing is registered yet" in ask(register, "/register").text
    chinese = ask(register, "/register", **{"accept-language": "zh-TW"})
    assert "目前沒有任何登錄" in chinese.text
    assert chinese.headers["content-language"] == "zh-Hant-TW"
    assert "The log is still empty" in ask(register, "/log").text


def test_more_than_a_page_comes_in_pages(register: Register) -> None:
    for number in range(21):
        register.enter(register.candidate(f"s{number}"))
    first = ask(register, "/register?q=pneumonia").text
    assert "Entries 1 to 20 of 21" in first
    (after,) = re.findall(r'rel="next" href="([^"]+)"', first)
    second = ask(register, f"/register{after.replace('&amp;', '&')}").text
    assert "Entries 21 to 21 of 21" in second and 'rel="prev"' in second
    assert 'value="pneumonia"' in second


def test_the_language_is_kept_once_it_was_chosen(filled: Filled) -> None:
    browser = Browser(filled.register.app())
    browser.headers["accept-language"] = "en"
    chosen = browser.get(f"/register/{filled.chest}?lang=zh-Hant-TW")
    assert "九大透明性指標" in chosen.text
    assert "HttpOnly" in chosen.headers["set-cookie"]
    assert "九大透明性指標" in browser.get(f"/register/{filled.chest}").text
    assert "nine groups" in browser.get(f"/register/{filled.chest}?lang=en").text
    assert browser.get("/register?lang=tlh").status_code == 200
    switch = re.findall(r'class="language"[^>]*href="([^"]+)"', chosen.text)
    assert switch == [f"/register/{filled.chest}?lang=en"]


def test_the_language_switch_keeps_the_search(filled: Filled) -> None:
    page = ask(filled.register, "/register?q=a%26b&modality=MG").text
    (switch,) = re.findall(r'class="language"[^>]*href="([^"]+)"', page)
    assert "q=a%26b" in switch and "modality=MG" in switch and "lang=zh-Hant-TW" in switch


def test_the_proof_page_shows_what_it_takes_to_check(filled: Filled) -> None:
    page = ask(filled.register, f"/register/{filled.chest}/proof").text
    key = filled.register.centre.signer.public_key
    assert key.keyid in page and "trifed evidence verify" in page
    (note,) = re.findall(r"<pre[^>]*><code>(trifed/[0-9a-f]{16}\n.*?)</code>", page, re.S)
    assert verify_checkpoint(note, origin=origin_of(key), key=key).size >= 1


def test_the_evidence_is_downloaded_as_a_bundle(register: Register) -> None:
    entry = register.enter(register.candidate(statements=statements(register.centre)))
    answer = ask(register, f"/register/{entry}/bundle.zip")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    assert f'filename="{entry}.zip"' in answer.headers["content-disposition"]
    with zipfile.ZipFile(BytesIO(answer.content)) as bundle:
        assert any(name.endswith("record.json") for name in bundle.namelist())


def test_the_log_shows_its_states_and_how_it_grew(filled: Filled) -> None:
    browser = Browser(filled.register.app())
    page = browser.get("/log").text
    (growth, *_rest) = re.findall(r'href="(/log/growth\?[^"]+)"', page)
    proof = browser.get(growth.replace("&amp;", "&"))
    assert proof.status_code == 200 and "RFC 6962" in proof.text
    (state, *_more) = re.findall(r'href="(/log/\d+)"', page)
    key = filled.register.centre.signer.public_key
    (note,) = re.findall(r"<pre[^>]*><code>(.*?)</code>", browser.get(state).text, re.S)
    assert verify_checkpoint(note, origin=origin_of(key), key=key).size == int(state[5:])
    assert "1" not in re.findall(r"<h1>(.*?)</h1>", browser.get("/log?below=1").text)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/log/99999", 404),
        ("/log/0", 400),
        ("/log/x", 400),
        ("/log?below=x", 400),
        ("/log/growth", 400),
        ("/log/growth?old=5&new=2", 404),
        ("/log/growth?old=1&new=99999", 404),
        ("/register/..%2f..%2fetc%2fpasswd", 404),
        ("/register/%00", 404),
        ("/register/TWAI-2026-00001-5", 404),
        ("/register/" + "x" * 100, 400),
        ("/assets/nothing.css", 404),
        ("/assets/..%2fdesk.py", 404),
    ],
)
def test_what_does_not_fit_is_a_page_with_a_status(filled: Filled, path: str, status: int) -> None:
    answer = ask(filled.register, path)
    assert answer.status_code == status
    if "%2f" not in path:
        assert answer.headers["content-type"].startswith("text/html")
        assert "Traceback" not in answer.text


def test_a_nul_in_a_search_reaches_no_database(filled: Filled) -> None:
    assert ask(filled.register, "/register?q=%00&hospital=%00%00").status_code == 200


def test_every_page_forbids_scripts_frames_and_foreign_content(filled: Filled) -> None:
    browser = Browser(filled.register.app())
    for path in ("/register", f"/register/{filled.chest}", "/log", "/console/login", "/nothing"):
        headers = browser.get(path).headers
        policy = headers["content-security-policy"]
        if path != "/nothing":
            assert "default-src 'none'" in policy and "script-src" not in policy
        assert "frame-ancestors 'none'" in policy and "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_style_and_mark_are_files_that_browsers_keep(register: Register) -> None:
    page = ask(register, "/register").text
    addresses = set(re.findall(r'(?:href|src)="(/assets/[^"]+)"', page))
    assert len(addresses) == 2
    for address in addresses:
        answer = ask(register, address)
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]


def test_public_pages_need_no_log_in_and_all_others_do(filled: Filled) -> None:
    app = filled.register.app()
    rules = app.state.rules
    pages = {place for place in rules if not place[1].startswith("/v1")}
    assert pages >= PUBLIC_PAGES
    for method, path in sorted(pages):
        filled_in = (
            path.replace("{entry}", filled.chest)
            .replace("{noun}", "model-version")
            .replace("{id}", filled.chest)
            .replace("{size}", "1")
            .replace("{number}", "T9")
            .replace("{name}", "register.css")
        )
        answer = Browser(app).ask(method, filled_in)
        to_log_in = answer.headers.get("location", "").startswith("/console/login")
        assert to_log_in is ((method, path) not in PUBLIC_PAGES), (method, path)
