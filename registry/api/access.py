"""Decide for each request whether it may be made, and in which role: one dependency, deny first.

1. the route is in the table, else it is refused;
2. a request that changes something does not come from another web page;
3. the caller is known, where the rule asks for it;
4. a token or certificate has the scope; what has no scope is for people in a session;
5. one of the caller's roles fits; where several do, the request says which;
6. a change that comes by cookie carries the session's form token.
Nothing is looked up for it, so the answer is the same whether a record exists or not.
"""

import hmac
from collections.abc import Mapping

from starlette.requests import Request

from federation.errors.access import (
    ForeignFormError,
    LogInNeededError,
    RoleChoiceError,
    RoleMissingError,
    TokenScopeError,
)
from registry.accounts.ports import (
    CSRF_FIELD,
    CSRF_HEADER,
    ROLE_FIELD,
    ROLE_HEADER,
    Caller,
    Means,
    caller_of,
    read_form,
)
from registry.api.rules import Place, Rule
from registry.roles import Author, Role

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = frozenset({"same-origin", "none"})
_NOBODY = Rule(frozenset())


class Access:
    """The guard of every route."""

    def __init__(self, rules: Mapping[Place, Rule]) -> None:
        self._rules = rules

    async def __call__(self, request: Request) -> None:
        """Return if the request may be made; the role it is made in is kept for `author_of`.

        Raises
        ------
        ForeignFormError, LogInNeededError, TokenScopeError, RoleMissingError, RoleChoiceError
            By the first rule of the module that fails.
        """
        rule = self._rule_of(request)
        changes = request.method not in SAFE
        if changes:
            check_own_site(request)
        if rule.is_public:
            return
        caller = caller_of(request)
        if not caller.is_known:
            raise LogInNeededError()
        _check_scope(caller, rule)
        fitting = rule.fitting(caller.roles)
        if not fitting and isinstance(rule.who, frozenset):
            raise RoleMissingError(roles=rule.names())
        fields = await _fields(request) if changes else {}
        if changes and caller.means is Means.SESSION:
            check_form_token(request, caller, fields)
        must = changes and isinstance(rule.who, frozenset)
        request.state.acting = _acting(request, fitting, fields, must=must)

    def _rule_of(self, request: Request) -> Rule:
        path = getattr(request.scope.get("route"), "path", "")
        return self._rules.get((request.method, path), _NOBODY)


def author_of(request: Request) -> Author:
    """Return who writes, in the role that `Access` found to fit.

    Raises
    ------
    RoleChoiceError
        If none was found: the route is open to callers without a role.
    """
    role, caller = getattr(request.state, "acting", None), caller_of(request)
    if not isinstance(role, Role):
        raise RoleChoiceError(roles=", ".join(sorted(one.value for one in caller.roles)) or "none")
    return caller.author(role)


def check_own_site(request: Request) -> None:
    """Return unless a browser says that another site's page sends the request.

    Raises
    ------
    ForeignFormError
        If it does (Fetch Metadata, else Origin).
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITE:
        raise ForeignFormError()
    origin = request.headers.get("origin")
    own = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if origin is not None and origin != own:
        raise ForeignFormError()


def check_form_token(request: Request, caller: Caller, fields: Mapping[str, str]) -> None:
    """Return if a change by cookie carries its session's token, in the header or the form.

    Raises
    ------
    ForeignFormError
        If it does not.
    """
    given = request.headers.get(CSRF_HEADER) or fields.get(CSRF_FIELD, "")
    if not caller.csrf or not hmac.compare_digest(given.encode(), caller.csrf.encode()):
        raise ForeignFormError()


def _check_scope(caller: Caller, rule: Rule) -> None:
    if caller.means is Means.SESSION:
        return
    if rule.scope is None:
        raise TokenScopeError(scope="a person's session")
    if rule.scope not in caller.scopes:
        raise TokenScopeError(scope=rule.scope.value)


async def _fields(request: Request) -> Mapping[str, str]:
    if "form-urlencoded" in request.headers.get("content-type", ""):
        return await read_form(request)
    return {}


def _acting(
    request: Request, fitting: frozenset[Role], fields: Mapping[str, str], *, must: bool
) -> Role | None:
    asked = request.headers.get(ROLE_HEADER) or fields.get(ROLE_FIELD, "")
    if asked:
        found = {role.value: role for role in fitting}.get(asked.upper())
    else:
        found = next(iter(fitting)) if len(fitting) == 1 else None
    if found is None and fitting and (must or asked):
        raise RoleChoiceError(roles=", ".join(sorted(role.value for role in fitting)))
    return found
