"""The main job with the centre killed in the middle of it, as a visitor sees it."""

import json
from pathlib import Path

import pytest

from tests.demo.test_demo import STEPS, answer, running_in, trifed

ROUNDS = 3
SITES = 2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_centre_that_is_killed_goes_on_and_nobody_pays_twice(tmp_path: Path) -> None:
    workdir = tmp_path / "work"
    asked = ("--rounds", str(ROUNDS), "--sites", str(SITES), "--workdir", str(workdir))
    done = trifed("demo", "--chaos", *asked, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout.splitlines()[-1])

    assert result["status"] == "completed"
    assert result["rounds"] == {"asked": ROUNDS, "done": ROUNDS}
    assert result["chaos"]["killed"] and result["chaos"]["recovered_s"] > 0
    for site in result["sites"]:
        home = f"{workdir}/hospitals/{site['site']}"
        (book,) = answer("node", "ledger", "show", "--home", home)
        kinds = [entry["kind"] for entry in book["entries"]]
        assert kinds == ["opened", *["reserved", "committed"] * (ROUNDS + STEPS)]
    assert running_in(workdir) == []
