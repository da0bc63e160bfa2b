"""The rules that an application names: versioned packs of data, never code.

`NHIA-AI-110` are the directions of the NHIA's AI service centre, in force in 2021 only
(source 002). `NHI-DMA-2025` is the act on the management of NHI data of December 2025;
its article numbers and implementing rules were not at hand, so what it leaves open is
taken from the directions. A pack's numbers never change; a new edition is a new pack.
"""

from dataclasses import dataclass
from datetime import date
from enum import Enum

from registry.applications.shape import ApplicantKind, Modality, Purpose


class PackId(Enum):
    """The name of a rule pack."""

    NHIA_AI_110 = "NHIA-AI-110"
    NHI_DMA_2025 = "NHI-DMA-2025"


@dataclass(frozen=True, slots=True)
class RulePack:
    """What differs between editions of the rules.

    Parameters
    ----------
    begins, ends
        The days between which use may take place; None: open.
    purposes, applicants, modalities
        What may be asked for, by whom.
    ban_months
        How long a sanctioned applicant gets no data; 0 where refusing is a choice.
    """

    id: PackId
    begins: date
    ends: date | None
    purposes: frozenset[Purpose]
    applicants: frozenset[ApplicantKind]
    modalities: frozenset[Modality]
    ban_months: int
    correction_working_days: int = 7
    fee_days: int = 14


PACKS = {
    PackId.NHIA_AI_110: RulePack(
        id=PackId.NHIA_AI_110,
        begins=date(2021, 1, 1),
        ends=date(2021, 12, 31),
        purposes=frozenset({Purpose.PUBLIC_HEALTH, Purpose.HEALTH_CARE}),
        applicants=frozenset(
            {ApplicantKind.AGENCY, ApplicantKind.COMMISSIONED, ApplicantKind.ACADEMIC}
        ),
        modalities=frozenset({Modality.CT, Modality.MR}),
        ban_months=0,
    ),
    PackId.NHI_DMA_2025: RulePack(
        id=PackId.NHI_DMA_2025,
        begins=date(2025, 12, 2),
        ends=None,
        purposes=frozenset({Purpose.PUBLIC_HEALTH, Purpose.HEALTH_CARE}),
        applicants=frozenset(ApplicantKind),
        modalities=frozenset(Modality),
        ban_months=12,
    ),
}
