"""A reader study by command: from the catalogue to sealed tables and results in the record."""

import json
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from federation.commands.main import run
from federation.errors.impact_designs import MeasureUnknownError
from federation.impact.design import power_table, read_design
from federation.impact.measures import catalogue
from federation.impact.plan import Analysis, read_plan
from federation.impact.protocol import ANALYSES, templates
from federation.impact.readers import Readings, compare_readers
from federation.operations.impact import show_study
from registry.impact.study import Measure
from tests.impact_cli.builders import BOARD, COMMITTEE, LEAD, Home, moved, written

SITES = ("hualien-3", "tainan-1", "taipei-2")
NAMES = tuple(f"reader-{number}" for number in range(1, 6))
STUDY = "readers-1"
WHO = ["--person", "lead-1", "--organisation", "Impact Centre"]
STATISTICIAN = ["--person", "stat-1", "--organisation", "Impact Centre"]


def readings() -> tuple[np.ndarray, np.ndarray]:
    """Return ratings 0 to 4 of 120 cases, better with the AI, and which have the finding."""
    chance = np.random.default_rng(5)
    truths = np.arange(120) % 2 == 0
    latent = chance.normal(size=(120, 1, 1)) + np.array([1.8, 1.1])[:, None] * truths[:, None, None]
    latent = latent + 0.7 * chance.normal(size=(120, 2, 5))
    return np.clip(np.floor(latent + 2), 0, 4).astype(np.int64), truths


def cases(site: int) -> str:
    found, truths = readings()
    lines = [
        f"c-{case},{NAMES[reader]},{('ai', 'usual')[arm]},{int(truths[case])},"
        f"{found[case, arm, reader] + 1}"
        for case in range(site * 40, site * 40 + 40)
        for reader in range(5)
        for arm in range(2)
    ]
    return "\n".join(["case,reader,arm,truth,rating", *lines])


def signing_keys(folder: Path) -> None:
    for site in SITES:
        key = Ed25519PrivateKey.generate()
        own = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / f"{site}.pem").write_bytes(own)
        (folder / f"{site}.pem").chmod(0o600)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (folder / f"{site}.pub").write_bytes(public)


def tabulated(folder: Path, site: str, out: str) -> list[str]:
    """Return the command by which a hospital seals its table."""
    keys = [part for one in SITES for part in ("--sum-key", str(folder / f"{one}.sum-key.json"))]
    peers = [part for one in SITES for part in ("--peer", f"{one}={folder / one}.pub")]
    table = str(folder / f"{site}.csv")
    secret = ["--secret", str(folder / f"{site}.sum-secret")]
    given = ["impact", "tabulate", str(folder / "plan.toml"), table, "--site", site]
    return [*given, "-o", str(folder / out), *keys, *peers, *secret]


