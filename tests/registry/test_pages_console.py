"""The reviewers' side over HTTP: log-in, tasks, what is missing and who can do it, signing."""

import re
from pathlib import Path

import httpx
import pytest

from federation.evidence.model_version import ModelVersionState as State
from registry.accounts.ports import COOKIE, Scope
from registry.roles import Role
from tests.registry.access_builders import PASSWORD, Browser, with_token
from tests.registry.page_builders import Register, both, make_register
from tests.registry.record_builders import RAI_A

CENTRE_ONE = {"organisation": "Centre One"}
TAINAN = {"organisation": "Tainan Hospital"}


@pytest.fixture
def register(tmp_path: Path) -> Register:
    return make_register(tmp_path)


@pytest.fixture
def entry(register: Register) -> str:
    return register.enter(register.candidate(), State.EXTERNAL_EVAL)


def at(entry: str, more: str = "") -> str:
    return f"/console/records/model-version/{entry}{more}"


def form_of(page: httpx.Response) -> dict[str, str]:
    """The hidden fields of the last form of a page, as a browser would send them."""
    form = page.text.rpartition("<form")[2]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


def sign(browser: Browser, entry: str, move: str, role: Role, /, **changes: str) -> httpx.Response:
    path = at(entry, f"/moves/{move}")
    fields = form_of(browser.get(path)) | {"role": role.value, "reason": "as I see it"}
    return browser.post(path, data=fields | changes)


def test_a_page_for_people_leads_to_the_log_in_and_back(register: Register, entry: str) -> None:
    person = register.house.person("anna", Role.RAI_A, **CENTRE_ONE)
    browser = Browser(register.app())
    sent = browser.get(at(entry))
    assert sent.status_code == 303
    assert sent.headers["location"] == f"/console/login?next={at(entry)}"
    fields = form_of(browser.get(sent.headers["location"]))
    given = {"name": "anna", "password": PASSWORD, "code": person.code()}
    back = browser.post("/console/login", data=fields | given)
    assert (back.status_code, back.headers["location"]) == (303, at(entry))
    page = browser.get(at(entry))
    assert page.status_code == 200 and "no-store" in page.headers["cache-control"]


@pytest.mark.parametrize("asked", ["https://evil.example", "//evil.example", "/register", ""])
def test_the_log_in_leads_to_no_other_site(register: Register, asked: str) -> None:
    person = register.house.person("anna", Role.RAI_A, **CENTRE_ONE)
    given = {"name": "anna", "password": PASSWORD, "code": person.code(), "next": asked}
    answer = Browser(register.app()).post("/console/login", data=given)
    assert answer.headers["location"] == "/console"


def test_a_refused_log_in_says_the_same_whatever_was_wrong(register: Register) -> None:
    person = register.house.person("anna", Role.RAI_A, **CENTRE_ONE)
    good = {"name": "anna", "password": PASSWORD, "code": person.code()}
    told = set()
    for wrong in ({"name": "nobody"}, {"password": "x" * 20}, {"code": "000000"}, {"code": ""}):
        answer = Browser(register.app()).post("/console/login", data=good | wrong)
        assert answer.status_code >= 400 and COOKIE not in answer.headers.get("set-cookie", "")
        assert PASSWORD not in answer.text
        told.add(answer.text)
    assert len(told) == 1 and "TF760" in told.pop()


def test_a_log_in_form_of_another_site_is_refused(register: Register) -> None:
    person = register.house.person("anna", Role.RAI_A, **CENTRE_ONE)
    for header in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
        given = {"name": "anna", "password": PASSWORD, "code": person.code()}
        answer = Browser(register.app()).post("/console/login", data=given, headers=header)
        assert answer.status_code == 403 and "TF764" in answer.text


def test_a_log_in_begins_a_new_session_and_never_takes_one_over(register: Register) -> None:
    person = register.house.person("anna", Role.RAI_A, **CENTRE_ONE)
    browser = Browser(register.app())
    browser.cookies.set(COOKIE, "planted", domain="register.test", path="/")
    given = {"name": "anna", "password": PASSWORD, "code": person.code()}
    answer = browser.post("/console/login", data=given)
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=") and "planted" not in cookie
    for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in cookie


