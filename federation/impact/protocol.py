"""A study's protocol as a TOML file, and the templates that `trifed impact new` writes.

    files = templates(study="study-1", entry=..., design="stepped-wedge", sites=(...))
    body = read_protocol(content)         # what the study's record says before any data
    unwritten(body)                       # fields that still have the template's words

The fields are those of the register's noun ``impact-study``; what comes later (digest of
the analysis plan, data cuts, results, harms, report) is written by other commands.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from importlib.resources import files

from federation.domain.toml_text import parse_toml
from federation.errors.impact import ProtocolFileError
from federation.impact.measures import Known, known, plan_block, protocol_block
from federation.impact.plan import RANDOMISED, SHORT, Analysis, read_plan
from federation.impact.site_table import columns
from federation.secure_sum import FEWEST
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

FROZEN_FIELDS = (
    "entry",
    "design",
    "pico",
    "estimand",
    "sites",
    "clusters",
    "measures",
    "sample_size",
    "randomisation_hash",
)
"""What of it no later revision may say otherwise once data are frozen."""

UNWRITTEN = Text(en="to be written", zh="待填")
"""What stands in a template where people have to write."""

ANALYSES = {
    "individual-rct": "difference",
    "cluster-rct": "cluster-robust",
    "stepped-wedge": "random-intercept",
    "before-after": "autoregressive-series",
    "interrupted-time-series": "autoregressive-series",
    "matched-cohort": "difference",
    "reader-study": "reader-study",
    "silent-accuracy": "difference",
}
"""The designs, and what a template proposes for the primary measure."""

MEASURES = {"reader-study": ("reader-auroc", "reader-sensitivity", "reader-specificity")}
"""What a template measures where nothing is said; other designs: time and cost."""

_USUAL = ("turnaround", "cost")
_TABLES = {
    "autoregressive-series": "\n[series]\nbegan = 12\nseasons = 0\n",
    "difference-in-differences": "\n[change]\nbegan = 1\n",
    "reader-study": """
[readers]
names = ["reader-1", "reader-2", "reader-3", "reader-4", "reader-5"]
ratings = 5
covariance = "delong"
inference = "random"
""",
}
"""What an analysis needs besides its measures."""

_COHORT = """
[cohort]
method = "caliper"
covariates = ["age", "sex"]
caliper = 0.2
largest_gap = 0.1
"""
_POWER = {
    "stepped-wedge": "wedge_",
    "cluster-rct": "clusters_",
    "before-after": "series_",
    "interrupted-time-series": "series_",
    "reader-study": "readers_",
    "silent-accuracy": "floor_",
}
"""The designs whose power has a file of its own."""

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
        raw = parse_toml(content)
    except ValueError as error:
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


def templates(
    *, study: str, entry: str, design: str, sites: Sequence[str], measures: Sequence[str] = ()
) -> dict[str, bytes]:
    """Return the files of a new study by their names.

    Parameters
    ----------
    measures
        Codes of the catalogue, the primary first; the design's usual ones where none is named.

    Raises
    ------
    ProtocolFileError
        If there is no such design, or its measures do not go together.
    MeasureUnknownError
        If a measure is not in the catalogue.
    """
    if design not in ANALYSES:
        known = ", ".join(ANALYSES)
        why = Text(en=f"there is no such design; there are {known}", zh=f"設計須為 {known}")
        raise ProtocolFileError(why=why)
    lists = checklists_of(design)
    asked = _asked(design, measures)
    words: dict[str, object] = {
        "study": study,
        "entry": entry,
        "design": design,
        "sites": list(sites),
        "clusters": len(sites) if design in RANDOMISED - {"individual-rct"} else 0,
        "periods": 24 if ANALYSES[design] == "autoregressive-series" else len(sites) + 1,
    }
    checked = "\n".join(f'{name} = "checklists/{name}.md"' for name in lists)
    told = "\n".join(protocol_block(one, role=role) for one, role, _ in asked)
    protocol = _filled("protocol_template.toml", words).replace("<measures>", told)
    plan = _plan(words, asked)
    read_plan(plan)  # a template is a plan
    return {
        "protocol.toml": (protocol + checked + "\n").encode(),
        "plan.toml": plan,
        "design.toml": _template(_power_file(design)).encode(),
        "economics.toml": _economics(entry).encode(),
        "table.csv": (",".join(columns(read_plan(plan), baseline=False)) + "\n").encode(),
        **{
            f"checklists/{name}.md": _CHECKLIST.format(name=name, study=study).encode()
            for name in lists
        },
    }


_Asked = tuple[tuple[Known, str, Analysis], ...]


def _asked(design: str, codes: Sequence[str]) -> _Asked:
    """Return the measures with role and analysis: the design's for the primary."""
    chosen = [known(code) for code in codes or MEASURES.get(design, _USUAL)]
    primary, *others = chosen
    told = [(primary, "primary", Analysis(ANALYSES[design]))]
    return (*told, *((one, "secondary", one.analysis) for one in others))


def _plan(words: Mapping[str, object], asked: _Asked) -> bytes:
    """Return the template of plan.toml."""
    design, sites = words["design"], words["sites"]
    many = isinstance(sites, list) and len(sites) >= FEWEST
    sealed = design == "reader-study" and many and SHORT.fullmatch(str(words["study"]))
    text = _filled("plan_template.toml", words) + ("sealed = true\n" if sealed else "")
    for one, role, analysis in asked:
        text += "\n" + plan_block(one, role=role, analysis=analysis)
    analyses = dict.fromkeys(analysis.value for _, _, analysis in asked)
    text += "".join(_TABLES.get(analysis, "") for analysis in analyses)
    return (text + (_COHORT if design == "matched-cohort" else "")).encode()


def checklists_of(design: str) -> tuple[str, ...]:
    """Return the reporting checklists of a design, CHEERS-AI for its costs among them."""
    of_design = ("SPIRIT-AI", "CONSORT-AI") if design in RANDOMISED else ("DECIDE-AI",)
    return (*of_design, "CHEERS-AI")


def _power_file(design: str) -> str:
    return f"design_{_POWER.get(design, '')}template.toml"


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
