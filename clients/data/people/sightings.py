"""Answer which rounds saw a person, by Patient ID or by pseudonym of any time."""

from collections.abc import Sequence
from pathlib import Path

from clients.data.deidentification.deidentify import patient_source
from clients.data.layout import KEY_FILE
from clients.data.people.lineage import Lineage, Sighting
from clients.data.people.pseudonyms import Pseudonyms
from clients.data.people.reveal import PSEUDONYM
from federation.errors.people import PseudonymSpellingError


def of_pseudonym(data: Path, pseudonym: str) -> list[Sighting]:
    """Return the rounds that saw a pseudonym, also one from before a key rotation.

    Raises
    ------
    PseudonymSpellingError
        If it is no pseudonym.
    LineageError
        If the book cannot be read.
    """
    if not PSEUDONYM.fullmatch(pseudonym):
        raise PseudonymSpellingError()
    names = Pseudonyms.open(data / KEY_FILE)
    return Lineage(data).sightings(names.patient_since(pseudonym))


def of_patient_ids(data: Path, lines: Sequence[str]) -> list[list[Sighting]]:
    """Return the rounds that saw each Patient ID; an issuer may follow after a tab.

    Raises
    ------
    LineageError
        If the book cannot be read.
    """
    names = Pseudonyms.open(data / KEY_FILE)
    book = Lineage(data)
    found = []
    for line in lines:
        patient, _, issuer = line.partition("\t")
        sources = {patient_source(patient, issuer), patient_source(patient)}
        found.append(book.sightings(sorted(map(names.patient, sources))))
    return found