def test_logging_out_ends_the_session(register: Register) -> None:
    browser = register.browser(Role.RAI_A, Role.AUD, **CENTRE_ONE)
    page = browser.get("/console")
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
    secret = browser.cookies[COOKIE]
    assert browser.post("/console/logout", data=fields | {"csrf": "x"}).status_code == 403
    answer = browser.post("/console/logout", data=fields)
    assert answer.status_code == 303
    again = Browser(register.app())
    again.cookies.set(COOKIE, secret, domain="register.test", path="/")
    assert again.get("/console").status_code == 303


def test_tasks_are_what_waits_for_ones_own_signature(register: Register, entry: str) -> None:
    draft = register.enter(register.candidate("other"), State.DRAFT)
    reviewer = register.browser(Role.RAI_A, name="rob", **CENTRE_ONE).get("/console").text
    assert entry in reviewer and "T5" in reviewer and draft not in reviewer
    registrar = register.browser(Role.RAI_R, name="rae", **CENTRE_ONE).get("/console").text
    assert draft in registrar and "T2" in registrar and entry not in registrar
    steward = register.browser(Role.DST, name="dan", **TAINAN).get("/console").text
    assert "Nothing waits for your signature" in steward and draft not in steward


def test_the_page_says_what_is_missing_and_who_can_do_it(register: Register) -> None:
    draft = register.enter(register.candidate(), State.DRAFT)
    browser = register.browser(Role.RAI_R, name="rae", **CENTRE_ONE)
    page = browser.get(at(draft)).text
    assert "Missing: " in page and "TF75" in page
    registered = register.enter(register.candidate("other"), State.REGISTERED)
    other = browser.get(at(registered)).text
    assert "TF7" in other and "Who can do it: evaluator, validation centre" in other
    assert "Who can do it: developer, hospital AI owner" in page
    assert at(draft, "/moves/T2") not in page and at(draft, "/moves/T13") in page
    chinese = browser.get(at(draft) + "?lang=zh").text
    assert "尚缺" in chinese and "可處理者" in chinese


def test_a_move_of_two_names_both_seats_and_who_has_signed(register: Register, entry: str) -> None:
    records, versions = register.records, register.versions
    suspended = records.move(versions, entry, "T9", author=RAI_A, revision=1, reason="harm")
    assert suspended.is_done
    page = register.browser(Role.HAC, name="hana", **TAINAN).get(at(entry)).text
    assert "T10" in page and "not signed yet" in page
    assert "reviewer, responsible-AI centre" in page


def test_signing_moves_the_record_and_keeps_name_role_and_reason(
    register: Register, entry: str
) -> None:
    browser = register.browser(Role.HAC, name="hana", **TAINAN)
    answer = sign(browser, entry, "T9", Role.HAC, reason="A <b>bad</b> result\r\nseen twice")
    assert (answer.status_code, answer.headers["location"]) == (303, at(entry, "?done=moved"))
    head = register.records.get("model-version", entry)
    assert (head.state, head.author.person, head.author.role) == ("suspended", "hana", Role.HAC)
    assert head.reason == "A <b>bad</b> result\nseen twice"
    history = browser.get(at(entry, "/history")).text
    assert "A &lt;b&gt;bad&lt;/b&gt; result" in history and "hana" in history
    assert "Signed. The record was moved." in browser.get(at(entry, "?done=moved")).text


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"reason": "  "}, 422, "TF"),
        ({"reason": "x" * 2001}, 422, "TF"),
        ({"csrf": ""}, 403, "TF764"),
        ({"csrf": "0" * 64}, 403, "TF764"),
        ({"revision": "0"}, 409, "TF735"),
        ({"revision": "x"}, 400, "TF732"),
        ({"revision": "9" * 30}, 400, "TF732"),
        ({"role": "RAI-A"}, 422, "TF763"),
        ({"role": ""}, 422, "TF"),
    ],
)
def test_a_signature_that_does_not_fit_changes_nothing(
    register: Register, entry: str, changes: dict[str, str], status: int, code: str
) -> None:
    browser = register.browser(Role.HAC, Role.CLI, name="hana", **TAINAN)
    answer = sign(browser, entry, "T9", Role.HAC, **changes)
    assert answer.status_code == status and code in answer.text
    assert answer.headers["content-type"].startswith("text/html")
    assert register.records.get("model-version", entry).revision == 1


