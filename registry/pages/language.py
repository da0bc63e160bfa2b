"""Choose the language of a page: the address says it, else the cookie, else the browser."""

import re

from starlette.requests import Request
from starlette.responses import Response

from federation.wording import Language

PARAMETER = "lang"
COOKIE = "lang"
_YEAR_S = 365 * 24 * 3600
_RANGE = re.compile(
    r"\s*([A-Za-z]{1,8}|\*)((?:-[A-Za-z0-9]{1,8})*)\s*(?:;\s*q=([01](?:\.\d{0,3})?))?"
)
_NAMES = {
    "en": Language.EN,
    "zh": Language.ZH_HANT_TW,
    "zh-tw": Language.ZH_HANT_TW,
    "zh-hant": Language.ZH_HANT_TW,
    "zh-hant-tw": Language.ZH_HANT_TW,
}


def language_of(request: Request) -> Language:
    """Return the language a page is shown in; English where nothing fits."""
    asked = request.query_params.get(PARAMETER, "")
    kept = request.cookies.get(COOKIE, "")
    known = _NAMES.get(asked.lower()) or _NAMES.get(kept.lower())
    return known or preferred(request.headers.get("accept-language", ""))


def preferred(accepted: str) -> Language:
    """Return the language an `Accept-Language` header wants most (RFC 9110, 12.5.4)."""
    best, weight = Language.EN, 0.0
    for part in accepted[:400].split(",")[:20]:
        found = _RANGE.fullmatch(part)
        name = found[1].lower() if found else ""
        given = float(found[3] or 1) if found else 0.0
        if name in ("en", "zh") and given > weight:
            best, weight = _NAMES[name], given
    return best


def keep_choice(request: Request, response: Response) -> None:
    """Have the browser remember a language that the address asked for."""
    asked = _NAMES.get(request.query_params.get(PARAMETER, "").lower())
    if asked is not None:
        response.set_cookie(
            COOKIE, asked.value, max_age=_YEAR_S, path="/", httponly=True, samesite="lax"
        )
