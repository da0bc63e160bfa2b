"""What pages show, as pure functions: views, words, numbers, languages, templates."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from federation.evidence.inclusion import Inclusion
from federation.evidence.model_version import ModelVersionState as State
from federation.evidence.model_version import Record
from federation.wording import Language, Text
from registry.exchange.attributes import ATTRIBUTES
from registry.lineage.graph import Graph, Key, Node
from registry.models.attributes import Answer
from registry.models.version_card import VersionCard
from registry.nouns import ALL_NOUNS
from registry.pages import states
from registry.pages.console_views import states_with_tasks, task_moves
from registry.pages.console_wording import NOUNS
from registry.pages.language import preferred
from registry.pages.lineage_views import Leaf, lineage_tree, only_public
from registry.pages.log_views import log_view
from registry.pages.ports import Note, Wanted
from registry.pages.rendering import Chrome, render
from registry.pages.search import pages_of, wanted_of
from registry.pages.typesetting import count, full_width, power, say, taipei
from registry.pages.views import EntryFacts, Kind, entry_view, groups_of, promises_of
from registry.pages.visibility import ENTERED, is_public
from registry.pages.wording import WORDS
from registry.records.ports import Signed, StoredRecord
from registry.records.statements import moment
from registry.roles import Role
from tests.registry.builders import Centre, candidate
from tests.registry.page_builders import METRICS, Measured, a_card, both
from tests.registry.record_builders import DEV, HAC, NOW, RAI_A

EN, ZH = Language.EN, Language.ZH_HANT_TW
TEMPLATES = Path(__file__).parents[2] / "registry/pages/templates"


def a_record(state: str = "live", noun: str = "model-version", **changes: object) -> StoredRecord:
    fields: dict[str, object] = {
        "noun": noun,
        "id": "TWAI-2026-00001-4.v0.1.0",
        "revision": 2,
        "state": state,
        "action": "T5",
        "body": {},
        "digest": "sha256:" + "0" * 64,
        "author": RAI_A,
        "at": moment(NOW),
        "signatures": (Signed(RAI_A, moment(NOW)), Signed(HAC, moment(NOW))),
        "log_index": 3,
    }
    return StoredRecord(**(fields | changes))  # type: ignore[arg-type]


@pytest.fixture
def facts(centre: Centre) -> EntryFacts:
    stored, _ = centre.registrar.register(candidate(centre), actor="centre")
    return EntryFacts(
        record=Record.from_json(stored.record.encode()),
        proof=Inclusion(6, 7, b"\x01" * 32, (b"\x02" * 32,)),
        checkpoint="log\n7\nroot\n\n\u2014 log key\n",
        keyid="sha256:" + "a" * 64,
        history=[a_record("draft", action="put", author=DEV, signatures=()), a_record()],
        card=a_card(centre, stored.entry),
    )


def shown(facts: EntryFacts, language: Language = EN) -> str:
    chrome = Chrome(language, "/register?lang=en", "register")
    return render("entry.html", chrome, view=entry_view(facts))


class Page(HTMLParser):
    """A page as parsed: its start tags, and whether each label has its field."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def all(self, tag: str, attribute: str) -> list[str | None]:
        return [attrs.get(attribute) for name, attrs in self.tags if name == tag]


def test_a_card_shows_thirty_one_attributes_in_nine_groups(facts: EntryFacts) -> None:
    groups = groups_of(facts.card)
    assert [len(group.rows) for group in groups] == [4, 4, 2, 4, 2, 4, 5, 4, 2]
    assert sum(group.answered for group in groups) == 25
    assert [row.id for group in groups for row in group.rows] == list(ATTRIBUTES)


def test_an_answer_is_words_or_none_with_its_reason_or_evaluations_or_missing() -> None:
    card = VersionCard.model_construct(
        attributes={
            "1a": Answer(text=both("甲", "a")),
            "1b": Answer(none=both("無", "no money")),
            "7a": Answer(evaluations=("ev-1",)),
        }
    )
    kinds = {row.id: row.kind for group in groups_of(card) for row in group.rows}
    assert (kinds["1a"], kinds["1b"], kinds["7a"], kinds["9b"]) == (
        Kind.TEXT,
        Kind.NONE,
        Kind.EVALUATIONS,
        Kind.MISSING,
    )


def test_the_timeline_names_roles_and_houses_but_no_person_and_no_reason(
    facts: EntryFacts,
) -> None:
    facts = replace(facts, history=[a_record(reason="a secret reason")])
    page = shown(facts)
    assert "Tainan Hospital" in page and "hospital AI committee" in page
    for hidden in ("rai-1", "hac-1", "dev-1", "a secret reason"):
        assert hidden not in page


