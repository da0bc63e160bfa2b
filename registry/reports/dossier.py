"""The status of a certification dossier: what is met, what is missing, what to do next."""

from collections.abc import Iterable, Mapping

from federation.figures.canvas import filled
from federation.figures.numerals import NONE
from federation.wording import Language, Text
from registry.certification.completeness import Completeness, Finding, Status
from registry.certification.dossier import Dossier
from registry.reports.checklists.answers import plain
from registry.reports.layout import Block, Chip, Facts, Notice, Report, Section, Table, Tone
from registry.reports.rendering import render

KIND = Text(en="Certification dossier", zh="查驗登記文件")
_STATUS: Mapping[Status, Chip] = {
    Status.MET: Chip(Text(en="met", zh="符合"), Tone.GOOD),
    Status.NOT_APPLICABLE: Chip(Text(en="does not apply", zh="不適用"), Tone.WAITING),
    Status.NOT_AS_RECORDED: Chip(Text(en="not as recorded", zh="與紀錄不符"), Tone.STOP),
    Status.OTHER_VERSION: Chip(Text(en="other version", zh="屬其他版本"), Tone.STOP),
    Status.EXPIRED: Chip(Text(en="expired", zh="已逾期"), Tone.STOP),
    Status.NOT_IN_FORCE: Chip(Text(en="not in force", zh="尚未生效"), Tone.CARE),
    Status.MISSING: Chip(Text(en="missing", zh="缺漏"), Tone.STOP),
}
_SEVERITY = {"must": Text(en="must", zh="必要"), "should": Text(en="should", zh="建議")}
_REQUIREMENT = Text(en="requirement", zh="要求")


def dossier_report(id: str, dossier: Dossier, found: Completeness, language: Language) -> str:
    """Return how a dossier stands as one HTML page."""
    return render(layout(id, dossier, found), language)


def layout(id: str, dossier: Dossier, found: Completeness) -> Report:
    """Return the report of a dossier."""
    pack = found.pack
    return Report(
        kind=KIND,
        title=dossier.entry,
        under=f"{id} · {dossier.target} · {pack.id} {pack.version}",
        source=pack.digest,
        sections=[
            one for one in (_gaps(found), _requirements(found), _about(dossier, found))
            if one.blocks
        ],
        verdict=_verdict(found),
        facts=_overview(found),
    )  # fmt: skip


def _verdict(found: Completeness) -> tuple[Chip, Text]:
    if found.is_complete:
        said = Text(en="Everything that must be shown is shown.", zh="所有必要項目均已具備證據。")
        return Chip(Text(en="complete", zh="已齊備"), Tone.GOOD), said
    said = Text(
        en="{count} requirements that must be met are not.", zh="尚有 {count} 項必要要求未符合。"
    )
    chip = Chip(Text(en="not complete", zh="未齊備"), Tone.STOP)
    return chip, filled(said, count=len(found.open_musts))


def _overview(found: Completeness) -> Facts:
    statuses = [one.status for one in found.findings]
    applicable = len(statuses) - statuses.count(Status.NOT_APPLICABLE)
    met = statuses.count(Status.MET)
    share = f"{100 * met / applicable:.0f} %" if applicable else NONE
    return Facts(
        (
            (Text(en="Completeness", zh="完備程度"), share),
            (Text(en="Requirements met", zh="已符合"), f"{met} / {applicable}"),
            (Text(en="Gaps", zh="缺漏"), str(len(found.gaps))),
        )
    )


def _gaps(found: Completeness) -> Section:
    ordered = sorted(
        (one for one in found.findings if one.gaps), key=lambda one: one.requirement.severity
    )
    rows = [
        (one.requirement.id, _SEVERITY[one.requirement.severity], gap.why, gap.next_step)
        for one in ordered
        for gap in one.gaps
    ]
    if not rows:
        return Section("gaps", "", ())
    columns = (
        _REQUIREMENT,
        Text(en="weight", zh="強度"),
        Text(en="what is missing", zh="缺漏內容"),
        Text(en="what to do next", zh="後續處理"),
    )
    caption = Text(en="What must be met comes first.", zh="必要項目在前。")
    title = Text(en="What is missing", zh="缺漏與後續處理")
    return Section("gaps", title, (Table(caption, columns, rows),))


def _requirements(found: Completeness) -> Section:
    columns = (
        _REQUIREMENT,
        Text(en="what must be shown", zh="應證明事項"),
        Text(en="status", zh="狀態"),
        Text(en="evidence", zh="證據"),
        Text(en="FDA · EU", zh="FDA · EU 對應"),
    )
    table = Table(plain(found.pack.title), columns, [_row(one) for one in found.findings])
    blocks: tuple[Block, ...] = (Notice(plain(found.pack.note), Tone.WAITING), table)
    title = Text(en="Every requirement", zh="各項要求")
    return Section("requirements", title, blocks)


def _row(one: Finding) -> tuple[str, Text, Chip, str, str]:
    asked = one.requirement
    elsewhere = _joined((asked.maps.FDA, asked.maps.EU), " · ")
    return asked.id, plain(asked.text), _STATUS[one.status], _joined(one.evidence, ", "), elsewhere


def _joined(names: Iterable[str], mark: str) -> str:
    return mark.join(name for name in names if name) or NONE


def _about(dossier: Dossier, found: Completeness) -> Section:
    sent = ", ".join(f"{one.date} {one.number} ({one.result})" for one in dossier.submissions)
    licence = dossier.licence
    facts = Facts(
        (
            (Text(en="Version", zh="版本"), dossier.entry),
            (Text(en="Authority", zh="主管機關"), dossier.target),
            (Text(en="Device", zh="器材"), f"{dossier.device_id} · {dossier.device.task}"),
            (Text(en="Change control plan", zh="變更控制計畫"), dossier.change_plan or NONE),
            (Text(en="Evidence bundle", zh="證據包"), dossier.bundle or NONE),
            (Text(en="Submissions", zh="送件紀錄"), sent or NONE),
            (
                Text(en="Licence", zh="許可證"),
                f"{licence.number}, {licence.issued} – {licence.expires}" if licence else NONE,
            ),
            (Text(en="Rule pack", zh="規則集"), found.pack.digest),
        )
    )
    return Section("about", Text(en="Dossier", zh="文件資料"), (facts,))
