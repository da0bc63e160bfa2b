"""The structure of the CHAI Applied Model Card, versions 0.1 and 0.2, as data.

Facts (names, order, what is required) from the schema that the Coalition for
Health AI publishes (github.com/coalition-for-health-ai/mc-schema, v0.1 and
v0.2/schema.xsd). The XSD that `xsd` returns is TriFed's own: it accepts the same
structure, fetches nothing, and takes a signature without looking into it.
"""

from dataclasses import dataclass
from enum import Enum
from xml.sax.saxutils import quoteattr

SIGNATURE = "http://www.w3.org/2000/09/xmldsig#"


class Version(Enum):
    """A published version of the schema."""

    V0_1 = "0.1"
    V0_2 = "0.2"

    @property
    def namespace(self) -> str:
        """Return the namespace of its documents."""
        return f"https://mc.chai.org/v{self.value}/schema.xsd"


@dataclass(frozen=True, slots=True)
class Element:
    """An element: text where it has no parts, else its parts in this order."""

    name: str
    parts: "tuple[Element, ...]" = ()
    required: bool = True
    many: bool = False


GROUPS = ("UsefulnessUsabilityEfficacy", "FairnessEquity", "SafetyReliability")
"""The three groups of key metrics."""


def structure(version: Version) -> Element:
    """Return the root element of a version."""
    return Element(
        "AppliedModelCard",
        (
            _of("BasicInfo", "ModelName ModelDeveloper DeveloperContact"),
            _release(version),
            Element(
                "ModelSummary",
                (
                    Element("Summary"),
                    Element("Keywords", (Element("Keyword", required=False, many=True),)),
                ),
            ),
            _of(
                "UsesAndDirections",
                "IntendedUseAndWorkflow PrimaryIntendedUsers HowToUse TargetedPatientPopulation "
                "CautionedOutOfScopeSettings",
            ),
            _of(
                "Warnings",
                "KnownRisksAndLimitations KnownBiasesOrEthicalConsiderations ClinicalRiskLevel",
            ),
            _trust(),
            Element("KeyMetrics", tuple(_metric(name, version) for name in GROUPS)),
            _of(
                "Resources",
                "EvaluationReferences? ClinicalTrial? PeerReviewedPublications "
                "ReimbursementStatus? PatientConsentOrDisclosure",
            ),
            Element("Bibliography"),
        ),
    )


def xsd(version: Version) -> bytes:
    """Return TriFed's own XML Schema for a version."""
    body = _particle(structure(version), root=True)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<!-- TriFed's own schema of the published structure; "
        "not the file of the Coalition for Health AI. -->\n"
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="qualified"'
        f" targetNamespace={quoteattr(version.namespace)}>{body}</xs:schema>\n"
    ).encode()


def _release(version: Version) -> Element:
    compatible = Element(
        "EHRCompatibility", (Element("EHR", required=False, many=True),), required=False
    )
    stage = "ReleaseStage ReleaseDate ReleaseVersion GlobalAvailability"
    return Element(
        "ReleaseInfo",
        (
            *_of("", stage).parts,
            *([compatible] if version is Version.V0_2 else []),
            Element("RegulatoryApproval", required=False),
        ),
    )


def _trust() -> Element:
    return Element(
        "TrustIngredients",
        (
            _of(
                "AISystemFacts",
                "OutcomesAndOutputs ModelType FoundationModels? InputDataSource "
                "OutputAndInputDataTypes DevelopmentDataCharacterization "
                "BiasMitigationApproaches OngoingMaintenance Security? Transparency?",
            ),
            _of(
                "TransparencyInformation",
                "FundingSource ThirdPartyInformation? StakeholdersConsulted",
            ),
        ),
    )


def _metric(name: str, version: Version) -> Element:
    result = Element("Result")
    if version is Version.V0_2:
        one = Element("MetricResult", (Element("Label"), Element("ValueJson")), many=True)
        result = Element("Results", (one,))
    tail = "Interpretation TestType TestingDataDescription ValidationProcessAndJustification"
    return Element(name, (Element("MetricGoal"), result, *_of("", tail).parts))


def _of(name: str, parts: str) -> Element:
    """Return an element of text parts; a name with ``?`` may be left out."""
    return Element(
        name,
        tuple(Element(part.rstrip("?"), required=not part.endswith("?")) for part in parts.split()),
    )


def _particle(element: Element, *, root: bool = False) -> str:
    name = quoteattr(element.name)
    least = "" if element.required else ' minOccurs="0"'
    most = ' maxOccurs="unbounded"' if element.many else ""
    if not element.parts:
        return f'<xs:element name={name} type="xs:string"{least}{most}/>'
    inside = "".join(_particle(part) for part in element.parts)
    signature = (
        f'<xs:any namespace="{SIGNATURE}" processContents="skip" minOccurs="0"/>' if root else ""
    )
    return (
        f"<xs:element name={name}{least}{most}><xs:complexType><xs:sequence>"
        f"{inside}{signature}</xs:sequence></xs:complexType></xs:element>"
    )
