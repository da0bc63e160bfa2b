"""A study file is read whole or refused with every fault at once, by line."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.domain.ids import SiteId, StudyId
from federation.domain.study import (
    CentralPlan,
    CountsPlan,
    PrivacyLevel,
    PrivacyPlan,
    Purpose,
    TrainingPlan,
)
from federation.errors import PlatformError, ProblemsFound
from federation.errors.core import UnreadableRecordError
from federation.errors.study import (
    StudyFieldMissingError,
    StudyFieldUnknownError,
    StudyFileExistsError,
    StudyFileUnreadableError,
    StudySyntaxError,
    StudyValueError,
    UnknownRecipeError,
)
from federation.operations import study_fields
from federation.operations.study_file import new_study_file, parse_study, read_study_file
from federation.wire.study import digest_of_study, study_as_json, study_from_json
from federation.wording import Language
from tests.builders import a_recipe

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
NORTH, SOUTH = SiteId("north"), SiteId("south")

GOOD = """\
[study]
id = "cxr-2026"
title = "Pneumonia 肺炎"
purpose = "medical-care"
recipe = "cxr-pneumonia-small"
cohort = "chest-xray"
expires = 2027-01-31
seed = 7

[sites]
names = ["north", "centre", "south"]
quorum = 2

[training]
rounds = 3
learning_rate = 0.05

[privacy]
epsilon = 8
delta = 1e-3
clip_norm = 1.0

