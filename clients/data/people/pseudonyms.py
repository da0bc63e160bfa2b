"""Give a project's pseudonyms: keyed, so that only the hospital can make or link them.

Every name is HMAC-SHA-256 under the project's keys with the purpose as domain
separation, so a patient's pseudonym says nothing of the UIDs, and the same
person has other pseudonyms in another project (other keys). With several keys
a name goes through all of them, oldest first: name2 = HMAC(key2, name1). What was
named under the first key can so be renamed under the second without asking who
it is (docs/decisions, pseudonym-key-rotation). `Names` works with any `Key`;
`Pseudonyms` holds the raw keys, as the reader processes need them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from clients.data.layout import STORE
from clients.data.people.keys import Key, MemoryKeys, create_ring, read_ring
from federation.errors.data import PseudonymKeyError
from federation.wording import Text

SHIFT_DAYS = 1825
OUTCOMES = "outcomes"
"""Folder of the tables of outcomes (`clients.data.outcomes`)."""
NAMED = (STORE, "optout/versions.jsonl", "optout.csv", "lineage.db", OUTCOMES)
"""What of a data folder holds names: there, no key is made anew."""


class Names:
    """The names that a row of keys gives, oldest key first."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = tuple(keys)

    def patient(self, source: str) -> str:
        """Return the pseudonym of a patient: ``P`` and 32 hexadecimal digits."""
        name = source
        for key in self._keys:
            name = "P" + key.hmac("patient", name.encode()).hex()[:32]
        return name

    def patient_over_time(self, source: str) -> tuple[str, ...]:
        """Return the patient's pseudonym under the first key, the first two, and so on."""
        rings = (self._keys[: n + 1] for n in range(len(self._keys)))
        return tuple(Names(ring).patient(source) for ring in rings)

    def patient_since(self, pseudonym: str) -> tuple[str, ...]:
        """Return what a pseudonym of any time may be called now, itself first."""
        later = (self._keys[n:] for n in range(len(self._keys) - 1, 0, -1))
        return (pseudonym, *(Names(ring).patient(pseudonym) for ring in later))

    def uid(self, source: str) -> str:
        """Return the UID that stands for `source`, under 2.25 (PS3.5 B.2)."""
        name = source
        for key in self._keys:
            name = f"2.25.{int.from_bytes(key.hmac('uid', name.encode())[:16], 'big')}"
        return name

    def shift_days(self, patient: str) -> int:
        """Return by how many days a patient's dates go back: 1 to 1825, a whole number.

        The oldest key alone decides, so dates stay where they are when keys change.
        """
        digest = self._keys[0].hmac("shift", patient.encode())
        return 1 + int.from_bytes(digest[:8], "big") % SHIFT_DAYS

    def content(self, digest: bytes) -> str:
        """Return the key under which a source file's SHA-256 is remembered."""
        return self._through("content", digest).hex()

    def pixels(self, digest: bytes) -> str:
        """Return the key under which decoded pixels are remembered."""
        return self._through("pixels", digest).hex()

    def _through(self, purpose: str, digest: bytes) -> bytes:
        for key in self._keys:
            digest = key.hmac(purpose, digest)
        return digest


@dataclass(frozen=True)
class Pseudonyms(Names):
    """The pseudonyms of one project from its raw keys, 32 bytes each, oldest first.

    The keys are not shown by `repr`.

    Raises
    ------
    PseudonymKeyError
        If `key` is not a whole number of keys.
    """

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_keys", MemoryKeys.of(self.key).ring())

    @classmethod
    def open_or_create(cls, path: Path) -> Self:
        """Return the pseudonyms of the key file, making the file on first use.

        Raises
        ------
        PseudonymKeyError
            If the file has another size or can be read by others, or is missing where
            names were made with it: a new key would know nobody who opted out.
        """
        if not path.exists():
            if any((path.parent.parent / name).exists() for name in NAMED):
                raise PseudonymKeyError(
                    why=Text(
                        en="it is missing, and its names are in use here",
                        zh="金鑰檔遺失,而此處仍有以它產生的假名",
                    )
                )
            create_ring(path)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the pseudonyms of an existing key file.

        Raises
        ------
        PseudonymKeyError
            If it is missing, of another size, or open to others.
        """
        return cls(read_ring(path))
