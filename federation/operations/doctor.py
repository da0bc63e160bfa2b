"""Look this machine and a home over, and say what would go wrong before it does.

`doctor(home)` never raises on a broken home: what is broken is what it reports.
It changes nothing and reads no patient's data. Findings carry the code of the
error that a command would end with, so `trifed explain CODE` goes on from there.
`doctor_of_site(home, site)` has the running centre ask a hospital's node for the
same; it gets names, levels, codes and a few numbers, and the words are made here.
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from federation.checkup.found import Travelled
from federation.domain.ids import SiteId
from federation.errors import PlatformError, error_of_code
from federation.errors.core import HomeMissingError
from federation.errors.machine import DiskFullError
from federation.errors.observation import CheckupOffError, CheckupRefusedError, CheckupTooOftenError
from federation.operations.findings import (
    Finding,
    Level,
    fine,
    gathered,
    problem,
    told_from_afar,
    worth_a_look,
)
from federation.operations.home_checks import CENTRE, NODE, Clock, centre_findings, node_findings
from federation.operations.installed import check_import_names, wrong_versions
from federation.wording import Text

SITE_WAIT_S = 60.0
DISK_PROBLEM_BYTES = 500_000_000
DISK_WARNING_BYTES = 5_000_000_000
MEMORY_WARNING_BYTES = 2_000_000_000

_NAMES = Text(en="The four import names are TriFed's own.", zh="四個匯入名稱皆屬於 TriFed。")
_VERSIONS = Text(en="All required packages fit.", zh="所有必要套件版本相符。")
_DISK = Text(en="{free} GB of disk are free.", zh="磁碟剩餘 {free} GB。")
_DISK_LOW = Text(en="Only {free} GB of disk are free.", zh="磁碟僅剩 {free} GB。")
_FREE_DISK = Text(
    en="Free some space: a run keeps a model per round, a node its images.",
    zh="請釋出空間:每回合會保存一個模型,節點另存影像。",
)
_MEMORY = Text(en="{free} GB of memory are free.", zh="記憶體剩餘 {free} GB。")
_MEMORY_LOW = Text(en="Only {free} GB of memory are free.", zh="記憶體僅剩 {free} GB。")
_FREE_MEMORY = Text(
    en="Private training of a DenseNet121 takes about 1.5 GB per node; close other programs.",
    zh="DenseNet121 的隱私訓練每節點約需 1.5 GB;請關閉其他程式。",
)
_THREADS = Text(
    en="{cores} cores; every training process uses one thread.",
    zh="{cores} 個核心;每個訓練程序使用一個執行緒。",
)

_SAME_CODE = Text(en="The node runs the same code as the centre.", zh="節點與中心執行相同程式碼。")
_OTHER_CODE = Text(en="The node runs other code than the centre.", zh="節點與中心的程式碼不同。")
_COMPARE_VERSIONS = Text(
    en="Install the same release on both sides; `trifed version` shows the digest.",
    zh="請於兩端安裝相同版本;`trifed version` 會顯示摘要值。",
)


def _now() -> datetime:
    return datetime.now(UTC)


def doctor(home: Path | None = None, *, clock: Clock = _now) -> tuple[Finding, ...]:
    """Return what the checks of this machine, and of a centre's or node's home, find."""
    found = machine_findings(home or Path.cwd())
    if home is None:
        return (*found, *_versions(()))
    if (home / CENTRE).is_file():
        found += [*_versions(["centre", "registry"]), *centre_findings(home, clock)]
    elif (home / NODE).is_file():
        found += [*_versions(["node"]), *node_findings(home, clock)]
    else:
        missing = HomeMissingError(kind="centre / node", folder=home, command="trifed centre init")
        found.append(problem("home", missing))
    return tuple(found)


def doctor_of_site(home: Path, site: SiteId, *, wait_s: float = SITE_WAIT_S) -> tuple[Finding, ...]:
    """Return what a site's node finds when the running centre of `home` asks it.

    Raises
    ------
    SiteUnknownError, CentreNotRunningError, SiteNotConnectedError
        If the site is not in the roster, or it or the centre is not there.
    CheckupUnsupportedError, CheckupUnansweredError
        If the node is too old, or silent for `wait_s`.
    CheckupOffError, CheckupTooOftenError, CheckupRefusedError
        If the hospital's node says no.
    """
    from federation.coordinator.admin import AdminClient
    from federation.coordinator.home import CentreHome

    centre = CentreHome.open(home)
    centre.roster().entry(site)
    with AdminClient(centre.folder) as running:
        report = running.checkup(site, wait_s=wait_s)
        node_code = running.status([site]).sites[0].wheel_digest
    if report.refused_code:
        raise _no_of(site, report.refused_code)
    return (*map(told_from_afar, report.findings), _same_code(node_code))


def _no_of(site: SiteId, code: str) -> PlatformError:
    kind = error_of_code(code)
    if kind in (CheckupOffError, CheckupTooOftenError):
        return kind()
    said = told_from_afar(Travelled("checkup", Level.PROBLEM, code)).what
    return CheckupRefusedError(site=site, code=code, said=said)


def _same_code(node_code: str) -> Finding:
    from federation import provenance

    if node_code == provenance.code_digest():
        return fine("software", _SAME_CODE)
    return worth_a_look("software", _OTHER_CODE, _COMPARE_VERSIONS)


def is_healthy(findings: Iterable[Finding]) -> bool:
    """Return whether no finding is a problem."""
    return all(finding.level is not Level.PROBLEM for finding in findings)


def machine_findings(folder: Path) -> list[Finding]:
    """Return what the checks that need no home find; `folder` is on the disk in question."""
    return [
        *gathered("names", _names),
        *gathered("disk", lambda: _disk(folder)),
        *gathered("memory", _memory),
        fine("threads", _THREADS, cores=os.cpu_count() or 1),
    ]


def _names() -> Iterator[Finding]:
    check_import_names()
    yield fine("names", _NAMES)


def _versions(extras: Iterable[str]) -> list[Finding]:
    wrong = [problem("versions", error) for error in wrong_versions(extras)]
    return wrong or [fine("versions", _VERSIONS)]


def _disk(folder: Path) -> Iterator[Finding]:
    free = shutil.disk_usage(_nearest(folder)).free
    shown = f"{free / 1e9:.1f}"
    if free < DISK_PROBLEM_BYTES:
        needed = f"{DISK_PROBLEM_BYTES / 1e6:.0f}"
        yield problem("disk", DiskFullError(needed=needed, free=f"{free / 1e6:.1f}"))
    elif free < DISK_WARNING_BYTES:
        yield worth_a_look("disk", _DISK_LOW, _FREE_DISK, free=shown)
    else:
        yield fine("disk", _DISK, free=shown)


def _nearest(folder: Path) -> Path:
    """Return the folder, or the closest one above it that exists."""
    return next(place for place in (folder, *folder.absolute().parents) if place.is_dir())


def _memory() -> Iterator[Finding]:
    free = int(psutil.virtual_memory().available)
    shown = f"{free / 1e9:.1f}"
    if free < MEMORY_WARNING_BYTES:
        yield worth_a_look("memory", _MEMORY_LOW, _FREE_MEMORY, free=shown)
    else:
        yield fine("memory", _MEMORY, free=shown)