[evaluation]
heldout_fraction = 0.2
"""


def recipe_of(name: str):
    if name != "cxr-pneumonia-small":
        raise UnknownRecipeError(name=repr(name), known="cxr-pneumonia-small, hippocampus-seg")
    return a_recipe()


def parse(text: str | bytes):
    content = text.encode() if isinstance(text, str) else text
    return parse_study(content, now=NOW, recipe_of=recipe_of)


def faults(text: str | bytes) -> list[PlatformError]:
    with pytest.raises(PlatformError) as refused:
        parse(text)
    error = refused.value
    return error.problems if isinstance(error, ProblemsFound) else [error]


def with_line(field: str, value: str) -> str:
    pattern = re.compile(rf"^{field} = .*$", re.MULTILINE)
    assert pattern.search(GOOD)
    return pattern.sub(lambda _: f"{field} = {value}", GOOD)


def without_line(field: str) -> str:
    return re.sub(rf"(?m)^{field} = .*\n", "", GOOD)


def test_a_good_file_becomes_a_study_with_the_recipes_defaults() -> None:
    study = parse(GOOD)

    assert (study.id, study.title, study.purpose) == (
        "cxr-2026",
        "Pneumonia 肺炎",
        Purpose.MEDICAL_CARE,
    )
    assert study.recipe_digest == a_recipe().digest
    assert (study.sites, study.quorum) == (("north", "centre", "south"), 2)
    assert study.training == TrainingPlan(3, 1.0, 0.05, 16, "sgd", 0.0)
    assert study.privacy == PrivacyPlan(8.0, 1e-3, 1.0, None)
    assert (study.heldout_fraction, study.seed) == (0.2, 7)
    assert study.expires == "2027-01-31T23:59:59+00:00"


def test_the_digest_covers_the_study_and_survives_the_wire() -> None:
    study = parse(GOOD)

    assert study.digest == digest_of_study(study)
    assert study_from_json(study_as_json(study)) == study
    assert parse(with_line("rounds", "4")).digest != study.digest


def test_comments_and_layout_do_not_change_the_digest() -> None:
    relaid = GOOD.replace("\n", "\r\n").replace("[sites]", "# where\n[ sites ]")

    assert parse(b"\xef\xbb\xbf" + relaid.encode()).digest == parse(GOOD).digest


def test_a_study_without_privacy_says_so_in_as_many_words() -> None:
    table = re.search(r"\[privacy\]\n(.*\n){3}\n", GOOD).group()
    bare = GOOD.replace(table, "")

    assert parse('privacy = "none"\n' + bare).privacy is None
    (fault,) = faults(bare)
    assert isinstance(fault, StudyFieldMissingError)
    assert 'privacy = "none"' in fault.say()


def test_every_fault_is_listed_at_once_in_the_order_of_lines() -> None:
    bad = GOOD.replace('"cxr-2026"', '"CXR 2026"').replace("quorum = 2", "quorum = 4")
    bad = bad.replace("rounds = 3", "roundz = 3").replace("epsilon = 8", "epsilon = 0")
    bad = bad.replace("recipe = ", "recipe = 'no-such' # ")

    found = faults(bad)

    assert [(fault.code, fault.values["line"], fault.values["field"]) for fault in found] == [
        ("TF303", 2, "study.id"),
        ("TF303", 5, "study.recipe"),
        ("TF303", 12, "sites.quorum"),
        ("TF301", 14, "training.rounds"),
        ("TF302", 15, "training.roundz"),
        ("TF303", 19, "privacy.epsilon"),
    ]


def test_an_unknown_recipe_is_answered_with_those_there_are() -> None:
    (fault,) = faults(with_line("recipe", '"cxr"'))

    assert fault.say() == (
        "Line 5: study.recipe is 'cxr', which is not allowed. "
        "Give one of: cxr-pneumonia-small, hippocampus-seg."
    )


def test_a_misspelled_field_is_answered_with_the_nearest_one() -> None:
    (fault,) = faults(GOOD.replace("seed = 7", "sede = 7"))

    assert isinstance(fault, StudyFieldUnknownError)
    assert fault.say().startswith("Line 8: study.sede is not a field of a study. Nearest: seed.")


def test_an_unknown_table_is_a_fault() -> None:
    (fault,) = faults(GOOD + "[extra]\nx = 1\n")

    assert (fault.code, fault.values["line"], fault.values["field"]) == ("TF302", 25, "extra")


def test_a_quorum_above_the_number_of_sites_says_how_many_there_are() -> None:
    (fault,) = faults(with_line("quorum", "5"))

    assert "from 1 to 3, the number of sites" in fault.say()
    assert "1 至 3" in fault.say(Language.ZH_HANT_TW)


def test_faults_are_said_in_chinese_throughout() -> None:
    with pytest.raises(ProblemsFound) as refused:
        parse(with_line("rounds", "0").replace("seed = 7", "seed = -1"))

    said = refused.value.say(Language.ZH_HANT_TW)
    assert "第 15 行:training.rounds 的值 0 不被允許" in said
    assert "Line" not in said


BAD_VALUES = [
    ("id", '"-cxr"'),
    ("id", '"a/b"'),
    ("id", "3"),
    ("title", '""'),
    ("title", '"a\\u0007b"'),
    ("title", f'"{"x" * 201}"'),
    ("purpose", '"marketing"'),
    ("cohort", '"../x"'),
    ("expires", "2026-06-01T12:00:00Z"),
    ("expires", "2026-05-31"),
    ("expires", "2027-01-31T10:00:00"),
    ("expires", '"soon"'),
    ("expires", "10:00:00"),
    ("expires", "9999-12-31T23:59:59-23:59"),
    ("seed", "-1"),
    ("seed", "1.5"),
    ("seed", "true"),
    ("seed", "9007199254740993"),
    ("seed", f"0x{'f' * 6000}"),
    ("names", "[]"),
    ("names", '"north"'),
    ("names", '["north", 3, "south"]'),
    ("names", '["north", "North", "south"]'),
    ("names", '["north", "south", "north"]'),
    ("quorum", "0"),
    ("quorum", "4"),
    ("quorum", "true"),
    ("rounds", "0"),
    ("rounds", "3.0"),
    ("rounds", "1001"),
    ("learning_rate", "0"),
    ("learning_rate", "nan"),
    ("learning_rate", "inf"),
    ("learning_rate", "-0.1"),
    ("learning_rate", '"0.1"'),
    ("epsilon", "0"),
    ("epsilon", "-1.0"),
    ("epsilon", "inf"),
    ("epsilon", "nan"),
    ("epsilon", "true"),
    ("delta", "0"),
    ("delta", "0.5"),
    ("delta", "nan"),
    ("clip_norm", "0"),
    ("clip_norm", "inf"),
    ("heldout_fraction", "0"),
    ("heldout_fraction", "0.6"),
]


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_a_value_outside_its_range_is_one_fault_on_its_line(field: str, value: str) -> None:
    text = with_line(field, value)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith(f"{field} ="))

    (fault,) = faults(text)

    assert isinstance(fault, StudyValueError)
    assert fault.values["line"] == line
    assert len(fault.say()) < 400


@pytest.mark.parametrize("field", ["batch_size", "local_epochs", "optimizer", "momentum"])
def test_optional_training_fields_are_checked_too(field: str) -> None:
    (fault,) = faults(GOOD.replace("rounds = 3", f"rounds = 3\n{field} = -1"))

    assert fault.values["field"] == f"training.{field}"


def test_momentum_belongs_to_sgd_only() -> None:
    assert parse(GOOD.replace("rounds = 3", "rounds = 3\nmomentum = 0.9")).training.momentum == 0.9
    with_adam = GOOD.replace("rounds = 3", 'rounds = 3\nmomentum = 0.9\noptimizer = "adam"')
    (fault,) = faults(with_adam)
    assert fault.values["field"] == "training.momentum"


def test_a_noise_multiplier_is_kept_or_refused() -> None:
    assert parse(GOOD.replace("[privacy]", "[privacy]\nnoise_multiplier = 2")).privacy == (
        PrivacyPlan(8.0, 1e-3, 1.0, 2.0)
    )
    (fault,) = faults(GOOD.replace("[privacy]", "[privacy]\nnoise_multiplier = 0"))
    assert fault.values["field"] == "privacy.noise_multiplier"


REQUIRED = ["id", "title", "purpose", "recipe", "cohort", "expires", "names", "quorum", "rounds"]


@pytest.mark.parametrize("field", [*REQUIRED, "epsilon", "delta", "clip_norm"])
def test_a_required_field_that_is_absent_is_one_fault(field: str) -> None:
    (fault,) = faults(without_line(field))

    assert isinstance(fault, StudyFieldMissingError)
    assert str(fault.values["field"]).endswith(f".{field}")


def test_an_empty_file_lists_everything_that_is_missing() -> None:
    assert {fault.code for fault in faults("")} == {"TF301"}
    assert len(faults("")) == len(REQUIRED) + 1


@pytest.mark.parametrize("table", ["study", "sites", "training", "evaluation"])
def test_a_table_that_is_no_table_is_a_fault(table: str) -> None:
    codes = [fault.values["field"] for fault in faults(f"{table} = 3\n")]

    assert table in codes


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("a = ", 1, 5), ('[study]\nid = "x\n', 2, 8), ("x = 1\n\nx = 2\n", 3, 6), ("\n[study", 2, 7)],
)
def test_a_syntax_error_says_where(text: str, line: int, column: int) -> None:
    (fault,) = faults(text)

    assert isinstance(fault, StudySyntaxError)
    assert (fault.values["line"], fault.values["column"]) == (line, column)


def test_lines_are_found_past_multi_line_values_and_other_spellings() -> None:
    text = GOOD.replace('["north", "centre", "south"]', '[\n  "north", # a\n\n  "centre",\n]')
    text = text.replace("quorum = 2", '"quorum" = 9').replace("[training]", '[ "training" ]')
    text = text.replace("rounds = 3", "'rounds' = 0").replace('title = "', 'title = """\\\n  ')
    text = text.replace('肺炎"', '肺炎"""').replace("epsilon = 8", "epsilon = 0")

    rows = text.splitlines()
    assert [
        (fault.values["field"], rows[int(fault.values["line"]) - 1]) for fault in faults(text)
    ] == [
        ("sites.quorum", '"quorum" = 9'),
        ("training.rounds", "'rounds' = 0"),
        ("privacy.epsilon", "epsilon = 0"),
    ]


