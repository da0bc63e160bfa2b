"""What only people know of a study's data, as a file that a person fills in.

    path.write_text(CARD_WORDS)              # `trifed node card new STUDY`
    words = read_words(path.read_bytes(), name=path.name)

Nothing of it is guessed: a field left as it came is refused. The register looks at the
same again, with its own rules, when the signed card arrives there.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from federation.domain.toml_text import parse_toml
from federation.errors.records import CardWordsError
from federation.wording import Text

MOST_BYTES = 128 * 1024
LONGEST = 4000
LEGAL_BASES = ("consent", "research-exemption", "nhi-data-act", "statutory-duty")
_RECORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+-]{0,119}")

CARD_WORDS = """\
# What only people know of the data of study {study}. Both languages; then:
#   trifed node card sign {study} FILE
# 僅人員知悉之資料說明;請以中英文填寫後執行上列指令。

# Who answers for the data here (data steward) and of which house.
# 本院資料管理人及其機構。
person = ""
organisation = ""

title = {{ "zh-TW" = "", en = "" }}
source_systems = ["PACS"]
exclusion = {{ "zh-TW" = "", en = "" }}
# consent, research-exemption, nhi-data-act or statutory-duty
# 法律依據:同意、研究豁免、健保資料條例或法定職務
legal_basis = ""
# The data application of the register under which the data are used.
# 登錄系統中的資料申請案編號。
application = ""
# destroy_by = 2030-12-31
# Only where the node cannot tell it (too few patients in a year):
# period = {{ begin = 2024-01-01, end = 2025-12-31 }}
# Only where opt-outs changed the data much (SMD above 0.1): why that is acceptable.
# accepted = {{ "zh-TW" = "", en = "" }}

# The approval's number and last day, or the code of its exemption.
# 倫理審查核准號與效期,或免審代碼。
[ethics]
board = ""
# number = ""
# expires = 2027-08-31
# exemption = ""

