"""The names of the formats, light enough for a command line to know them at start."""

from enum import Enum


class Format(Enum):
    """A format, by its name on the command line."""

    MLBOM = "mlbom"
    CHAI = "chai"
    HTI1 = "hti1"
    FHIR = "fhir"
    CROISSANT = "croissant"
    JSON = "json"


class Table(Enum):
    """How the HTI-1 table is written, by the ending of its file."""

    HTML = ".html"
    CSV = ".csv"
    JSON = ".json"


ENDINGS = {
    Format.MLBOM: ".cdx.json",
    Format.CHAI: ".chai.xml",
    Format.HTI1: ".hti1.html",
    Format.FHIR: ".fhir.json",
    Format.CROISSANT: ".croissant.json",
    Format.JSON: ".json",
}
"""How a file of each format usually ends."""
