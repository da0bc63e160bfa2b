"""Find the page of an error code: in the wheel, or in a checkout's docs folder."""

from importlib.resources import files
from pathlib import Path


def page_of(code: str) -> str | None:
    """Return the text of a code's page, or None when there is no such code."""
    if not (code.startswith("TF") and code[2:].isdigit()):
        return None
    packaged = files("federation") / "errors" / "pages" / f"{code}.md"
    checkout = Path(__file__).parents[2] / "docs" / "errors" / f"{code}.md"
    for place in (packaged, checkout):
        if place.is_file():
            return place.read_text(encoding="utf-8")
    return None
