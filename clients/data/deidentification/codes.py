"""Keep of a coded entry (PS3.3 8.8) what a published coding scheme says, and no more.

A code stays when its scheme is published and it is spelled as that scheme's codes are.
Its meaning is free text, so it stays only where it is the one that the standard's context
groups print (as pydicom brings them); another meaning of a known code is replaced by
that one, the meaning of a code that is not in them by ``REMOVED``.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from clients.data.deidentification.sweep import REPLACEMENT
from clients.data.dicom.elements import Element

LONGEST_MEANING = 64
VALUE, SCHEME, VERSION, MEANING = 0x00080100, 0x00080102, 0x00080103, 0x00080104

_UNIT = r"(?:[munkcdhpMG]?(?:mol|Hz|Pa|Gy|Sv|Bq|eq|m|g|s|L|l|V|A|W|J|K|U)|Cel|deg|min|rad|[hda1%])"
_SNOMED = r"[A-Z][0-9]?-(?=[0-9A-F]*[0-9])[0-9A-F]{4,6}"
_SPELLING = {
    "SCT": r"[0-9]{6,18}",
    "SRT": _SNOMED,
    "SNM3": _SNOMED,
    "DCM": r"[0-9]{6}",
    "LN": r"[0-9]{1,7}-[0-9]",
    "UCUM": rf"/?[0-9]{{0,4}}{_UNIT}-?[0-9]?(?:[./][0-9]{{0,4}}{_UNIT}-?[0-9]?){{0,4}}",
    "RADLEX": r"RID[0-9]{1,6}",
    "FMA": r"[0-9]{1,6}",
    "UMLS": r"C[0-9]{7}",
    "NCIt": r"C[0-9]{1,7}",
    "MDC": r"[0-9]{1,7}(?::[0-9]{1,7})?",
    "PUBCHEM_CID": r"[0-9]{1,10}",
    "BI": r"[IVX]{1,4}(?:\.[A-Za-z0-9]{1,2}){0,5}",
    "I10": r"[A-Z][0-9][0-9A-Z](?:\.[0-9A-Z]{1,4})?",
    "I11": r"(?=[A-Z]*[0-9])[0-9A-Z]{4}(?:\.[0-9A-Z]{1,2})?",
    "ACR": r"[0-9]{1,4}(?:\.[0-9]{1,5})?",
    "CTV3": r"(?=[A-Za-z]*[0-9.])[0-9A-Za-z.]{5}",
    "ISO639_2": r"[a-z]{3}",
    "ISO3166_1": r"[A-Z]{2,3}",
    "RFC5646": r"[a-z]{2,3}(?:-[A-Z]{2})?",
}
"""Published coding schemes and how their codes are spelled."""
SCHEMES = frozenset(_SPELLING)
_PATTERNS = {scheme: re.compile(spelling) for scheme, spelling in _SPELLING.items()}
_VERSION = re.compile(r"[0-9][0-9._-]{0,15}")


@dataclass(frozen=True, slots=True)
class Code:
    """A coded entry of a published scheme: the printed meanings, none where none is known."""

    meanings: tuple[str, ...]
    versioned: bool

    def meaning(self, said: str) -> str:
        """Return the printed meaning that an entry says, or the first one, or no meaning."""
        same = (one for one in self.meanings if one.casefold() == said.casefold())
        return next(same, self.meanings[0] if self.meanings else REPLACEMENT)[:LONGEST_MEANING]


def published(elements: Sequence[Element]) -> Code | None:
    """Return what may stay of the coded entry among `elements`, None when nothing may."""
    said = {element.tag: element.text() for element in elements}
    scheme, value = said.get(SCHEME, ""), said.get(VALUE, "")
    pattern = _PATTERNS.get(scheme)
    if pattern is None:
        return None
    meanings = _meanings(scheme).get(value, ())
    if value and not meanings and not pattern.fullmatch(value):
        return None
    return Code(meanings, versioned=bool(_VERSION.fullmatch(said.get(VERSION, ""))))


@cache
def _meanings(scheme: str) -> dict[str, tuple[str, ...]]:
    """Return {code: meanings} of a scheme, as far as the standard's context groups go."""
    from pydicom.sr._concepts_dict import concepts
    from pydicom.sr._snomed_dict import mapping

    if scheme in ("SRT", "SNM3"):
        known = _meanings("SCT")
        return {old: known[new] for old, new in mapping["SRT"].items() if new in known}
    found: dict[str, tuple[str, ...]] = {}
    for named in concepts.get(scheme, {}).values():
        for value, (meaning, _) in named.items():
            found[value] = (*found.get(value, ()), meaning)
    return found
