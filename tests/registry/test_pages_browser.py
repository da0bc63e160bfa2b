"""The pages in a real browser: no complaint on its console, no sideways scrolling, no dead link."""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from federation.evidence.model_version import ModelVersionState as State
from registry.accounts.ports import COOKIE
from registry.roles import Role
from tests.registry.page_builders import Register, make_register
from tests.registry.page_tabs import CHROMIUM, Tab, a_tab, serving

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt: chromium)"),
    pytest.mark.skipif(
        importlib.util.find_spec("websockets") is None,
        reason="websockets is not installed, which talks to Chromium",
    ),
]
WIDTHS = (400, 1280)
_LINKS = "JSON.stringify([...document.querySelectorAll('a[href]')].map(a => a.href))"
_CONTRAST = """(() => {
  const light = c => { c /= 255; return c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4; };
  const parts = s => s.match(/[\\d.]+/g).map(Number);
  const value = s => { const [r, g, b] = parts(s).map(light); return .2126*r + .7152*g + .0722*b; };
  const ground = e => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor, p = parts(c);
    if (p.length < 4 || p[3] > 0) return c; } return 'rgb(255, 255, 255)'; };
  const poor = [];
  for (const e of document.querySelectorAll('body *')) {
    const said = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!said || !e.offsetParent) continue;
    const a = value(getComputedStyle(e).color), b = value(ground(e));
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) poor.push(e.tagName + '.' + e.className + ' ' + ratio.toFixed(2));
  }
  return JSON.stringify(poor);
})()"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Tab, Register, str]]:
    """A served register with an entry, a tab, and who is logged in."""
    folder = tmp_path_factory.mktemp("browser")
    register = make_register(folder / "register")
    entry = register.candidate()
    register.evaluate(entry, "discrimination")
    register.deploy(entry, "tainan-1")
    register.enter(entry, State.EXTERNAL_EVAL)
    register.enter(register.candidate("draft"), State.DRAFT)
    with serving(register.app()) as address, a_tab(folder / "profile") as tab:
        yield address, tab, register, entry


def public_paths(entry: str) -> list[str]:
    about = f"/register/{entry}"
    more = [about, f"{about}/proof", f"{about}/lineage", "/log", "/log/7", "/console/login"]
    return ["/register", "/register?q=zzz", *more]


def looked_at(tab: Tab, address: str, paths: list[str]) -> set[str]:
    """Open each page at each width in each language; return every link found."""
    links: set[str] = set()
    for path in paths:
        for width, language in zip(WIDTHS, ("zh-Hant-TW", "en"), strict=True):
            tab.size(width)
            tab.said.clear()
            mark = "&" if "?" in path else "?"
            assert tab.open(f"{address}{path}{mark}lang={language}") == 200, path
            assert tab.value("document.documentElement.scrollWidth") == width, (path, width)
            assert tab.value("document.documentElement.lang") == language
            assert tab.value("document.querySelectorAll('h1').length") == 1
            assert tab.value(_CONTRAST) == "[]", path
            assert tab.said == [], path
            links |= set(json.loads(tab.value(_LINKS)))
    return links


def test_public_pages_are_whole_in_a_browser(place: tuple[str, Tab, Register, str]) -> None:
    address, tab, _, entry = place
    links = looked_at(tab, address, public_paths(entry))
    own = {link.partition("#")[0] for link in links if link.startswith(address)}
    assert own == {link.partition("#")[0] for link in links}, "a link leaves the register"
    for link in sorted(own):
        if urlsplit(link).path.endswith(".zip"):
            continue
        assert tab.open(link) == 200, link


def test_the_reviewers_pages_are_whole_in_a_browser(
    place: tuple[str, Tab, Register, str],
) -> None:
    address, tab, register, entry = place
    person = register.house.person("hana", Role.HAC, organisation="Tainan Hospital")
    opened = register.house.log_in(person)
    cookie = {"name": COOKIE, "value": opened.secret, "path": "/", "secure": True}
    tab.call("Network.setCookie", url=address.replace("http", "https"), httpOnly=True, **cookie)
    record = f"/console/records/model-version/{entry}"
    paths = ["/console", "/console/records/model-version", record, f"{record}/moves/T9"]
    looked_at(tab, address, [*paths, f"{record}/history", f"{record}/lineage"])


def test_a_form_works_without_script(place: tuple[str, Tab, Register, str]) -> None:
    address, tab, _, entry = place
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    assert tab.open(f"{address}/register?q=pneumonia&lang=en") == 200
    tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert entry in tab.value("document.querySelector('table').textContent")


@pytest.mark.slow
def test_the_pages_print(place: tuple[str, Tab, Register, str], tmp_path: Path) -> None:
    address, tab, _, entry = place
    tab.open(f"{address}/register/{entry}?lang=zh-Hant-TW")
    printed = tab.call("Page.printToPDF", printBackground=False)["data"]
    assert len(printed) > 10_000
