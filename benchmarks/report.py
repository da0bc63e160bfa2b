"""Print what a benchmark measured, and on what it was measured, in one form.

Every script in this folder ends with `report(name, figures, units)`: a table
for people, or the JSON contract of ARCHITECTURE.md with `--json` as the last
line of stdout. A figure without its machine and versions is worth nothing, so
they are added here and nowhere else.
"""

import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "trifed",
    "numpy",
    "torch",
    "monai",
    "opacus",
    "flwr",
    "prefect",
    "grpcio",
    "pydicom",
    "dp-accounting",
    "cryptography",
    "sqlalchemy",
    "safetensors",
)


def report(name: str, figures: dict[str, float], units: dict[str, str]) -> None:
    """Print the figures; as the JSON contract when `--json` is on the command line.

    Raises
    ------
    ValueError
        If a figure has no unit, or a unit no figure.
    """
    if figures.keys() != units.keys():
        raise ValueError(f"figures and units differ: {sorted(figures.keys() ^ units.keys())}")
    document = {
        "name": name,
        "figures": figures,
        "units": units,
        "machine": machine(),
        "versions": versions(),
        "command": " ".join(["python", *sys.argv]),
    }
    print(json.dumps(document, sort_keys=True) if "--json" in sys.argv else _table(document))


def machine() -> dict[str, object]:
    """Return what the figures were measured on, and how busy it was."""
    return {
        "cpu": _line_of("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_mb": int(_line_of("/proc/meminfo", "MemTotal").split()[0] or 0) // 1024
        if Path("/proc/meminfo").exists()
        else None,
        "load_1_min": round(os.getloadavg()[0], 2),
        "system": f"{platform.system()} {platform.release()}",
        "threads": os.environ.get("OMP_NUM_THREADS", "not set"),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a figure."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _line_of(path: str, key: str) -> str:
    if not Path(path).exists():
        return ""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(key)), "")


def _table(document: dict[str, object]) -> str:
    figures, units = document["figures"], document["units"]
    assert isinstance(figures, dict)
    assert isinstance(units, dict)
    width = max(len(key) for key in figures)
    rows = [f"  {key:<{width}}  {value:>12.4g} {units[key]}" for key, value in figures.items()]
    about = document["machine"]
    assert isinstance(about, dict)
    foot = f"  on {about['cpu']}, {about['cores']} cores, load {about['load_1_min']}"
    return "\n".join([str(document["name"]), *rows, foot])
