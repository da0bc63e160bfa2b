"""What pages and routes see of whoever asks: the caller, a session, the cookie that carries it.

    session = session_of(request)          # None: nobody is logged in
    opened = desk.log_in(name, password, code, address=address_of(request), earlier=...)
    response = RedirectResponse("/console", 303)
    carry(response, opened)                # sets the cookie
    drop(response)                         # removes it
    <input type="hidden" name="csrf" value="{{ session.csrf }}">     in every form

Every unsafe request that comes by cookie is refused without that token before a route
sees it (`registry.api.access`). `read_form` reads a form's fields within limits.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Protocol
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response

from federation.errors.registry import RequestInvalidError
from registry.roles import Author, Centre, Role

COOKIE = "__Host-trifed"
CSRF_FIELD = "csrf"
CSRF_HEADER = "x-csrf-token"
ROLE_FIELD = "role"
ROLE_HEADER = "x-role"
SESSION_LIMIT = timedelta(hours=10)

_CSRF = b"trifed.csrf/1"
_FORM = "application/x-www-form-urlencoded"
_MAX_FIELDS = 60
_MAX_FORM_BYTES = 64 * 1024


class Scope(Enum):
    """What an API token may be used for."""

    READ = "read"
    WRITE = "write"
    MOVE = "move"


class Means(Enum):
    """How a caller showed who they are."""

    NOBODY = "nobody"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105
    CERTIFICATE = "certificate"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody logged in: who, what they are, and the token their forms carry."""

    account: str
    roles: frozenset[Role]
    organisation: str
    centre: Centre | None
    csrf: str

    def author(self, role: Role) -> Author:
        """Return this person acting in one of their roles."""
        if role not in self.roles:
            raise ValueError(f"{self.account} does not hold {role.value}")
        return Author(self.account, role, self.organisation, self.centre)


@dataclass(frozen=True, slots=True)
class Opened:
    """A session just opened; `secret` goes into the cookie and is nowhere else."""

    secret: str
    session: Session


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request, as found out once, before any route."""

    means: Means = Means.NOBODY
    account: str | None = None
    roles: frozenset[Role] = frozenset()
    organisation: str = ""
    centre: Centre | None = None
    scopes: frozenset[Scope] = frozenset()
    csrf: str = ""
    secret: str = ""

    @property
    def is_known(self) -> bool:
        """Say whether the caller showed who they are."""
        return self.means is not Means.NOBODY

    def author(self, role: Role) -> Author:
        """Return the caller acting in one of their roles."""
        if self.account is None or role not in self.roles:
            raise ValueError("not a role of this caller")
        return Author(self.account, role, self.organisation, self.centre)


NOBODY = Caller()


class LogIn(Protocol):
    """What a log-in page needs of the accounts."""

    def log_in(
        self, name: str, password: str, code: str, *, address: str, earlier: str | None = None
    ) -> Opened:
        """Open a new session for name, password and a TOTP or recovery code.

        Raises
        ------
        LogInRefusedError
            If any of the three is wrong; which one is not said.
        LogInThrottledError
            If too many were wrong of late.
        """

    def log_out(self, secret: str) -> None:
        """End one session; an unknown one is no error."""

    def log_out_everywhere(self, account: str) -> int:
        """End every session of an account; return how many."""


def caller_of(request: Request) -> Caller:
    """Return who sends the request; nobody where no one found out."""
    found = getattr(request.state, "caller", NOBODY)
    return found if isinstance(found, Caller) else NOBODY


def session_of(request: Request) -> Session | None:
    """Return the session a request came with, None when nobody is logged in by cookie."""
    caller = caller_of(request)
    if caller.means is not Means.SESSION or caller.account is None:
        return None
    return Session(caller.account, caller.roles, caller.organisation, caller.centre, caller.csrf)


def csrf_of(secret: str) -> str:
    """Return the token that forms of a session carry; the secret cannot be told from it."""
    return hmac.new(secret.encode(), _CSRF, hashlib.sha256).hexdigest()


def address_of(request: Request) -> str:
    """Return the network the request came from; headers that claim one are not read."""
    return network_of(request.client.host) if request.client else "unknown"


def network_of(host: str) -> str:
    """Return what counts as one address: of IPv6 the /64, for who has one has all of it.

    An IPv4 address that is spelled as IPv6 (RFC 4291, 2.5.5.2) is that IPv4 address.
    """
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False))


def carry(response: Response, opened: Opened) -> None:
    """Have a response set the session's cookie."""
    response.set_cookie(
        COOKIE,
        opened.secret,
        max_age=int(SESSION_LIMIT.total_seconds()),
        path="/",
        secure=True,
        httponly=True,
        samesite="strict",
    )


def drop(response: Response) -> None:
    """Have a response remove the session's cookie."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form sent as application/x-www-form-urlencoded.

    Raises
    ------
    RequestInvalidError
        If it is larger than 64 KiB, has over 60 fields, or one of them twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise RequestInvalidError(why="not a form")
    content = await request.body()
    if len(content) > _MAX_FORM_BYTES:
        raise RequestInvalidError(why="a form over 64 KiB")
    try:
        pairs = parse_qsl(
            content.decode("utf-8"),
            keep_blank_values=True,
            max_num_fields=_MAX_FIELDS,
            errors="strict",
        )
    except ValueError as error:
        raise RequestInvalidError(why="a form that cannot be read") from error
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestInvalidError(why="a field occurs twice")
    return fields