def test_every_part_of_the_public_face_is_there_in_both_languages(facts: EntryFacts) -> None:
    for language, words in (
        (EN, ("Intended use", "high risk", "0.870", "0.800–0.920", "ε ≤ 7.50", "what is promised")),
        (ZH, ("預期用途", "高風險", "0.870", "九大透明性指標", "隱私說明", "自行驗證")),
    ):
        page = shown(facts, language)
        for word in words:
            assert word in page
        assert f'<html lang="{language.value}">' in page


def test_a_bare_candidate_can_be_shown(facts: EntryFacts) -> None:
    page = shown(replace(facts, card=None, history=()))
    assert "No description was handed in" in page and "0 of 31" in page


def test_a_count_below_ten_is_not_told(facts: EntryFacts) -> None:
    few = facts.record.participants[0].model_copy(update={"patients": None})
    record = facts.record.model_copy(update={"participants": (few,)})
    assert "under 10" in shown(replace(facts, record=record))
    for number in range(1, 10):
        assert count(number, EN) == "under 10"
    assert (count(0, EN), count(10, EN), count(None, ZH)) == ("0", "10", "少於 10")


def test_figures_of_an_evaluation_are_shown_once_it_was_judged(facts: EntryFacts) -> None:
    body = Measured(entry=facts.record.entry, dimension="fairness", metrics=METRICS).as_json()
    for state, is_shown in (("logged", False), ("judged", True), ("accepted", True)):
        tested = a_record(state, "evaluation", id="ev-1", body=body)
        page = shown(replace(facts, evaluations=[tested]))
        assert ("65 and older" in page) is is_shown
        assert ("Threshold met" in page) is is_shown


def test_a_planned_deployment_is_the_hospitals_own(facts: EntryFacts) -> None:
    body = {"site": "penghu-9", "hospital": "0421040011", "ward": "ER"}
    for state, is_shown in (("planned", False), ("live", True), ("withdrawn", True)):
        placed = a_record(state, "deployment", id="dep-1", body=body)
        assert ("penghu-9" in shown(replace(facts, deployments=[placed]))) is is_shown


def test_hospitals_with_the_same_promise_are_told_together_weakest_first(
    facts: EntryFacts,
) -> None:
    first, second, _ = facts.record.privacy
    other = second.model_copy(update={"epsilon": 9.5, "statement": both("較弱", "weaker")})
    record = facts.record.model_copy(update={"privacy": (first, other, first)})
    promises = promises_of(record)
    assert [(one.epsilon, len(one.sites)) for one in promises] == [(9.5, 1), (7.5, 2)]


def test_markup_in_what_people_wrote_is_text(facts: EntryFacts) -> None:
    assert facts.card is not None
    nasty = "<script>alert(1)</script>{{ 7*7 }}{0.__class__}"
    card = facts.card.model_copy(update={"name": both(nasty, nasty)})
    page = shown(replace(facts, card=card))
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "{{ 7*7 }}{0.__class__}" in page and "49" not in re.findall(r"<h1>(.*?)</h1>", page)[0]


def test_pages_have_no_script_no_inline_style_and_a_label_for_each_field(
    facts: EntryFacts,
) -> None:
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        page = Page(text)
        assert "script" not in {tag for tag, _ in page.tags}, template.name
        assert all("style" not in attrs for _, attrs in page.tags), template.name
        assert not re.search(r"\son[a-z]+=", text), template.name
        fields = [
            attrs["id"]
            for tag, attrs in page.tags
            if tag in ("input", "select", "textarea") and attrs.get("type") != "hidden"
        ]
        assert set(fields) == set(page.all("label", "for")), template.name
    assert Page(shown(facts)).all("html", "lang") == ["en"]


def test_templates_and_wording_name_the_same_words() -> None:
    used: set[str] = set()
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        used |= set(re.findall(r"\bw\.([a-z_]+)", text))
        used |= set(re.findall(r"\bw\('([a-z_]+)'", text))
    assert used - set(WORDS) == set()
    assert set(WORDS) - used == set()


def test_every_state_and_kind_of_record_has_words_in_both_languages() -> None:
    for noun in ALL_NOUNS:
        assert noun.name in NOUNS, noun.name
        for state in noun.moves.states:
            assert state.value in states.OTHER_STATES, (noun.name, state)
    assert set(states.STATES) == {state.value for state in State}


@pytest.mark.parametrize(
    ("given", "set_as"),
    [
        ("中文,再來:好", "中文\uff0c再來\uff1a好"),
        ("院所(3)家", "院所\uff083\uff09家"),
        ("RDP and PLD (the larger), 7", "RDP and PLD (the larger), 7"),
        ("共 1,234 筆", "共 1,234 筆"),
        ("於 12:30 開始", "於 12:30 開始"),
    ],
)
def test_chinese_is_set_with_full_width_marks_and_numbers_stay(given: str, set_as: str) -> None:
    assert full_width(given) == set_as