def test_a_reader_study_goes_from_the_template_to_its_result(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at, folder = ["--home", str(home.path)], tmp_path / "s"
    sites = [part for one in SITES for part in ("--site", one)]
    measures = ["--measure", "reader-auroc", "--measure", "reader-specificity"]
    new = ["impact", "new", STUDY, home.entry, "--design", "reader-study", "-o", str(folder)]
    assert run([*new, *sites, *measures, *WHO, *at]) == 0
    plan = read_plan((folder / "plan.toml").read_bytes())
    assert plan.sealed and plan.readers is not None and plan.readers.names == NAMES
    (folder / "protocol.toml").write_bytes(written(folder))
    assert run(["impact", "protocol", STUDY, str(folder / "protocol.toml"), *WHO, *at]) == 0
    moved(home, "I1", LEAD, study=STUDY)
    moved(home, "I2", BOARD, study=STUDY)
    assert run(["impact", "log-plan", STUDY, str(folder / "plan.toml"), *WHO, *at]) == 0
    moved(home, "I3", LEAD, COMMITTEE, study=STUDY)

    signing_keys(folder)
    for number, site in enumerate(SITES):
        (folder / f"{site}.csv").write_text(cases(number), "utf-8")
        key = ["--key", str(folder / f"{site}.pem"), "--site", site, "-o", str(folder)]
        assert run(["impact", "sum-key", str(folder / "plan.toml"), *key]) == 0
        assert (folder / f"{site}.sum-secret").stat().st_mode & 0o077 == 0
    for site in SITES:
        assert run(tabulated(folder, site, f"{site}.json")) == 0
        assert not (folder / f"{site}.sum-secret").exists(), "a secret serves once"
    capsys.readouterr()
    assert run([*tabulated(folder, SITES[0], "again.json"), "--json"]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "TF917"

    tables = [part for one in SITES for part in ("--table", f"{one}={folder / one}.json")]
    given = [STUDY, str(folder / "plan.toml"), *tables]
    assert run(["impact", "freeze", *given, *WHO, *at]) == 0
    moved(home, "I4", LEAD, study=STUDY)
    capsys.readouterr()
    assert run(["impact", "analyse", *given, *STATISTICIAN, *at, "--json"]) == 0
    auroc, specificity = json.loads(capsys.readouterr().out)["results"]
    found, truths = readings()
    pooled = compare_readers(Readings.of(found, truths, NAMES, 5))
    assert auroc["estimate"] == pytest.approx(pooled.difference.value, abs=1e-12)
    assert auroc["df"] == pytest.approx(pooled.difference.freedom) and auroc["n"] == 120
    assert auroc["confirmed"] and len(auroc["arms"][0]["readers"]) == 5
    assert "specificity" in specificity["method"]
    kept = show_study(home.desk, STUDY).record.body["results"]
    assert isinstance(kept, list | tuple) and kept[0]["arms"] == auroc["arms"]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--fhir", "2026-01-01/2026-06-30"], "TF103"),
        (["--sent", "SECRET"], "TF103"),
        (["--secret", "SECRET", "--peer", "tainan-1"], "TF103"),
        (["--secret", "SECRET"], "TF895"),
        (["--secret", "SECRET", "--sum-key", "SECRET"], "TF895"),
        ([], "TF916"),
    ],
)
def test_a_table_that_cannot_be_sealed_is_refused_and_the_secret_stays(
    tmp_path: Path, options: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = templates(study=STUDY, entry="e", design="reader-study", sites=SITES)
    (tmp_path / "plan.toml").write_bytes(made["plan.toml"])
    (tmp_path / "cases.csv").write_text(cases(0), "utf-8")
    secret = tmp_path / "tainan-1.sum-secret"
    secret.write_bytes(bytes(32))
    given = [str(secret) if one == "SECRET" else one for one in options]
    files = [str(tmp_path / "plan.toml"), str(tmp_path / "cases.csv")]
    out = ["--site", "tainan-1", "-o", str(tmp_path / "out.json"), "--json"]
    assert run(["impact", "tabulate", *files, *out, *given]) == 1
    assert json.loads(capsys.readouterr().err)["error"]["code"] == code
    assert secret.exists() and not (tmp_path / "out.json").exists()


def test_the_catalogue_is_told_without_a_home(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["impact", "measures", "--json"]) == 0
    told = {one["code"]: one for one in json.loads(capsys.readouterr().out)["measures"]}
    assert len(told) >= 20 and told["turnaround"]["unit"] == "min"
    assert told["eq-5d-5l"]["range"] == [-1.0259, 1.0]
    assert told["door-to-wire"]["better"] == "lower" and told["cost"]["title"]["zh-TW"]
    assert run(["impact", "measures"]) == 0
    assert "staff-minutes" in capsys.readouterr().out


def test_every_measure_of_the_catalogue_is_one_a_record_may_have() -> None:
    for one in catalogue().values():
        told = {"id": one.code, "code": one.code, "unit": one.unit, "better": one.better}
        title = {"en": one.title.en, "zh-TW": one.title.zh}
        assert Measure.model_validate({**told, "title": title, "role": "primary"})
        assert one.source and one.title.en != one.title.zh


@pytest.mark.parametrize("design", ANALYSES)
def test_every_designs_templates_are_a_plan_and_a_power_file(design: str) -> None:
    made = templates(study="s-1", entry="e", design=design, sites=SITES)
    plan = read_plan(made["plan.toml"])
    assert plan.measures[0].analysis.value == ANALYSES[design]
    assert power_table(read_design(made["design.toml"])).needed is not None
    assert made["table.csv"].startswith(b"measure,cluster,period,arm,count")
    assert (design == "matched-cohort") == (plan.cohort is not None)


@pytest.mark.parametrize("code", [one for one in catalogue() if not one.startswith("reader-")])
def test_every_measure_fits_a_trial(code: str) -> None:
    made = templates(
        study="s-1", entry="e", design="individual-rct", sites=SITES, measures=["cost", code]
        if code != "cost" else ["cost"],
    )  # fmt: skip
    plan = read_plan(made["plan.toml"])
    assert plan.measures[-1].id == code
    if code == "turnaround":
        assert plan.measures[-1].analysis is Analysis.MEDIAN


def test_a_measure_that_nobody_listed_is_refused() -> None:
    with pytest.raises(MeasureUnknownError, match="turnaround"):
        templates(study="s", entry="e", design="individual-rct", sites=SITES, measures=["magic"])


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (["kind=interrupted-series", "effect.difference=-5", "effect.deviation=4",
          "series.correlation=0.2"], "months a side reach"),
        (["kind=difference-in-differences", "effect.difference=-5", "effect.deviation=18",
          "change.correlation=0.5"], "people in all"),
        (["kind=sensitivity", "effect.one=0.9", "effect.other=0.8"], "108 cases with the finding"),
        (["kind=reader-study", "effect.difference=0.05", "readers.count=10",
          "readers.pilot_cases=114", "readers.error=0.0008", "readers.same_reader=0.00035",
          "readers.same_arm=0.00034", "readers.neither=0.00024",
          "readers.inference=fixed-readers"], "cases read by everybody"),
    ],
)  # fmt: skip
def test_power_is_told_for_every_kind(
    settings: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [part for one in settings for part in ("--set", one)]
    assert run(["impact", "power", *options]) == 0
    assert text in capsys.readouterr().out
