"""Which images an approval covers: the ones that staff could count when they signed.

`decisions/STUDY.instances` lists the content ids of those images and stays in the
hospital; only its digest is in the signed approval. What was admitted later is left
out of the cohort (`only`), what is no longer there is no matter: people may opt out.
Labels are the hospital's own and may be corrected.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeVar

from federation.domain.ids import Sha256, StudyId
from federation.errors.approval import ApprovedDataMissingError
from federation.storage import write_atomic
from federation.wording import Text

HEADER = "# images approved, by SHA-256 of their content"
LARGEST_BYTES = 2**29
"""Half a gibibyte is eight million images."""

GONE = Text(en="missing", zh="已遺失")
EDITED = Text(en="not the one that was signed", zh="與簽署時不同")


class HasContent(Protocol):
    """An image of the catalogue, as far as an approval is concerned."""

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of its content, 64 hexadecimal digits."""
        ...


Image = TypeVar("Image", bound=HasContent)


@dataclass(frozen=True, slots=True)
class ApprovedData:
    """The content ids an approval covers."""

    contents: frozenset[str]

    @classmethod
    def of(cls, images: Iterable[HasContent]) -> Self:
        """Return an approval of exactly these images."""
        return cls(frozenset(image.sha256 for image in images))

    def only(self, images: Iterable[Image]) -> list[Image]:
        """Return the approved ones of some images, in their order."""
        return [image for image in images if image.sha256 in self.contents]

    @property
    def digest(self) -> Sha256:
        """Return the content id of the list, which the approval signs."""
        return Sha256.of(self._as_bytes())

    def write(self, path: Path) -> None:
        """Keep the list, mode 0600."""
        write_atomic(path, self._as_bytes())

    @classmethod
    def read(cls, path: Path, *, study: StudyId, expected: Sha256 | None) -> Self:
        """Return the list whose digest the approval of `study` signed.

        Raises
        ------
        ApprovedDataMissingError
            If it is not there or is another one.
        """
        try:
            if path.stat().st_size > LARGEST_BYTES:
                raise ApprovedDataMissingError(study=study, why=EDITED)
            content = path.read_bytes()
        except OSError as error:
            raise ApprovedDataMissingError(study=study, why=GONE) from error
        if Sha256.of(content) != expected:
            raise ApprovedDataMissingError(study=study, why=EDITED)
        return cls(frozenset(content.decode("ascii").splitlines()[1:]))

    def _as_bytes(self) -> bytes:
        return "".join(f"{line}\n" for line in (HEADER, *sorted(self.contents))).encode("ascii")
