"""A file that is to leave is looked through; what may not leave is found, also deep inside."""

import gzip
import io
import json
import os
import pickle
import sqlite3
import zipfile
from pathlib import Path

import pytest

from federation.errors import PlatformError
from federation.errors.core import FileMissingError
from registry.exports import NOUN, SCAN, scanning
from registry.exports.scanning import as_results, digest_of, look_through, report
from registry.exports.scans import Check, Outcome
from registry.exports.shape import Kind
from registry.roles import Role
from tests.registry.nouns_a.bodies import export, person, put, read
from tests.registry.nouns_a.test_record_command import record
from tests.registry.record_builders import Desk

WEIGHTS = os.urandom(300_000)


def rules(tmp_path: Path, content: bytes, kind: Kind = Kind.MODEL) -> set[str]:
    file = tmp_path / "leaves.bin"
    file.write_bytes(content)
    return {f"{one.check.value}:{one.rule}" for one in look_through(file, kind)}


def a_dicom() -> bytes:
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = generate_uid()
    image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.PatientID = "x"
    out = io.BytesIO()
    pydicom.dcmwrite(out, image, enforce_file_format=True)
    return out.getvalue()


def a_png() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "PNG")
    return out.getvalue()


def a_jpeg() -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (8, 8)).save(out, "JPEG")
    return out.getvalue()


def an_archive() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a", "b")
    return out.getvalue()


def a_database(tmp_path: Path) -> bytes:
    connection = sqlite3.connect(tmp_path / "d.db")
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.close()
    return (tmp_path / "d.db").read_bytes()


def test_raw_data_is_found_anywhere_in_a_file(tmp_path: Path) -> None:
    kinds = {
        "dicom": a_dicom(),
        "png": a_png(),
        "jpeg": a_jpeg(),
        "archive": an_archive(),
        "sqlite": a_database(tmp_path),
    }
    for name, content in kinds.items():
        for before in (b"", WEIGHTS):
            assert f"raw-data:{name}" in rules(tmp_path, before + content + WEIGHTS), name


def test_what_cannot_be_looked_into_counts_as_found(tmp_path: Path) -> None:
    assert "raw-data:compressed" in rules(tmp_path, gzip.compress(b"x"))
    assert "raw-data:pickle" in rules(tmp_path, pickle.dumps({"a": 1}))
    assert "raw-data:archive" in rules(tmp_path, an_archive())


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("the patient A123456789 came", "identifier"),
        ("病歷號 0012345", "identifier"),
        ("1.2.840.113619.2.55.3.604688119", "identifier"),
        ('{"resourceType": "Patient"}', "fhir"),
        ("MSH|^~\\&|HIS", "hl7-v2"),
    ],
)
def test_records_are_found_between_weights(tmp_path: Path, text: str, rule: str) -> None:
    content = WEIGHTS + b"\n" + text.encode() + b"\n" + WEIGHTS
    assert f"embedded-records:{rule}" in rules(tmp_path, content)


def test_an_identifier_in_utf_16_and_in_big5_is_found(tmp_path: Path) -> None:
    long = "病人自述" * 100 + " A123456789"
    assert "embedded-records:identifier" in rules(tmp_path, long.encode("utf-16"))
    assert "embedded-records:identifier" in rules(
        tmp_path, "the man A123456789".encode("utf-16-le")
    )
    assert "embedded-records:identifier" in rules(tmp_path, "病人 A123456789".encode("big5"))


def test_nothing_is_missed_where_two_pieces_meet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "PIECE_BYTES", 1000)
    content = b"." * 995 + b" A123456789 " + b"." * 985 + a_png() + b"." * 2000
    found = rules(tmp_path, content)
    assert {"embedded-records:identifier", "raw-data:png"} <= found


