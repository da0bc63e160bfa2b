"""A study's protocol as a TOML file, and the templates that `trifed impact new` writes.

    files = templates(study="study-1", entry=..., design="stepped-wedge", sites=(...))
    body = read_protocol(content)         # what the study's record says before any data
    unwritten(body)                       # fields that still have the template's words

The fields are those of the register's noun ``impact-study``; what comes later (digest of
the analysis plan, data cuts, results, harms, report) is written by other commands.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from importlib.resources import files

from federation.errors.impact import ProtocolFileError
from federation.impact.plan import RANDOMISED
from federation.impact.site_table import COLUMNS
from federation.wording import Text

MAX_BYTES = 2**18
FIELDS = frozenset(
    {
        "title",
        "entry",
        "design",
        "pico",
        "estimand",
        "sites",
        "clusters",
        "measures",
        "sample_size",
        "checklists",
        "irb",
        "registration",
        "randomisation_hash",
    }
)
"""What a protocol may say."""

UNWRITTEN = Text(en="to be written", zh="待填")
"""What stands in a template where people have to write."""

ANALYSES = {
    "individual-rct": "difference",
    "cluster-rct": "cluster-robust",
    "stepped-wedge": "random-intercept",
    "before-after": "interrupted-series",
    "interrupted-time-series": "interrupted-series",
    "matched-cohort": "difference",
    "reader-study": "difference",
    "silent-accuracy": "difference",
}
"""The designs, and what a template proposes for the primary measure."""

_SERIES = "\n[series]\nbegan = 12\nseasons = 0\n"
_TOO_LARGE = Text(en="it is larger than 256 KiB", zh="檔案大於 256 KiB")
_NOT_TOML = Text(en="it is not TOML in UTF-8", zh="不是 UTF-8 編碼的 TOML")
_DATES = Text(en="a date is written in quotes", zh="日期須加引號")
_CHECKLIST = """# {name}

Study / 研究:{study}

For each item of the published checklist: the page or section of the protocol that answers it,
or why it does not apply.
請就公開檢核表之每一項目,註明計畫書對應的頁次或段落,或不適用的理由。
"""


def read_protocol(content: bytes) -> dict[str, object]:
    """Return what a protocol says, by the fields of the study's record; values unchecked.

    Raises
    ------
    ProtocolFileError
        If it is too large, no TOML, or has fields of a later time or unknown ones.
    """
    if len(content) > MAX_BYTES:
        raise ProtocolFileError(why=_TOO_LARGE)
    try:
        raw = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise ProtocolFileError(why=_NOT_TOML) from error
    unknown = sorted(set(raw) - FIELDS)
    if unknown:
        names = ", ".join(name[:40] for name in unknown[:10])
        raise ProtocolFileError(why=f"{names} (extra_forbidden)")
    if any(isinstance(value, date | datetime | time) for _, value in _leaves(raw)):
        raise ProtocolFileError(why=_DATES)
    return raw


def unwritten(body: Mapping[str, object]) -> list[str]:
    """Return the fields that still have the template's words, by their paths."""
    words = {UNWRITTEN.en, UNWRITTEN.zh}
    said = ((path, value) for path, value in _leaves(body) if isinstance(value, str))
    return [path for path, value in said if value.strip() in words]


def templates(*, study: str, entry: str, design: str, sites: Sequence[str]) -> dict[str, bytes]:
    """Return the files of a new study by their names.

    Raises
    ------
    ProtocolFileError
        If there is no such design.
    """
    if design not in ANALYSES:
        known = ", ".join(ANALYSES)
        why = Text(en=f"there is no such design; there are {known}", zh=f"設計須為 {known}")
        raise ProtocolFileError(why=why)
    lists = checklists_of(design)
    words: dict[str, object] = {
        "study": study,
        "entry": entry,
        "design": design,
        "sites": list(sites),
        "clusters": len(sites) if design in RANDOMISED - {"individual-rct"} else 0,
        "analysis": ANALYSES[design],
        "periods": 24 if ANALYSES[design] == "interrupted-series" else len(sites) + 1,
    }
    checked = "\n".join(f'{name} = "checklists/{name}.md"' for name in lists)
    plan = _filled("plan_template.toml", words)
    plan += _SERIES if words["analysis"] == "interrupted-series" else ""
    return {
        "protocol.toml": (_filled("protocol_template.toml", words) + checked + "\n").encode(),
        "plan.toml": plan.encode(),
        "design.toml": _template(_power_file(design)).encode(),
        "economics.toml": _economics(entry).encode(),
        "table.csv": (",".join(COLUMNS) + "\n").encode(),
        **{
            f"checklists/{name}.md": _CHECKLIST.format(name=name, study=study).encode()
            for name in lists
        },
    }


def checklists_of(design: str) -> tuple[str, ...]:
    """Return the reporting checklists of a design, CHEERS-AI for its costs among them."""
    of_design = ("SPIRIT-AI", "CONSORT-AI") if design in RANDOMISED else ("DECIDE-AI",)
    return (*of_design, "CHEERS-AI")


def _power_file(design: str) -> str:
    if design == "stepped-wedge":
        return "design_wedge_template.toml"
    return "design_clusters_template.toml" if design == "cluster-rct" else "design_template.toml"


def _economics(entry: str) -> str:
    example = files("federation.economics").joinpath("example.toml").read_text(encoding="utf-8")
    return f"# {entry}\n{example}"


def _filled(name: str, words: Mapping[str, object]) -> str:
    text = _template(name)
    for field, value in words.items():
        text = text.replace(f"<{field}>", json.dumps(value, ensure_ascii=False))
    return text


def _template(name: str) -> str:
    return files("federation.impact").joinpath(name).read_text(encoding="utf-8")


def _leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    match value:
        case Mapping():
            for key, item in value.items():
                yield from _leaves(item, f"{path}.{key}".lstrip("."))
        case list() | tuple():
            for place, item in enumerate(value):
                yield from _leaves(item, f"{path}.{place}")
        case _:
            yield path, value
