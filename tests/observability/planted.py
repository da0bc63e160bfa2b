"""What no line, record or message at the centre may ever hold, and how it is looked for."""

from collections.abc import Iterator
from pathlib import Path

NAME, NUMBER, PLACE = "CHENMEILING", "A123456789", "chen_meiling_scan.dcm"
PATIENT = f"{NAME}^{NUMBER} 1961-04-05 /pacs/{PLACE}"


def traces_in(content: bytes | str) -> list[str]:
    """Return which parts of the planted text stand in some content."""
    text = content if isinstance(content, str) else content.decode("utf-8", errors="replace")
    return [part for part in (NAME, NUMBER, PLACE, "1961-04-05") if part.lower() in text.lower()]


def files_with_traces(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield every file below a folder in which something of it stands."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and (found := traces_in(path.read_bytes())):
            yield path.relative_to(folder).as_posix(), found