def test_weights_as_safetensors_are_clean(tmp_path: Path) -> None:
    import numpy
    from safetensors.numpy import save

    values = numpy.random.default_rng(7).normal(size=500_000).astype("float32")
    assert rules(tmp_path, save({"weight": values})) == set()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"site,n\nA,12\nB,0\n", set()),
        (b"site,n\nA,12\nB,3\n", {"cell-rule:small-count"}),
        (b'site,n_patients\nA,"1,203"\nB,<10\n', set()),
        ("院所,人數\nA,7\n".encode(), {"cell-rule:small-count"}),
        (b"fold,auroc\n3,0.9\n", set()),
        (b'{"auroc": 0.9, "fold": 3, "n": 120}', set()),
        (b'{"table": [{"tp": 40, "fn": 2}]}', {"cell-rule:small-count"}),
        (b'{"counts": [40, 2]}', {"cell-rule:small-count"}),
        (b"site,n\nA\n", {"cell-rule:no-table"}),
        (b"words", {"cell-rule:no-table"}),
        (b'{"n": 12', {"cell-rule:no-table"}),
        (b"[" * 100_000, {"cell-rule:no-table"}),
        (b"\xff\xfe\x00", {"cell-rule:no-table"}),
        (b"", {"cell-rule:no-table"}),
    ],
)
def test_small_counts_are_found_in_tables(tmp_path: Path, content: bytes, found: set[str]) -> None:
    assert rules(tmp_path, content, Kind.STATISTICS) == found


def test_a_table_too_large_to_read_counts_as_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "MAX_TABLE_BYTES", 5)
    assert rules(tmp_path, b"a,n\n1,20\n", Kind.STATISTICS) == {"cell-rule:too-large"}


def test_a_report_repeats_nothing_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "leaves.json"
    file.write_text('{"n": 3, "who": "A123456789"}', encoding="utf-8")
    findings = look_through(file, Kind.STATISTICS)
    told = report(findings, digest_of(file))
    assert len(findings) == 2 and b"A123456789" not in told and b"who" not in told


@pytest.mark.parametrize("kind", Kind)
def test_results_say_of_each_check_what_came_out_but_never_of_memory(
    tmp_path: Path, kind: Kind
) -> None:
    (tmp_path / "f").write_bytes(a_png())
    findings = look_through(tmp_path / "f", kind)
    results = as_results(findings, kind, report_digest=digest_of(tmp_path / "f"))
    outcome = {one.check: one.outcome for one in results}
    assert outcome[Check.RAW_DATA] is Outcome.FOUND
    assert outcome[Check.EMBEDDED_RECORDS] is Outcome.CLEAN
    assert Check.MEMORISATION not in outcome


def test_a_file_that_is_not_there_is_a_coded_error(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError):
        look_through(tmp_path / "none", Kind.FILE)
    with pytest.raises(FileMissingError):
        digest_of(tmp_path / "none")


def test_the_command_writes_a_record_that_can_be_put(
    desk: Desk,
    home: Path,
    tmp_path: Path,
) -> None:
    file = tmp_path / "table.csv"
    file.write_text("site,n\nA,120\n", encoding="utf-8")
    body = export(sha256=str(digest_of(file)), size_bytes=file.stat().st_size)
    (tmp_path / "ex.json").write_text(json.dumps(body), encoding="utf-8")
    who = ("--person", "lin", "--organisation", "Tainan Hospital", "--role", "HAO")
    record("put", "export-request", "ex-1", tmp_path / "ex.json", *who, home=home)
    out = tmp_path / "out"
    said = json.loads(record("scan", "ex-1", file, "--out", out, home=home))
    assert said["found"] == [] and said["same_file"]
    put(desk, NOUN, "ex-1", body, person(Role.HAO))
    put(desk, SCAN, "scan-1", json.loads((out / "scan.json").read_text()), person(Role.SEC))
    file.write_text("site,n\nA,3\n", encoding="utf-8")
    with pytest.raises(PlatformError):
        record("scan", "ex-1", file, "--out", out, home=home)
    words = record("scan", "ex-1", file, "--out", out / "b", home=home, as_json=False)
    assert "small-count" in words and "not the file" in words
    assert read(SCAN, json.loads((out / "b" / "scan.json").read_text())).results
