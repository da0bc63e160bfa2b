"""One suite for both databases: what the catalogue promises, SQLite and PostgreSQL keep."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.data.catalogue import database
from clients.data.catalogue.store import Catalogue, KnownFile
from clients.data.catalogue.tables import METADATA, SCHEMA, body_part_of, version_of, years_of
from clients.data.cohort.query import CohortQuery, LabelQuery
from federation.errors.cohorts import CatalogueDatabaseError
from federation.errors.data import CatalogueVersionError

Open = Callable[[], Catalogue]


def found(number: int, **facts: object) -> dict[str, Any]:
    """Return what a reader answers of one image of patient `number`."""
    said = {
        "modality": "CR",
        "body_part": "CHEST",
        "manufacturer": "ACME",
        "model": "X1",
        "sex": "F",
        "age": "045Y",
        "study_date": "20200101",
        "study_year": 2023,
        "view": "PA",
        "laterality": "",
        "rows": 10,
        "columns": 20,
        "frames": 1,
        "photometric": "MONOCHROME2",
        "sop_class": "1.2",
        **facts,
    }
    names = ("study", "series", "instance", "sha256", "pixels")
    owner = {"patient": f"P{number:03d}", "patient_any_issuer": f"P{number:03d}"}
    own = {name: f"{name[0]}{number:03d}" for name in names}
    return {**owner, **own, "sha256": f"{number:064x}", "report": {}, "facts": said}


@pytest.fixture(params=["sqlite", "postgresql"])
def open_catalogue(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    url = None if request.param == "sqlite" else str(request.getfixturevalue("postgres"))
    yield lambda: Catalogue(tmp_path, url)
    if url is not None:
        with database.engine_of(database.checked_url(url)).connect() as connection:
            METADATA.drop_all(connection)


@pytest.fixture
def catalogue(open_catalogue: Open) -> Iterator[Catalogue]:
    with open_catalogue() as opened:
        yield opened


def names(catalogue: Catalogue, query: CohortQuery, label: str = "") -> list[str]:
    kept, _ = catalogue.select(modalities=(), label=label, opted_out=frozenset(), query=query)
    return [item.instance for item in kept]


def test_what_was_admitted_is_there_when_opened_again(open_catalogue: Open) -> None:
    with open_catalogue() as catalogue, catalogue.transaction():
        catalogue.admit(found(1))
        catalogue.remember("c1", KnownFile("admitted", None, "i001", "r"))
    with open_catalogue() as catalogue:
        assert catalogue.known("c1") == KnownFile("admitted", None, "i001", "r")
        assert catalogue.known("c2") is None
        assert catalogue.pixels_of("i001") == "p001"
        assert catalogue.instance_of_pixels("p001") == "i001"
        assert catalogue.owner_of_study("s001") == "P001"
        assert catalogue.study_of_series("s001") == "s001"
        assert catalogue.owners(["i001", "i002"]) == {"i001": ("s001", "P001")}
        assert catalogue.instances_of_series("s001") == ["i001"]


def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(
    catalogue: Catalogue,
) -> None:
    with pytest.raises(ZeroDivisionError), catalogue.transaction():
        catalogue.admit(found(1))
        raise ZeroDivisionError
    assert catalogue.pixels_of("i001") is None
    with catalogue.transaction():
        catalogue.admit(found(1))
    assert catalogue.pixels_of("i001") == "p001"


def test_an_outcome_is_replaced_and_a_picture_is_never_there_twice(catalogue: Catalogue) -> None:
    with catalogue.transaction():
        catalogue.remember("c", KnownFile("quarantined", "TF501", None, "old"))
        catalogue.remember("c", KnownFile("admitted", None, "i1", "new"))
        catalogue.admit(found(1))
    assert catalogue.known("c") == KnownFile("admitted", None, "i1", "new")
    twin = {**found(2), "pixels": "p001"}
    with pytest.raises(CatalogueDatabaseError) as raised, catalogue.transaction():
        catalogue.admit(twin)
    assert "p001" not in str(raised.value)
    assert catalogue.pixels_of("i002") is None


def test_an_image_without_a_series_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(CatalogueDatabaseError), catalogue.transaction():
        catalogue.set_label("nobody", "pneumonia", "1")


def test_every_condition_of_a_query_keeps_out_what_does_not_fulfil_it(
    catalogue: Catalogue,
) -> None:
    others: list[dict[str, object]] = [
        {},
        {"modality": "DX"},
        {"body_part": "Hand_Left"},
        {"sex": "M"},
        {"age": "017Y"},
        {"age": "090Y"},
        {"age": ""},
        {"study_year": 2019},
        {"study_year": None},
        {"view": "AP"},
        {"laterality": "L"},
        {"manufacturer": "Ünïcode"},
        {"model": "Z9"},
        {"frames": 40},
    ]
    with catalogue.transaction():
        for number, facts in enumerate(others):
            catalogue.admit(found(number, **facts))
        catalogue.set_label("i000", "pneumonia", "1")
        catalogue.set_label("i001", "pneumonia", "0")
    everything = {f"i{number:03d}" for number in range(len(others))}

    def asked(**parts: Any) -> set[str]:
        return set(names(catalogue, CohortQuery(**parts)))

    assert asked() == everything
    assert asked(modalities=("DX",)) == {"i001"}
    assert asked(body_parts=("HAND LEFT",)) == {"i002"}
    assert asked(sexes=("M",)) == {"i003"}
    assert asked(age_to_y=17) == {"i004"}
    assert asked(age_from_y=90) == {"i005"}
    assert asked(age_to_y=90) == everything - {"i006"}
    assert asked(year_from=2018, year_to=2020) == {"i007"}
    assert asked(year_from=2000) == everything - {"i008"}
    assert asked(views=("AP",)) == {"i009"}
    assert asked(lateralities=("L",)) == {"i010"}
    assert asked(manufacturers=("ÜNÏCODE",)) == {"i011"}
    assert asked(models=("z9",)) == {"i012"}
    assert asked(frames_from=2) == {"i013"}
    assert asked(slices_from=40) == {"i013"}
    assert asked(labels=(LabelQuery("pneumonia"),)) == {"i000", "i001"}
    assert asked(labels=(LabelQuery("pneumonia", (1,)),)) == {"i000"}
    assert asked(labels=(LabelQuery("fracture"),)) == set()


def test_those_who_opted_out_are_counted_and_left_out_with_or_without_issuer(
    catalogue: Catalogue,
) -> None:
    with catalogue.transaction():
        catalogue.admit(found(1))
        catalogue.admit({**found(2), "patient_any_issuer": "Q"})
    for name in ("P002", "Q"):
        kept, left = catalogue.select(modalities=("CR",), label="", opted_out=frozenset({name}))
        assert ([item.instance for item in kept], left) == (["i001"], 1)


def test_one_patient_id_under_two_issuers_is_one_patient_of_a_cohort(
    catalogue: Catalogue,
) -> None:
    with catalogue.transaction():
        for number in (1, 2):
            catalogue.admit({**found(number), "patient_any_issuer": "Q"})
    kept, _ = catalogue.select(modalities=(), label="", opted_out=frozenset())
    assert {item.patient for item in kept} == {"Q"}


def test_labels_are_set_replaced_dropped_and_change_the_digest(catalogue: Catalogue) -> None:
    with catalogue.transaction():
        catalogue.admit(found(1))
    digests = [catalogue.content_digest()]
    for value in ("1", "0"):
        with catalogue.transaction():
            catalogue.set_label("i001", "pneumonia", value)
        digests.append(catalogue.content_digest())
    assert catalogue.label_rows() == {("i001", "pneumonia"): "0"}
    assert catalogue.label_names() == ["pneumonia"]
    with catalogue.transaction():
        catalogue.drop_label("i001", "pneumonia")
    assert catalogue.content_digest() == digests[0]
    assert len(set(digests)) == 3


def test_what_an_older_version_did_not_write_is_filled_in_once(catalogue: Catalogue) -> None:
    with catalogue.transaction():
        catalogue.admit(found(1, study_year=None, view=""))
        catalogue.complete(found(1, study_year=2021, view="AP"))
        catalogue.complete(found(1, study_year=1999, view="PA"))
    (row,) = catalogue.described(["i001"])
    assert (row["study_year"], row["view"]) == (2021, "AP")


def test_counts_are_by_modality_and_body_part(catalogue: Catalogue) -> None:
    with catalogue.transaction():
        for number in range(24):
            catalogue.admit(found(number, body_part="CHEST" if number < 12 else "HAND"))
    counts = catalogue.counts()
    assert (counts["patients"], counts["studies"], counts["instances"]) == (24, 24, 24)
    assert counts["by_modality"] == [{"modality": "CR", "patients": 24, "images": 24}]
    cells = [(c["body_part"], c["patients"]) for c in counts["by_modality_and_body_part"]]
    assert cells == [("CHEST", 12), ("HAND", 12)]


def test_a_small_cell_is_not_found_by_subtracting(catalogue: Catalogue) -> None:
    parts = ["CHEST"] * 30 + ["HAND"] * 20 + ["FOOT"] * 4
    with catalogue.transaction():
        for number, part in enumerate(parts):
            catalogue.admit(found(number, body_part=part))
    counts = catalogue.counts()
    shown = {c["body_part"]: c["patients"] for c in counts["by_modality_and_body_part"]}
    assert counts["patients"] == 54
    assert shown == {"CHEST": 30, "HAND": "suppressed", "FOOT": "<10"}
    margins = {c["body_part"]: c["patients"] for c in counts["by_body_part"]}
    assert margins == shown


def test_a_newer_schema_is_not_touched(open_catalogue: Open) -> None:
    with open_catalogue() as catalogue:
        catalogue.connection.exec_driver_sql(f"UPDATE schema_version SET version = {SCHEMA + 1}")
    with pytest.raises(CatalogueVersionError):
        open_catalogue()


def test_a_schema_1_file_is_carried_forward_with_all_it_holds(tmp_path: Path) -> None:
    old = (Path(__file__).parent / "schema_1.sql").read_text()
    made = sqlite3.connect(tmp_path / "catalogue.db")
    made.executescript(old)
    made.close()
    for _ in range(2):
        with Catalogue(tmp_path) as catalogue:
            assert version_of(catalogue.connection) == SCHEMA
            assert catalogue.known("c1") == KnownFile("admitted", None, "i1", "r1")
            assert catalogue.quarantined() == {"TF501": 1}
            wanted = CohortQuery(body_parts=("CHEST",), age_from_y=45, age_to_y=45)
            assert names(catalogue, wanted, "pneumonia") == ["i1"]
            assert names(catalogue, CohortQuery(year_from=2000)) == []
    assert (tmp_path / "catalogue.db").stat().st_mode & 0o777 == 0o600


def test_an_upgrade_that_fails_leaves_the_old_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = (Path(__file__).parent / "schema_1.sql").read_text()
    made = sqlite3.connect(tmp_path / "catalogue.db")
    made.executescript(old)

    def fails(words: str) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("clients.data.catalogue.tables.body_part_of", fails)
    with pytest.raises(ZeroDivisionError):
        Catalogue(tmp_path)
    assert made.execute("PRAGMA user_version").fetchone() == (1,)
    assert len(made.execute("PRAGMA table_info(instances)").fetchall()) == 12
    made.close()


def test_an_older_program_refuses_the_new_file(tmp_path: Path) -> None:
    with Catalogue(tmp_path):
        pass
    made = sqlite3.connect(tmp_path / "catalogue.db")
    assert made.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
    made.close()


def test_a_database_that_does_not_answer_has_a_code(tmp_path: Path) -> None:
    (tmp_path / "catalogue.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(CatalogueDatabaseError, match="SQLITE_NOTADB"):
        Catalogue(tmp_path)
    for url in ("postgresql:///x?host=/nowhere", "mysql://x", "no url at all"):
        with pytest.raises(CatalogueDatabaseError) as raised:
            Catalogue(tmp_path / "other", url)
        assert "nowhere" not in str(raised.value)


def test_a_full_disk_has_a_code_and_loses_nothing(tmp_path: Path) -> None:
    with Catalogue(tmp_path) as catalogue:
        with catalogue.transaction():
            catalogue.admit(found(1))
        pages = catalogue.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        catalogue.connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with (
            pytest.raises(CatalogueDatabaseError, match="SQLITE_FULL"),
            catalogue.transaction(),
        ):
            for number in range(2, 2000):
                catalogue.admit(found(number))
        catalogue.connection.exec_driver_sql("PRAGMA max_page_count = 100000")
        with catalogue.transaction():
            catalogue.admit(found(2))
        assert catalogue.counts()["patients"] == "<10"
        assert catalogue.pixels_of("i003") is None


@pytest.mark.parametrize(
    ("age", "years"),
    [
        ("045Y", 45),
        ("007M", 0),
        ("018M", 1),
        ("090Y", 90),
        ("", None),
        ("45Y", None),
        ("abcY", None),
    ],
)
def test_ages_are_whole_years(age: str, years: int | None) -> None:
    assert years_of(age) == years


def test_body_parts_have_one_spelling() -> None:
    assert {body_part_of(words) for words in ("left_hand", " Left  Hand ", "LEFT HAND")} == {
        "LEFT HAND"
    }
