"""docs/registry-record.md explains every field there is."""

from pathlib import Path

from federation.evidence.model_version import Candidate, Record

PAGE = Path(__file__).parents[2] / "docs" / "registry-record.md"


def test_every_field_of_candidate_and_record_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for kind in (Candidate, Record):
        for name in kind.model_json_schema(by_alias=True)["properties"]:
            assert f"| `{name}` |" in text, name


def test_every_field_inside_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for part in Candidate.model_json_schema()["$defs"].values():
        for name in part["properties"]:
            assert name in text, name
