"""The register of those who opted out: versions, lists, and what stops the work."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from clients.data.intake.ingest import ingest
from clients.data.layout import KEY_FILE
from clients.data.people.lists import Kind
from clients.data.people.optout import answers, import_optouts, load_optouts, optout_report
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.people.register import Mode, Register
from clients.data.people.signed_list import sign_list
from federation.errors.data import OptOutListError, PseudonymKeyError
from federation.errors.people import (
    OptOutChainError,
    OptOutRemovalsError,
    OptOutRulesError,
    OptOutSerialError,
    OptOutSignatureError,
    OptOutSourceError,
)
from federation.evidence.signing import Signer, new_key
from tests.data.conftest import CHEST
from tests.data.people.conftest import NOW, Fill, a_list


def count(data: Path) -> int:
    return len(load_optouts(data, now=NOW).patients)


def test_every_change_is_a_version_chained_to_the_one_before(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for names in (["A"], ["A", "B"], ["A"]):
        import_optouts(data, a_list(tmp_path / "l.txt", *names), now=NOW)
    first, second = Register(data).versions()  # the third list changed nothing
    assert (first.listed, second.listed, second.added) == (1, 2, 1)
    assert second.previous == first.digest
    assert load_optouts(data, now=NOW).version == second.content


def test_a_full_list_brings_people_back_and_an_adding_one_never_does(tmp_path: Path) -> None:
    data, source = tmp_path / "data", a_list(tmp_path / "l.txt", "A", "B")
    import_optouts(data, source, now=NOW)
    a_list(source, "C")
    import_optouts(data, source, now=NOW)
    assert count(data) == 3
    import_optouts(data, source, mode=Mode.REPLACE, now=NOW)
    assert count(data) == 1


def test_a_full_list_that_frees_very_many_must_be_confirmed(tmp_path: Path) -> None:
    data, source = tmp_path / "data", tmp_path / "l.txt"
    import_optouts(data, a_list(source, *(f"P{n}" for n in range(20))), now=NOW)
    with pytest.raises(OptOutRemovalsError, match="100 percent"):
        import_optouts(data, a_list(source), mode=Mode.REPLACE, now=NOW)
    assert count(data) == 20
    import_optouts(data, source, mode=Mode.REPLACE, many_removals=True, now=NOW)
    assert count(data) == 0


def test_no_identity_lies_in_any_file_of_the_register(tmp_path: Path) -> None:
    data = tmp_path / "data"
    import_optouts(data, a_list(tmp_path / "l.txt", "A123456789"), now=NOW)
    files = [path for path in data.rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert b"A123456789" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_the_single_file_of_earlier_homes_is_read_and_becomes_version_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = Pseudonyms.open_or_create(data / KEY_FILE)
    old = data / "optout.csv"
    old.write_text(f"pseudonym\n{names.patient('OLD1')}\n")
    before = load_optouts(data, now=NOW)
    assert len(before.patients) == 1
    import_optouts(data, a_list(tmp_path / "l.txt", "NEW1"), now=NOW)
    assert answers(data, ["OLD1", "NEW1", "OTHER"], now=NOW) == ["yes", "yes", "no"]
    assert [one.kind for one in Register(data).versions()] == ["earlier-format", "file-csv"]
    assert not old.exists()


@pytest.mark.parametrize("change", ["set", "line", "order", "missing"])
def test_a_register_that_was_changed_stops_the_work(tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    for names in ("A", "B"):
        import_optouts(data, a_list(tmp_path / "l.txt", names), now=NOW)
    chain, (listed,) = data / "optout" / "versions.jsonl", (data / "optout").glob("*.csv")
    lines = chain.read_text().splitlines()
    if change == "set":
        listed.write_text("pseudonym\n")
    elif change == "missing":
        listed.unlink()
    else:
        forged = json.loads(lines[0]) | {"listed": 7}
        lines = (
            [json.dumps(forged, sort_keys=True, separators=(",", ":")), lines[1]]
            if change == "line"
            else lines[::-1]
        )
        chain.write_text("\n".join(lines) + "\n")
    with pytest.raises(OptOutChainError):
        load_optouts(data, now=NOW)


def test_a_killed_import_leaves_the_old_version_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    import_optouts(data, a_list(tmp_path / "l.txt", "A"), now=NOW)
    import clients.data.people.register as module

    real = module.write_atomic

    def die_before_the_chain(path: Path, content: bytes) -> None:
        if path.name == module.CHAIN:
            raise KeyboardInterrupt
        real(path, content)

    monkeypatch.setattr(module, "write_atomic", die_before_the_chain)
    with pytest.raises(KeyboardInterrupt):
        import_optouts(data, a_list(tmp_path / "l.txt", "B"), now=NOW)
    monkeypatch.undo()
    assert answers(data, ["A", "B"], now=NOW) == ["yes", "no"]
    import_optouts(data, tmp_path / "l.txt", now=NOW)
    assert answers(data, ["A", "B"], now=NOW) == ["yes", "yes"]


def test_who_came_back_is_taken_in_again(fill: Fill, tmp_path: Path) -> None:
    source = a_list(tmp_path / "l.txt", "PID0001")
    import_optouts(tmp_path / "data", source, now=NOW)
    data = fill(3)
    assert ingest(data, tmp_path / "given", rules=CHEST, workers=1).quarantined == {"TF515": 1}
    import_optouts(data, a_list(source), mode=Mode.REPLACE, many_removals=True, now=NOW)
    again = ingest(data, tmp_path / "given", rules=CHEST, workers=1)
    assert (again.new, again.quarantined) == (1, {})


@pytest.fixture
def issuer(tmp_path: Path) -> Signer:
    """A ministry whose lists this home believes."""
    signer = new_key(tmp_path / "issuer.key")
    (tmp_path / "optout.toml").write_text('[[issuer]]\nname = "M"\npublic_key = "issuer.pub"\n')
    return signer


def signed(path: Path, signer: Signer, *names: str, serial: int = 1, mode: Mode = Mode.ADD) -> Path:
    path.write_bytes(sign_list(list(names), mode=mode, serial=serial, issued=NOW, signer=signer))
    return path


def test_a_list_its_issuer_signed_is_taken_in_as_it_says(tmp_path: Path, issuer: Signer) -> None:
    data, path = tmp_path / "data", tmp_path / "list.json"
    import_optouts(data, signed(path, issuer, "A", "B"), now=NOW)
    import_optouts(data, signed(path, issuer, "B", serial=2, mode=Mode.REPLACE), now=NOW)
    assert answers(data, ["A", "B"], now=NOW) == ["no", "yes"]
    last = Register(data).versions()[-1]
    assert (last.kind, last.serial, last.issuer) == ("file-signed", 2, str(issuer.keyid))


def test_an_older_signed_list_is_refused(tmp_path: Path, issuer: Signer) -> None:
    data, path = tmp_path / "data", tmp_path / "list.json"
    import_optouts(data, signed(path, issuer, "A", serial=5), now=NOW)
    with pytest.raises(OptOutSerialError):
        import_optouts(data, signed(path, issuer, "B", serial=4), now=NOW)


def test_any_changed_byte_of_a_signed_list_is_refused(tmp_path: Path, issuer: Signer) -> None:
    path = signed(tmp_path / "list.json", issuer, "A")
    content = path.read_bytes()
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises((OptOutSignatureError, OptOutSourceError, OptOutListError)):
            import_optouts(tmp_path / "data", path, kind=Kind.SIGNED, now=NOW)


def test_a_list_signed_by_anybody_else_is_refused(tmp_path: Path, issuer: Signer) -> None:
    other = new_key(tmp_path / "other.key")
    with pytest.raises(OptOutSignatureError, match="issuers"):
        import_optouts(tmp_path / "data", signed(tmp_path / "l", other, "A"), now=NOW)


def test_a_signed_list_is_not_taken_for_the_other_mode(tmp_path: Path, issuer: Signer) -> None:
    path = signed(tmp_path / "list.json", issuer, "A")
    with pytest.raises(OptOutSignatureError, match="other"):
        import_optouts(tmp_path / "data", path, mode=Mode.REPLACE, now=NOW)


@pytest.mark.parametrize(
    "text",
    ["nonsense = 1", "[source]\nurl = 'http://x'", "[source]\nkind = 'signed'\nurl='https://x'"],
)
def test_rules_that_are_not_understood_stop_the_work(tmp_path: Path, text: str) -> None:
    (tmp_path / "optout.toml").write_text(text)
    with pytest.raises(OptOutRulesError):
        load_optouts(tmp_path / "data", now=NOW)


def test_an_entry_that_is_no_patient_id_is_refused_without_showing_it(tmp_path: Path) -> None:
    path = a_list(tmp_path / "l.txt", "A" * 300)
    with pytest.raises(OptOutSourceError) as caught:
        import_optouts(tmp_path / "data", path, now=NOW)
    assert "AAAA" not in str(caught.value)


def test_a_report_gives_tens_and_names_nobody(fill: Fill, tmp_path: Path) -> None:
    data = fill(4)
    import_optouts(data, a_list(tmp_path / "l.txt", "PID0001"), now=NOW + timedelta(1))
    report = optout_report(data, now=NOW)
    assert (report["listed"], report["patients_in_catalogue"]) == ("<10", "<10")
    assert report["representativeness"]["variables"] is None
    assert Pseudonyms.open(data / KEY_FILE).patient("PID0001") not in json.dumps(report)


@pytest.mark.parametrize("lost", ["versions", "folder"])
def test_a_register_that_is_put_back_or_deleted_stops_the_work(tmp_path: Path, lost: str) -> None:
    data, source = tmp_path / "data", tmp_path / "l.txt"
    import_optouts(data, a_list(source, "A"), now=NOW)
    shutil.copytree(data / "optout", tmp_path / "old")
    import_optouts(data, a_list(source, "A", "B"), now=NOW)
    shutil.rmtree(data / "optout")
    if lost == "versions":
        (tmp_path / "old").rename(data / "optout")
    with pytest.raises(OptOutChainError):
        load_optouts(data, now=NOW)


def test_another_key_knows_nobody_and_stops_the_work(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    import_optouts(data, a_list(tmp_path / "l.txt", "A"), now=NOW)
    Pseudonyms.open_or_create(other / KEY_FILE)
    (other / KEY_FILE).replace(data / KEY_FILE)
    with pytest.raises(PseudonymKeyError):
        load_optouts(data, now=NOW)


def test_no_key_is_made_where_names_are_in_use(tmp_path: Path) -> None:
    data = tmp_path / "data"
    import_optouts(data, a_list(tmp_path / "l.txt", "A"), now=NOW)
    shutil.rmtree(data / "keys")
    with pytest.raises(PseudonymKeyError):
        Pseudonyms.open_or_create(data / KEY_FILE)


def test_an_empty_full_list_brings_nobody_back_by_itself(tmp_path: Path) -> None:
    data, source = tmp_path / "data", tmp_path / "l.txt"
    import_optouts(data, a_list(source, "A", "B"), now=NOW)
    with pytest.raises(OptOutRemovalsError):
        import_optouts(data, a_list(source), mode=Mode.REPLACE, now=NOW)
    assert count(data) == 2


def test_a_line_of_several_columns_is_not_answered_with_no(tmp_path: Path) -> None:
    data = tmp_path / "data"
    import_optouts(data, a_list(tmp_path / "l.txt", "A"), now=NOW)
    assert answers(data, ["A", "A;Wang", "B"], now=NOW) == ["yes", "unknown", "no"]


def test_two_imports_at_once_both_count(tmp_path: Path) -> None:
    data = tmp_path / "data"
    lists = [a_list(tmp_path / f"{n}.txt", f"P{n}") for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda one: import_optouts(data, one, now=NOW), lists))
    assert (count(data), len(Register(data).versions())) == (8, 8)
