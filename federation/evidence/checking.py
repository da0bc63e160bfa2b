"""Count the checks of a bundle that held, and name the item of the one that did not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from federation.errors import PlatformError
from federation.errors.registry import BundleItemError
from federation.evidence.reasons import Reason

_BROKEN = (PlatformError, ValueError, KeyError, TypeError, IndexError, AttributeError)


@dataclass
class Checks:
    """Counts what held, and names the item of what did not."""

    done: int = 0

    @contextmanager
    def of(self, item: str, reason: Reason) -> Iterator[None]:
        """Count one check; whatever breaks inside is this item's fault, for this reason."""
        try:
            yield
        except BundleItemError:
            raise
        except _BROKEN as error:
            raise refused(item, reason) from error
        self.done += 1


def refused(item: str, reason: Reason) -> BundleItemError:
    """Return the error that names an item."""
    return BundleItemError(item=item, why=reason.value)


def must(holds: object, item: str, reason: Reason) -> None:
    """Raise unless the item holds."""
    if not holds:
        raise refused(item, reason)
