"""What a dossier lacks is told in Chinese too, dimensions and documents by their names."""

from registry.certification.completeness import _wanted
from registry.certification.rule_packs import pack_named
from registry.certification.titles import DOCUMENTS
from registry.evaluations.evaluation import Dimension
from registry.evaluations.titles import DIMENSIONS

PACK = pack_named("tfda-ai", "2026.1")


def test_every_dimension_and_every_document_has_its_name() -> None:
    assert set(DIMENSIONS) == {one.value for one in Dimension}
    asked = {need.document for one in PACK.requirements for need in one.needs} - {None}
    assert asked == set(DOCUMENTS)


def test_what_is_needed_is_said_in_chinese() -> None:
    needs = [
        need for one in PACK.requirements for need in one.needs if need.any_of == ("evaluation",)
    ]
    for need in needs:
        said = _wanted(need).zh
        assert not any(one.value in said for one in need.dimensions), said
    documents = [need for one in PACK.requirements for need in one.needs if need.document]
    for need in documents:
        assert DOCUMENTS[str(need.document)] in _wanted(need).zh
        assert str(need.document) in _wanted(need).en
