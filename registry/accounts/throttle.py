"""How long somebody waits after failures: none for the first few, then twice as long each time.

Failures are counted for the account's name, whether there is such an account or not, and
for the network address. A try counts before it is judged, so that many at once do not
pass together; one that succeeds is taken back.
"""

from datetime import datetime, timedelta

from registry.accounts.items import FailureItem

FREE_FOR_ACCOUNT = 5
FREE_FOR_ADDRESS = 30
FIRST_WAIT_S = 5
LONGEST_WAIT_S = 900
FORGOTTEN_AFTER = timedelta(hours=24)


def wait_s(failures: FailureItem | None, *, free: int, now: datetime) -> int:
    """Return how many seconds are left to wait, 0 for none."""
    if failures is None or failures.count < free:
        return 0
    doublings = min(failures.count - free, 10)
    wait = min(FIRST_WAIT_S * 2**doublings, LONGEST_WAIT_S)
    left = (failures.last + timedelta(seconds=wait) - now).total_seconds()
    return max(0, int(left + 0.999))


def counted(digest: str, earlier: FailureItem | None, *, now: datetime) -> FailureItem:
    """Return the count with one more."""
    count = 1 if earlier is None or earlier.expires <= now else earlier.count + 1
    return FailureItem(
        digest=digest, account="-", count=count, last=now, expires=now + FORGOTTEN_AFTER
    )


def taken_back(failures: FailureItem) -> FailureItem:
    """Return the count with one less."""
    return failures.model_copy(update={"count": max(0, failures.count - 1)})