# How the reference standard was made. 參考標準之標註方式。
[labels]
process = {{ "zh-TW" = "", en = "" }}
annotators = 0
qualification = {{ "zh-TW" = "", en = "" }}
adjudication = {{ "zh-TW" = "", en = "" }}
# kappa = 0.8
"""
"""The file as it is written for a study; `{study}` is its name."""

_UNREADABLE = Text(en="it is not TOML, or larger than 128 KiB", zh="不是 TOML,或大於 128 KiB")
_UNKNOWN = Text(en="{field} is not asked for", zh="並未要求 {field}")
_FIELD = Text(en="{field} is missing, or not of its form", zh="缺少 {field},或格式不符")

Json = dict[str, Any]
_TOP = frozenset(
    {"person", "organisation", "title", "source_systems", "exclusion", "legal_basis",
     "application", "destroy_by", "period", "accepted", "ethics", "labels"}
)  # fmt: skip
_ETHICS = frozenset({"board", "number", "expires", "exemption"})
_LABELS = frozenset({"process", "annotators", "qualification", "adjudication", "kappa"})


@dataclass(frozen=True, slots=True)
class Words:
    """What a person typed; `fields` go into the card as they are.

    `period` and `accepted` are None where nothing was typed.
    """

    person: str
    organisation: str
    fields: Json
    period: dict[str, str] | None = None
    accepted: dict[str, str] | None = None


def read_words(content: bytes, *, name: str) -> Words:
    """Return the words in a file.

    Raises
    ------
    CardWordsError
        Naming the first field that is missing, unknown or not of its form.
    """
    return _Reader(name).read(content)


@dataclass(frozen=True, slots=True)
class _Reader:
    name: str

    def read(self, content: bytes) -> Words:
        raw = self._parsed(content)
        ethics, labels = self._table(raw, "ethics"), self._table(raw, "labels")
        for given, known in ((raw, _TOP), (ethics, _ETHICS), (labels, _LABELS)):
            for field in given.keys() - known:
                raise self._error(_UNKNOWN, field)
        period = raw.get("period")
        expires = ethics.get("expires")
        return Words(
            person=self._line(raw, "person"),
            organisation=self._line(raw, "organisation"),
            period=None if period is None else self._period(raw),
            accepted=None if "accepted" not in raw else self._both(raw, "accepted"),
            fields={
                "title": self._both(raw, "title"),
                "source_systems": self._lines(raw, "source_systems"),
                "exclusion": self._both(raw, "exclusion"),
                "legal_basis": self._one_of(raw, "legal_basis", LEGAL_BASES),
                "application": self._record(raw, "application"),
                "destroy_by": None if "destroy_by" not in raw else self._day(raw, "destroy_by"),
                "ethics": self._ethics(ethics),
                "ethics_expires": None if expires is None else self._day(ethics, "expires"),
                "labels": self._labels(labels),
            },
        )

    def _parsed(self, content: bytes) -> Json:
        try:
            if len(content) <= MOST_BYTES:
                return parse_toml(content)
        except ValueError as error:
            raise CardWordsError(file=self.name, why=_UNREADABLE) from error
        raise CardWordsError(file=self.name, why=_UNREADABLE)

    def _ethics(self, raw: Json) -> Json:
        if ("number" in raw) == ("exemption" in raw) or ("number" in raw) != ("expires" in raw):
            raise self._error(_FIELD, "ethics: number with expires, or exemption")
        given: Json = {one: self._line(raw, one) for one in ("number", "exemption") if one in raw}
        return {"board": self._line(raw, "board"), "number": None, "exemption": None, **given}

    def _labels(self, raw: Json) -> Json:
        annotators, kappa = raw.get("annotators"), raw.get("kappa")
        if isinstance(annotators, bool) or not isinstance(annotators, int) or annotators < 0:
            raise self._error(_FIELD, "annotators")
        if kappa is not None and (isinstance(kappa, bool) or not isinstance(kappa, int | float)):
            raise self._error(_FIELD, "kappa")
        both = ("process", "qualification", "adjudication")
        words = {name: self._both(raw, name) for name in both}
        return {**words, "annotators": annotators, "kappa": kappa}

    def _period(self, raw: Json) -> dict[str, str]:
        period = self._table(raw, "period")
        return {name: self._day(period, name) for name in ("begin", "end")}

    def _table(self, raw: Mapping[str, object], field: str) -> Json:
        found = raw.get(field)
        if not isinstance(found, dict):
            raise self._error(_FIELD, field)
        return found

    def _both(self, raw: Mapping[str, object], field: str) -> dict[str, str]:
        match raw.get(field):
            case {"zh-TW": str(zh), "en": str(en), **rest} if not rest:
                if 0 < len(zh.strip()) <= LONGEST and 0 < len(en.strip()) <= LONGEST:
                    return {"zh-TW": zh, "en": en}
        raise self._error(_FIELD, field)

    def _line(self, raw: Mapping[str, object], field: str) -> str:
        found = raw.get(field)
        if not isinstance(found, str) or not 0 < len(found.strip()) <= 200:
            raise self._error(_FIELD, field)
        return found

    def _lines(self, raw: Mapping[str, object], field: str) -> list[str]:
        found = raw.get(field)
        if not isinstance(found, list) or not 0 < len(found) <= 20:
            raise self._error(_FIELD, field)
        return [self._line({field: one}, field) for one in found]

    def _one_of(self, raw: Mapping[str, object], field: str, known: tuple[str, ...]) -> str:
        if raw.get(field) not in known:
            raise self._error(_FIELD, f"{field} ({', '.join(known)})")
        return str(raw[field])

    def _record(self, raw: Mapping[str, object], field: str) -> str:
        found = self._line(raw, field)
        if _RECORD.fullmatch(found) is None:
            raise self._error(_FIELD, field)
        return found

    def _day(self, raw: Mapping[str, object], field: str) -> str:
        found = raw.get(field)
        if type(found) is not date:
            raise self._error(_FIELD, field)
        return found.isoformat()

    def _error(self, why: Text, field: str) -> CardWordsError:
        said = Text(en=why.en.format(field=field[:80]), zh=why.zh.format(field=field[:80]))
        return CardWordsError(file=self.name, why=said)
