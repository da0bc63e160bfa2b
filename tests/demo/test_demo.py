"""The main job, as a new user runs it: real processes, real files, one command."""

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.registry.bundles import no_network

ROUNDS = 3
STEPS = 2
"""Rounds of the evaluation of one version: prepare, and sum."""

SETTLED = {"judged", "accepted"}
LIMIT_S = 900


def trifed(*arguments: str, timeout_s: float = LIMIT_S) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "federation.commands.main", *arguments],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env={**os.environ, "TRIFED_LANG": "en"},
        check=False,
    )


def running_in(workdir: Path) -> list[str]:
    """Return the command lines of the processes that work in a folder."""
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return [" ".join(words) for words in lines if str(workdir) in " ".join(words)]


def wait_for(holds: Callable[[], bool], *, timeout_s: float) -> bool:
    """Return whether it came to hold in time."""
    end = time.monotonic() + timeout_s
    while not holds() and time.monotonic() < end:
        time.sleep(0.1)
    return holds()


def answer(*arguments: str) -> Any:
    done = trifed(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def workdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "work"


@pytest.fixture(scope="module")
def result(workdir: Path) -> dict[str, Any]:
    done = trifed("demo", "--workdir", str(workdir), "--rounds", str(ROUNDS), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


pytestmark = pytest.mark.timeout(LIMIT_S)


def test_every_round_that_was_asked_was_done(result: dict[str, Any]) -> None:
    assert result["status"] == "completed"
    assert result["rounds"] == {"asked": ROUNDS, "done": ROUNDS}
    assert result["errors"] == []


def test_the_hospital_whose_policy_says_no_refused_and_the_others_went_on(
    result: dict[str, Any], workdir: Path
) -> None:
    (refusal,) = result["refused"]
    assert (refusal["site"], refusal["code"]) == ("hualien", "TF320")
    assert "epsilon 8.0 is more than 1.0" in refusal["what"]
    assert refusal["site"] not in {site["site"] for site in result["sites"]}
    home = f"{workdir}/hospitals/hualien"
    (book,) = answer("node", "ledger", "show", "--home", home)
    assert book["epsilon"] == 0, "it evaluated, which costs nothing; it did not train"
    explained = answer("node", "policy", "explain", "pneumonia-demo", "--home", home)
    assert "epsilon" in json.dumps(explained)


def test_text_in_a_picture_is_kept_out_though_its_tag_denies_it(
    result: dict[str, Any], workdir: Path
) -> None:
    for site in (*(one["site"] for one in result["sites"]), "hualien"):
        found = answer("node", "catalogue", "--home", f"{workdir}/hospitals/{site}")
        assert found["quarantined"] == {"TF502": 1, "TF507": 1, "TF535": 1}


def test_three_hospitals_were_three_processes(result: dict[str, Any]) -> None:
    assert len({site["pid"] for site in result["sites"]}) == 3


def test_nothing_of_the_demo_runs_on(result: dict[str, Any], workdir: Path) -> None:
    assert running_in(workdir) == []


def test_every_site_spent_no_more_than_it_was_asked(result: dict[str, Any]) -> None:
    for site in result["sites"]:
        assert 0 < site["epsilon"] <= 8.0
        assert site["delta"] == 1e-3
        assert site["patients"] >= 10


def test_every_site_has_an_auroc_with_an_interval(result: dict[str, Any]) -> None:
    for site in result["sites"]:
        assert 0 <= site["auroc_low"] <= site["auroc"] <= site["auroc_high"] <= 1


def test_the_registry_says_the_same(result: dict[str, Any], workdir: Path) -> None:
    record = answer("registry", "show", result["registry"]["entry"], "--home", f"{workdir}/centre")

    assert (record["id"], record["version"]) == (result["model"]["id"], result["model"]["version"])
    assert record["model"]["sha256"] == "sha256:" + result["model"]["sha256"]
    assert record["rounds"] == result["rounds"]
    epsilons = {one["site"]: one["epsilon"] for one in record["privacy"]}
    aurocs = {one["site"]: one["value"] for one in record["evaluations"]}
    for site in result["sites"]:
        assert epsilons[site["site"]] == site["epsilon"]
        assert aurocs[site["site"]] == site["auroc"]


def test_the_hospitals_books_say_the_same(result: dict[str, Any], workdir: Path) -> None:
    for site in result["sites"]:
        home = f"{workdir}/hospitals/{site['site']}"
        (book,) = answer("node", "ledger", "show", "--home", home)
        kinds = [entry["kind"] for entry in book["entries"]]
        assert kinds == ["opened", *["reserved", "committed"] * (ROUNDS + STEPS)]
        assert book["epsilon"] == pytest.approx(site["epsilon"])


def test_the_bundle_verifies_offline_and_a_changed_one_does_not(
    result: dict[str, Any], workdir: Path, tmp_path: Path
) -> None:
    bundle = Path(result["registry"]["bundle"])
    assert answer("evidence", "verify", str(bundle))["verified"] is True

    changed = tmp_path / "changed.zip"
    with zipfile.ZipFile(bundle) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("record.json"):
                content = content.replace(b'"done":3', b'"done":4').replace(
                    b'"done": 3', b'"done": 4'
                )
            new.writestr(name, content)
    done = trifed("evidence", "verify", str(changed), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["failure"]["item"]


def test_the_bundle_verifies_in_an_empty_network_namespace_by_both_verifiers(
    result: dict[str, Any], workdir: Path, tmp_path: Path
) -> None:
    bundle, alone = Path(result["registry"]["bundle"]), no_network()
    with zipfile.ZipFile(bundle) as archive:
        archive.extract("verify.py", tmp_path)
    root = trifed("evidence", "root", "--home", f"{workdir}/centre").stdout.strip()
    options = [str(bundle), "--root", root, "--json"]
    programs = (
        [str(tmp_path / "verify.py")],
        ["-m", "federation.commands.main", "evidence", "verify"],
    )
    said = [
        subprocess.run(
            [*alone, sys.executable, *program, *options], capture_output=True, text=True, check=True
        ).stdout
        for program in programs
    ]
    assert json.loads(said[0]) == json.loads(said[1])
    assert json.loads(said[0])["verified"] is True and json.loads(said[0])["key_known"] is True


def test_four_hospitals_evaluated_the_version_under_a_plan_that_was_logged_first(
    result: dict[str, Any], workdir: Path
) -> None:
    found, home = result["evaluation"], f"{workdir}/centre"
    plan = answer("evidence", "log", "show", str(found["log_index"]), "--home", home)
    signed = {one["name"]: one["digest"]["sha256"] for one in plan["statement"]["subject"]}
    record = f"{found['id']}.1.discrimination"
    told = answer("registry", "record", "show", "evaluation", record, "--home", home)

    assert f"sha256:{signed['protocol/' + found['id']]}" == found["protocol"]
    assert told["body"]["protocol_hash"] == found["protocol"]
    assert told["log_index"] > found["log_index"]
    assert sorted(told["body"]["sites"]) == ["hualien", "taichung", "tainan", "taipei"]
    low, high = found["auroc"]["interval"]
    assert low <= found["auroc"]["value"] <= high
    assert found["cases"] >= 200
    assert found["records"]["discrimination"] in SETTLED


def test_the_rehearsed_study_is_reported_with_its_cost_effectiveness_plane(
    result: dict[str, Any],
) -> None:
    found = result["impact"]
    first = found["results"][0]

    assert found["state"] == "reported" and found["invented"] is True
    assert (first["measure"], first["confirmed"]) == ("turnaround", True)
    if result["evaluation"]["records"]["operating-point"] in SETTLED:
        assert found["costs"]["evaluations"] == [f"{result['evaluation']['id']}.1.operating-point"]
        names = {Path(path).name for path in found["figures"]}
        assert {"plane.en.svg", "plane.zh-Hant-TW.svg"} <= names
        assert all(Path(path).read_bytes().startswith(b"<") for path in found["figures"])
    else:
        assert found["costs"] is None, "counts that are hidden or missed cost nothing"


def test_the_records_behind_the_dossier_are_made_of_what_was_signed(
    result: dict[str, Any], workdir: Path
) -> None:
    found, home = result["records"], f"{workdir}/centre"
    trained = [site["site"] for site in result["sites"]]

    assert found["dataset_cards"] == {f"{site}.pneumonia-demo": "in-use" for site in trained}
    assert found["training_run"] == {"id": "pneumonia-demo.1", "state": "verified"}
    assert found["version"] == "internal-eval"
    assert Path(found["summary"]).read_bytes().startswith(b"<!")
    run = answer("registry", "record", "show", "training-run", "pneumonia-demo.1", "--home", home)
    cards = {one["dataset_card"] for one in run["body"]["participants"]}
    assert cards == set(found["dataset_cards"])
    assert Path(result["impact"]["report"]).read_text("utf-8").lower().startswith("<!doctype html")


def test_the_dossier_says_how_complete_it_is_and_what_is_missing(
    result: dict[str, Any], workdir: Path
) -> None:
    found, home = result["dossier"], f"{workdir}/centre"
    status = answer("dossier", "status", found["id"], "--home", home)
    words = trifed("dossier", "status", found["id"], "--home", home).stdout

    told = found["completeness"]
    assert (status["met"], status["applicable"]) == (told["met"], told["applicable"])
    met = {one["id"] for one in status["requirements"] if one["status"] == "met"}
    known = ("02", "03", "04", "06", "07", "08", "13", "29", "30", "32")
    assert {f"TFDA-AI-{number}" for number in known} <= met, "what the platform knows"
    assert {f"TFDA-AI-{number}" for number in (15, 16, 20, 21, 22, 26, 31)}.isdisjoint(met)
    assert "a confirmed document (risk-management) is missing" in words


def test_all_of_it_is_in_the_log_as_it_was_signed(result: dict[str, Any], workdir: Path) -> None:
    home = f"{workdir}/centre"
    audited = answer("evidence", "log", "audit", "--home", home)
    assert audited["records"] >= 30

    for noun, record in (
        ("impact-study", result["impact"]["id"]),
        ("certification-dossier", result["dossier"]["id"]),
    ):
        told = answer("registry", "record", "show", noun, record, "--home", home)
        entry = answer("evidence", "log", "show", str(told["log_index"]), "--home", home)
        assert record in json.dumps(entry["statement"])


def test_planted_names_are_in_no_file_of_the_node(result: dict[str, Any], workdir: Path) -> None:
    files = [path for path in (workdir / "dicom").rglob("*.dcm") if path.name.startswith("MRN")]
    records = {path.name.split("_")[0].encode() for path in files}
    given = [path.name.split("_")[2].encode() for path in files[::100]]
    assert len(records) > 100
    for path in (path for path in (workdir / "hospitals").rglob("*") if path.is_file()):
        content = path.read_bytes()
        assert records.isdisjoint(re.findall(rb"MRN[0-9]{8}", content)), path.name
        assert not [name for name in given if name in content], path.name


def test_staff_read_the_proposal_in_both_languages(result: dict[str, Any], workdir: Path) -> None:
    home = f"{workdir}/hospitals/{result['sites'][0]['site']}"

    english = trifed("node", "proposals", "pneumonia-demo", "--home", home).stdout
    chinese = subprocess.run(
        [
            *(sys.executable, "-m", "federation.commands.main"),
            *("node", "proposals", "pneumonia-demo", "--home", home),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "TRIFED_LANG": "zh-Hant-TW"},
        check=True,
    ).stdout

    assert "What leaves:" in english
    assert "離院內容" in chinese


def test_a_killed_demo_leaves_nothing_running(tmp_path: Path) -> None:
    workdir = tmp_path / "killed"
    command = [sys.executable, "-m", "federation.commands.main", "demo", "--workdir", str(workdir)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as demo:
        node = "clients.flower.executor"
        came = wait_for(lambda: any(node in one for one in running_in(workdir)), timeout_s=120)
        demo.kill()

    assert came
    assert wait_for(lambda: running_in(workdir) == [], timeout_s=15), running_in(workdir)