def test_what_people_wrote_is_not_set_anew() -> None:
    assert say(both("中文,原樣", "x"), ZH) == "中文,原樣"
    assert say(Text(en="x", zh="中文,設定"), ZH) == "中文\uff0c設定"


def test_small_numbers_and_times_are_for_people() -> None:
    assert power(1e-05) == "1 \u00d7 10\u207b\u2075"
    assert taipei("2026-09-01T18:30:00Z") == "2026-09-02 02:30"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", EN),
        ("zh-TW,zh;q=0.9,en;q=0.8", ZH),
        ("en-GB,zh;q=0.9", EN),
        ("fr, zh-Hant;q=0.3", ZH),
        ("de", EN),
        ("zh;q=0", EN),
        ("zh;q=x,,;;,*", EN),
        ("z" * 10_000, EN),
    ],
)
def test_the_browsers_language_is_chosen(header: str, language: Language) -> None:
    assert preferred(header) is language


def test_a_search_that_does_not_fit_asks_for_nothing() -> None:
    assert wanted_of({}) == (Wanted(), 1)
    asked = {"q": "  a\x00b\n" + "x" * 500, "status": "draft", "page": "-1", "modality": "dx"}
    wanted, page = wanted_of(asked)
    assert wanted.text.startswith("a b") and len(wanted.text) <= 100
    assert (wanted.status, wanted.modality, page) == ("", "DX", 1)
    assert wanted_of({"page": "3"})[0].skip == 40
    assert (pages_of(0), pages_of(20), pages_of(21)) == (1, 1, 2)


def test_only_what_was_ever_registered_is_public() -> None:
    for state in State:
        assert is_public([a_record("draft"), a_record(state.value)]) is (state.value in ENTERED)
    assert is_public([a_record("draft"), a_record("live"), a_record("rejected")])
    assert not is_public([a_record("draft"), a_record("suspended")])
    assert not is_public([])


def test_tasks_are_single_steps_and_not_powers_nor_what_rests(centre: Centre) -> None:
    from registry.models.cards import version_noun

    noun = version_noun(artefacts=centre.registrar.artefacts, key=centre.signer.public_key)
    numbers = {move.number for move in task_moves(noun, "external-eval", frozenset({Role.HAC}))}
    assert numbers == {"T5", "T13"}
    assert states_with_tasks(noun, frozenset({Role.RAI_R})) == ["draft"]
    assert "live" not in states_with_tasks(noun, frozenset({Role.HAC}))
    assert states_with_tasks(noun, frozenset({Role.DST})) == []


def test_the_log_names_sizes_roots_and_the_state_before() -> None:
    def note(size: int) -> Note:
        return Note(size, f"log\n{size}\nroot{size}\n\n\u2014 log a\n\u2014 witness b\n")

    view = log_view([note(9), note(7), note(4)], newest=9, keyid="k", per_page=2)
    assert [(one.size, one.before, one.root) for one in view.lines] == [
        (9, 7, "root9"),
        (7, 4, "root7"),
    ]
    assert view.lines[0].signatures == 2 and view.older == 7
    assert log_view([], newest=0, keyid="k", per_page=2).lines == []


def test_a_lineage_for_the_public_leaves_out_what_it_may_not_know() -> None:
    graph = Graph(Node(Key("model-version", "one"), "live"))
    for kind, id, state in (
        ("deployment", "planned", "planned"),
        ("deployment", "live", "live"),
        ("incident", "inc-1", "open"),
        ("evaluation", "ev-1", "logged"),
        ("model-version", "hidden", "draft"),
        ("dataset", "sha256:" + "0" * 64, None),
    ):
        key = graph.add(
            Node(Key(kind, id), state, {"passed": True} if kind == "evaluation" else {})
        )
        graph.join(Key("model-version", "one"), "has", key)
    graph.join(
        Key("incident", "inc-1"), "at", graph.add(Node(Key("site", "behind-an-incident"), None))
    )
    tree = lineage_tree(graph, only_public(lambda entry: entry == "one"))
    ids = {leaf.id for leaf in _all(tree)}
    assert ids == {"one", "live", "ev-1", "sha256:" + "0" * 64}
    assert ["passed" in leaf.facts for leaf in _all(tree) if leaf.id == "ev-1"] == [False]


def _all(leaf: Leaf) -> list[Leaf]:
    return [leaf, *(one for child in leaf.children for one in _all(child))]
