"""Where a hospital keeps what evaluations leave with it, and how it is deleted."""

from pathlib import Path

from clients.home import NodeHome
from federation.domain.ids import StudyId
from federation.domain.study import Study

PREDICTIONS, SUMS = "predictions", "sums"
"""Folders of a node's home: predictions by study, keys and claims of secure sums."""


def place_of(home: NodeHome, study: Study) -> Path:
    """Return the folder of the predictions of one version of a study."""
    return home.folder / PREDICTIONS / f"{study.id}@{study.digest.hex[:16]}"


def kept_files(home: NodeHome) -> dict[str, int]:
    """Return how many files are kept of each study, by its name."""
    folders = sorted((home.folder / PREDICTIONS).glob("*@*"))
    names = [path.name.partition("@")[0] for path in folders for _ in path.iterdir()]
    return {name: names.count(name) for name in sorted(set(names))}


def delete(home: NodeHome, study: StudyId) -> int:
    """Delete every prediction of a study; return how many files that were.

    No sum of it is answered after that: the study would have to be approved anew.
    """
    found = [path for path in (home.folder / PREDICTIONS).glob(f"{study}@*/*") if path.is_file()]
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)