def test_a_form_sent_by_another_site_signs_nothing(register: Register, entry: str) -> None:
    browser = register.browser(Role.HAC, name="hana", **TAINAN)
    path = at(entry, "/moves/T9")
    fields = form_of(browser.get(path)) | {"role": "HAC", "reason": "x"}
    answer = browser.post(path, data=fields, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403
    stranger = register.browser(Role.HAC, name="hugo", **TAINAN)
    foreign = form_of(stranger.get(path))["csrf"]
    assert browser.post(path, data=fields | {"csrf": foreign}).status_code == 403
    assert register.records.get("model-version", entry).revision == 1


def test_a_refused_reason_is_kept_in_the_form(register: Register, entry: str) -> None:
    browser = register.browser(Role.HAC, name="hana", **TAINAN)
    answer = sign(browser, entry, "T9", Role.HAC, reason="kept words", revision="0")
    assert "kept words</textarea>" in answer.text and "TF735" in answer.text


def test_a_move_nobody_of_mine_signs_shows_no_form(register: Register, entry: str) -> None:
    browser = register.browser(Role.HAC, name="hana", **TAINAN)
    page = browser.get(at(entry, "/moves/T11"))
    assert page.status_code == 200 and "<textarea" not in page.text
    assert "None of your roles signs this" in page.text
    assert browser.get(at(entry, "/moves/T99")).status_code == 403


def test_who_wrote_it_is_told_why_they_cannot_sign(register: Register, entry: str) -> None:
    records, versions = register.records, register.versions
    records.move(versions, entry, "T9", author=RAI_A, revision=1, reason="harm")
    browser = register.browser(Role.HAC, name="rai-1", organisation="Tainan Hospital")
    page = browser.get(at(entry)).text
    assert "You cannot sign this:" in page and "another role" in page


def test_a_record_of_another_house_is_not_there(register: Register) -> None:
    draft = register.enter(register.candidate(), State.DRAFT)
    stranger = register.browser(Role.DEV, name="eve", organisation="Other Works")
    unknown = draft.replace("00001", "00077")
    for more in ("", "/history", "/preview", "/lineage", "/moves/T2"):
        hidden, nothing = stranger.get(at(draft, more)), stranger.get(at(unknown, more))
        assert hidden.status_code == nothing.status_code == 404
        assert hidden.text.replace(draft, "E") == nothing.text.replace(unknown, "E")
    assert draft not in stranger.get("/console/records/model-version").text
    owner = register.browser(Role.DEV, name="dora", organisation="Lamp Works")
    assert owner.get(at(draft)).status_code == 200


def test_a_kind_of_record_that_is_not_mine_is_not_there(register: Register) -> None:
    browser = register.browser(Role.SUB, name="sue", organisation="nobody")
    assert browser.get("/console/records/model-version").status_code == 404
    assert browser.get("/console/records/nothing").status_code == 404
    assert "Model version" not in browser.get("/console").text


def test_lists_are_searched_and_narrowed_by_state(register: Register, entry: str) -> None:
    draft = register.enter(register.candidate("other"), State.DRAFT)
    browser = register.browser(Role.AUD, name="olga", organisation="Audit")
    listed = browser.get("/console/records/model-version").text
    assert entry in listed and draft in listed
    narrowed = browser.get("/console/records/model-version?state=draft&q=pneumonia").text
    assert draft in narrowed and entry not in narrowed
    assert "No records" in browser.get("/console/records/model-version?q=zzz").text


def test_a_draft_is_previewed_by_those_who_may_see_it(register: Register) -> None:
    draft = register.enter(register.candidate(), State.DRAFT)
    browser = register.browser(Role.RAI_R, name="rae", **CENTRE_ONE)
    page = browser.get(at(draft, "/preview"))
    assert page.status_code == 200 and "The public may not see this entry" in page.text
    assert "no-store" in page.headers["cache-control"]
    lineage = browser.get(at(draft, "/lineage"))
    assert lineage.status_code == 200 and "tainan-1" in lineage.text


def test_content_of_a_record_is_escaped_and_in_ones_language(register: Register) -> None:
    nasty = both("<img src=x>中", "<img src=x>en")
    draft = register.enter(register.candidate(), State.DRAFT, name=nasty)
    browser = register.browser(Role.RAI_R, name="rae", **CENTRE_ONE)
    page = browser.get(at(draft)).text
    assert "<img src=x>" not in page and "&lt;img src=x&gt;en" in page
    assert "&lt;img src=x&gt;中" in browser.get(at(draft) + "?lang=zh").text


def test_the_console_shows_nothing_to_a_token(register: Register, entry: str) -> None:
    register.house.person("anna", Role.RAI_A, **CENTRE_ONE)
    program = with_token(register.house, "anna", Scope.READ, Scope.MOVE, app=register.app())
    assert program.get(at(entry)).status_code in (303, 403)