def test_dotted_keys_and_inline_tables_are_found_too() -> None:
    text = 'study.id = "BAD"\nsites = { names = ["north"], quorum = 3 }\n'
    found = {fault.values["field"]: fault.values["line"] for fault in faults(text)}

    assert found["study.id"] == 1
    assert found["sites.quorum"] == 2


@pytest.mark.parametrize(
    "content",
    [b"\xff\xfe", b"x = 1\n" * 10_000, b"\n" * 2000, b"# " + b"x" * 40_000],
)
def test_what_is_no_text_or_too_large_is_refused(content: bytes) -> None:
    (fault,) = faults(content)

    assert isinstance(fault, StudyFileUnreadableError)


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "[" * 5000 + "]" * 5000,
        "x = " + "[" * 50 + "]" * 50,
        "x" + ".x" * 5000 + " = 1",
        "x = " + "9" * 5000,
        "x = " + "{a=" * 3000 + "1" + "}" * 3000,
    ],
)
def test_absurd_nesting_and_numbers_are_refused(text: str) -> None:
    assert faults(text)


@given(st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_random_bytes_give_a_coded_error_and_nothing_else(content: bytes) -> None:
    assert faults(content)


@given(
    edits=st.lists(
        st.tuples(st.integers(0, len(GOOD)), st.integers(0, 20), st.text(max_size=6)),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=80, deadline=None)
def test_a_mutated_file_is_a_study_or_a_coded_error(edits: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for begin, length, inserted in edits:
        text = text[:begin] + inserted + text[begin + length :]
    try:
        study = parse(text.encode("utf-8", "surrogatepass"))
    except PlatformError as error:
        assert error.say(Language.ZH_HANT_TW)
    else:
        assert study.digest == digest_of_study(study)


VALUES = st.recursive(
    st.one_of(
        st.sampled_from(["nan", "-inf", "1e400", "0x7f", "true", "1979-05-27", "07:32:00", "''"]),
        st.integers().map(str),
        st.floats(allow_nan=False, allow_infinity=False).map(repr),
        st.sampled_from(['"none"', '"sgd"', '"medical-care"', '"north"', "1979-05-27T07:32:00Z"]),
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
    max_leaves=4,
)
KEYS = sorted({key for table in study_fields.FIELDS.values() for key in table})


@given(field=st.sampled_from([k for k in KEYS if f"\n{k} = " in GOOD]), value=VALUES)
@settings(max_examples=80, deadline=None)
def test_any_toml_value_in_any_field_is_a_study_or_a_coded_error(field: str, value: str) -> None:
    try:
        parse(with_line(field, value))
    except PlatformError as error:
        assert error.say()


def test_a_file_is_read_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    path.write_text(GOOD, encoding="utf-8")

    assert read_study_file(path, now=NOW, recipe_of=recipe_of) == parse(GOOD)


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_file_that_cannot_be_opened_is_a_coded_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(StudyFileUnreadableError):
        read_study_file(tmp_path / name, now=NOW, recipe_of=recipe_of)


def test_a_new_file_is_valid_as_it_stands_in_both_languages(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    study = new_study_file(
        path, study=StudyId("cxr-1"), recipe="hippocampus-seg", sites=[NORTH, SOUTH], now=NOW
    )

    assert read_study_file(path, now=NOW) == study
    assert (study.sites, study.quorum) == ((NORTH, SOUTH), 2)
    text = path.read_text(encoding="utf-8")
    assert "隱私" in text
    assert "privacy price" in text


def test_every_line_a_new_file_offers_in_a_comment_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    new_study_file(
        path, study=StudyId("cxr-1"), recipe="cxr-pneumonia-small", sites=[NORTH, SOUTH], now=NOW
    )
    opened = re.sub(r"(?m)^# ([a-z_]+ = |\[)", r"\1", path.read_text(encoding="utf-8"))
    study = parse_study(opened.encode(), now=NOW)

    assert study.privacy.noise_multiplier == 1.0
    assert study.privacy.central == CentralPlan(1.0, 1.0)
    assert study.privacy.counts == CountsPlan(10.0)


def test_a_new_file_never_covers_an_old_one(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    path.write_text("mine")
    with pytest.raises(StudyFileExistsError):
        new_study_file(
            path, study=StudyId("a"), recipe="cxr-pneumonia-small", sites=[NORTH], now=NOW
        )

    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_for_no_sites_or_an_unknown_recipe_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    with pytest.raises(UnknownRecipeError):
        new_study_file(path, study=StudyId("a"), recipe="nope", sites=[NORTH], now=NOW)
    with pytest.raises(StudyValueError):
        new_study_file(path, study=StudyId("a"), recipe="cxr-pneumonia-small", sites=[], now=NOW)

    assert not path.exists()


def test_a_study_that_ends_this_second_has_ended() -> None:
    moment = (NOW + timedelta(seconds=1)).isoformat()

    assert parse(with_line("expires", moment)).expires == moment
    assert faults(with_line("expires", NOW.isoformat()))


HOSPITAL = 'level = "hospital"\nhospital_clip_norm = 0.5\nhospital_noise_multiplier = 2\n'


def with_privacy(lines: str) -> str:
    return GOOD.replace("clip_norm = 1.0\n", f"clip_norm = 1.0\n{lines}")


def test_a_study_may_ask_the_centre_to_hide_one_hospital() -> None:
    study = parse(with_privacy(HOSPITAL))

    assert study.privacy.level is PrivacyLevel.HOSPITAL
    assert study.privacy.central == CentralPlan(clip_norm=0.5, noise_multiplier=2.0)
    assert study_from_json(study_as_json(study)) == study
    assert study.digest != parse(GOOD).digest


def test_at_patient_level_a_study_has_the_digest_it_always_had() -> None:
    said = study_as_json(parse(with_privacy('level = "patient"\n')))

    assert said == study_as_json(parse(GOOD))
    assert set(said["privacy"]) == {"epsilon", "delta", "clip_norm", "noise_multiplier"}


@pytest.mark.parametrize(
    ("text", "kind", "field"),
    [
        (with_privacy('level = "hospital"\nhospital_clip_norm = 1\n'), StudyFieldMissingError,
         "privacy.hospital_noise_multiplier"),
        (with_privacy("hospital_clip_norm = 1\n"), StudyValueError, "privacy.hospital_clip_norm"),
        (with_privacy('level = "nation"\n'), StudyValueError, "privacy.level"),
        (with_privacy(HOSPITAL).replace("multiplier = 2", "multiplier = 0.05"), StudyValueError,
         "privacy.hospital_noise_multiplier"),
        (with_privacy(HOSPITAL).replace('["north", "centre", "south"]\nquorum = 2',
         '["north"]\nquorum = 1'), StudyValueError, "privacy.level"),
        (GOOD + "[counts]\n", StudyFieldMissingError, "counts.sigma"),
        (GOOD + "[counts]\nsigma = 0.1\n", StudyValueError, "counts.sigma"),
        (GOOD + "[counts]\nsigmaa = 3\nsigma = 3\n", StudyFieldUnknownError, "counts.sigmaa"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_hospital_level_and_counts_is_said(
    text: str, kind: type[PlatformError], field: str
) -> None:
    (fault,) = faults(text)

    assert isinstance(fault, kind)
    assert fault.values["field"] == field


def test_noisy_counts_belong_to_a_private_study() -> None:
    privacy = GOOD[GOOD.index("[privacy]") : GOOD.index("[evaluation]")]
    plain = 'privacy = "none"\n' + GOOD.replace(privacy, "") + "[counts]\nsigma = 10\n"
    (fault,) = faults(plain)

    assert isinstance(fault, StudyValueError)
    assert parse(GOOD + "[counts]\nsigma = 10\n").privacy.counts == CountsPlan(10.0)


@pytest.mark.parametrize(
    "change",
    [
        {"central": {"clip_norm": 1.0, "noise_multiplier": 0.01}},
        {"central": {"clip_norm": 0.0, "noise_multiplier": 1.0}},
        {"central": {"clip_norm": 1.0, "noise_multiplier": 1.0, "more": 1}},
        {"central": None},
        {"counts": {"sigma": float("nan")}},
        {"counts": []},
    ],
)
def test_a_proposal_with_another_plan_is_no_study(change: dict[str, object]) -> None:
    raw = study_as_json(parse(with_privacy(HOSPITAL) + "[counts]\nsigma = 10\n"))
    raw["privacy"] |= change

    with pytest.raises(UnreadableRecordError):
        study_from_json(raw)
