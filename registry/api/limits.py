"""How often and how much: allowances per caller and address, sizes of bodies.

An allowance is a bucket that fills by the second (token bucket). Buckets are kept in this
process, at most 20,000, the least used forgotten first: whoever floods from more
addresses than that is a matter for the network in front.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from starlette.types import ASGIApp, Receive, Scope, Send

from federation.errors.access import TooManyRequestsError
from federation.errors.registry import RequestTooLargeError
from registry.accounts.ports import NOBODY, Caller, network_of
from registry.problems import RequestLimit, answer

MAX_BUCKETS = 20_000
BODY_BYTES = 1024 * 1024
CANDIDATE_BYTES = 16 * 2**20
_LARGE = {("POST", "/v1/model-versions"): CANDIDATE_BYTES}


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many requests at once, and how many more each second."""

    at_once: float
    per_second: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What one address and one caller may ask."""

    address: Allowance = Allowance(at_once=600, per_second=20)
    caller: Allowance = Allowance(at_once=300, per_second=10)


class Buckets:
    """The allowances left, by name."""

    def __init__(self, allowance: Allowance, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowance = allowance
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one; return how many seconds to wait where there is none, else 0."""
        now = self._clock()
        left, at = self._left.pop(name, (self._allowance.at_once, now))
        left = min(self._allowance.at_once, left + (now - at) * self._allowance.per_second)
        wait = 0.0 if left >= 1 else (1 - left) / self._allowance.per_second
        self._left[name] = (left if wait else left - 1, now)
        if len(self._left) > MAX_BUCKETS:
            self._left.popitem(last=False)
        return wait


class AddressLimit:
    """Middleware, outermost: so many requests per address, whoever asks."""

    def __init__(self, app: ASGIApp, *, buckets: Buckets) -> None:
        self._app = app
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        client = scope.get("client")
        name = network_of(client[0]) if client else ""
        wait = self._buckets.take(name) if _is_http(scope) else 0.0
        await _passed(self._app, wait, scope, receive, send)


class CallerLimit:
    """Middleware behind `Callers`: so many requests per account, over all its sessions."""

    def __init__(self, app: ASGIApp, *, buckets: Buckets) -> None:
        self._app = app
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 429."""
        caller: Caller = (scope.get("state") or {}).get("caller", NOBODY)
        wait = self._buckets.take(caller.account) if caller.account else 0.0
        await _passed(self._app, wait, scope, receive, send)


class BodyLimit:
    """Middleware: refuse a body larger than its route takes, before it is in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._usual = RequestLimit(app, limit_bytes=BODY_BYTES)
        self._by_place = {
            place: RequestLimit(app, limit_bytes=size) for place, size in _LARGE.items()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        place = (str(scope.get("method")), str(scope.get("path")))
        limited = self._by_place.get(place, self._usual)
        try:
            await limited(scope, receive, send)
        except RequestTooLargeError as error:  # counted while the route was reading
            await answer(error)(scope, receive, send)


def _is_http(scope: Scope) -> bool:
    return bool(scope["type"] == "http")


async def _passed(app: ASGIApp, wait: float, scope: Scope, receive: Receive, send: Send) -> None:
    if not wait:
        await app(scope, receive, send)
        return
    await answer(TooManyRequestsError(seconds=ceil(wait)))(scope, receive, send)
