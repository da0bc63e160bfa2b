"""The one way in which exports become bytes: the same value, the same file."""

import json
import uuid
from importlib import import_module
from types import ModuleType

from federation.errors.exchange import ExchangeUnequippedError
from registry.exchange.card import Card

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:trifed:exchange")


def json_bytes(value: object) -> bytes:
    """Return a JSON value as UTF-8 with sorted keys, two spaces and a last line end."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    return f"{text}\n".encode()


def present(value: dict[str, object]) -> dict[str, object]:
    """Return an object without the keys that nothing is known of."""
    return {key: item for key, item in value.items() if item not in (None, [], {}, "")}


def number(value: float) -> str:
    """Return a number as text that reads back as the same number."""
    return repr(value)


def uuid_of(card: Card, what: str) -> uuid.UUID:
    """Return an id that is the same whenever the same record is exported (RFC 9562, version 5)."""
    return uuid.uuid5(_NAMESPACE, f"{card.entry}\n{card.digest}\n{what}")


def needed(module: str, *, package: str, format_: str) -> ModuleType:
    """Return a module that only one format needs.

    Raises
    ------
    ExchangeUnequippedError
        If its package is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ExchangeUnequippedError(format=format_, package=package) from error
