"""The bodies of requests about accounts, and how they are read: strict, small, never repeated."""

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from federation.errors.registry import RequestInvalidError
from federation.evidence.canonical import parse
from registry.accounts.items import Kind, Line, Name
from registry.accounts.people import Wanted
from registry.accounts.ports import Scope
from registry.records.shapes import listed
from registry.roles import Centre, Role

_Secret = Annotated[str, Field(min_length=1, max_length=256)]
_Code = Annotated[str, Field(min_length=1, max_length=40)]
_JSON = "application/json"


class Asked(BaseModel):
    """A request's body; unknown keys are refused, and no value is ever repeated."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class LogInAsked(Asked):
    """Name, password and a code of the app, or a recovery code."""

    name: Annotated[str, Field(min_length=1, max_length=120)]
    password: _Secret
    code: _Code


class EnrolmentStarted(Asked):
    """The secret of an invitation."""

    secret: _Secret


class EnrolmentAsked(Asked):
    """The secret with the new password and the app's first code."""

    secret: _Secret
    password: _Secret
    code: _Code


class PasskeyAnswer(Asked):
    """What the browser answered (JSON text), and what to call a new passkey."""

    credential: Annotated[str, Field(min_length=1, max_length=16 * 1024)]
    label: Line = "passkey"


class TokenAsked(Asked):
    """A token: what for, which scopes, for how many days."""

    label: Line
    scopes: Annotated[frozenset[Scope], Field(min_length=1)]
    days: Annotated[int, Field(ge=1, le=366)]


class SignatureKeyAsked(Asked):
    """A person's key for signatures: the claim that it signed, and for how many days."""

    claim: Annotated[str, Field(min_length=1, max_length=16 * 1024)]
    days: Annotated[int, Field(ge=1, le=731)] = 365


class AccountAsked(Asked):
    """A new account."""

    name: Name
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    organisation: Line
    centre: Centre | None = None
    kind: Kind = Kind.PERSON

    def wanted(self) -> Wanted:
        """Return it as the people's service takes it."""
        return Wanted(self.name, self.roles, self.organisation, self.centre, self.kind)


Body = TypeVar("Body", bound=Asked)


async def read(request: Request, shape: type[Body]) -> Body:
    """Return a request's JSON body.

    Raises
    ------
    RequestInvalidError
        If it is not sent as JSON, or does not fit; every field at fault is named.
    NotCanonicalError
        If it is not JSON, is nested too deeply, or a key occurs twice.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().casefold() != _JSON:
        raise RequestInvalidError(why=f"the body is not sent as {_JSON}")
    content = await request.body()
    parse(content)
    try:
        return shape.model_validate_json(content)
    except ValidationError as error:
        raise RequestInvalidError(why=listed(error)) from error


def documented(shape: type[Asked]) -> dict[str, Any]:
    """Return what the OpenAPI document says of a body."""
    schema = {"schema": shape.model_json_schema()}
    return {"requestBody": {"required": True, "content": {_JSON: schema}}}
