"""What `centre.toml` says beyond its name: where Prefect runs, how much may run at once.

```
[prefect]
mode = "server"                 # the centre's own (default); "outside"; "ephemeral"
port = 4200                     # of the own server, loopback only; default: a free one
database = "postgresql+asyncpg://trifed@/prefect"   # of the own server; default: SQLite
database_file = "prefect.url"   # the same with a password: a file of mode 0600
url = "https://prefect.example/api"                 # of the outside server
auth_file = "prefect.auth"      # user:password of the outside server, mode 0600
[queue]
per_site = 1                    # rounds at once at one hospital
per_centre = 4                  # rounds at once in all
campaigns = 16                  # launched studies that have a process at once
```
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from federation.coordinator.home import CentreHome
from federation.domain.queue import Limits
from federation.errors.enrolment import KeyFileUnsafeError
from federation.errors.queue import CentreOptionError
from federation.homes import read_private, read_settings
from federation.wording import Text

Table = Mapping[str, object]

_PREFECT_KEYS = {"mode", "port", "database", "database_file", "url", "auth_file"}
_QUEUE_KEYS = {"per_site", "per_centre", "campaigns"}

_UNKNOWN_KEY = Text(en="it holds an unknown key", zh="內含未知的項目")
_UNKNOWN_MODE = Text(
    en="mode is server, outside or ephemeral", zh="mode 須為 server、outside 或 ephemeral"
)
_NOT_TEXT = Text(en="a text is expected", zh="須為文字")
_NOT_WHOLE = Text(en="a whole number of at least 1 is expected", zh="須為至少 1 的整數")
_NO_URL = Text(
    en="mode outside needs an http(s) url, the others none", zh="僅 mode outside 須有 url"
)
_BOTH = Text(
    en="database and database_file belong to mode server, one of them at most",
    zh="database 與 database_file 僅適用於 mode server,且至多擇一",
)
_PASSWORD = Text(en="a URL holds a password", zh="URL 內含密碼")
_NO_DATABASE = Text(
    en="the database is not sqlite+aiosqlite or postgresql+asyncpg",
    zh="資料庫須為 sqlite+aiosqlite 或 postgresql+asyncpg",
)
_DATABASES = ("postgresql+asyncpg://", "sqlite+aiosqlite://")


class PrefectMode(Enum):
    """Where the Prefect API of the flows is."""

    SERVER = "server"
    OUTSIDE = "outside"
    EPHEMERAL = "ephemeral"


@dataclass(frozen=True, slots=True)
class PrefectOptions:
    """The table `[prefect]`. File names are relative to the centre's home."""

    mode: PrefectMode = PrefectMode.SERVER
    port: int | None = None
    database: str | None = None
    database_file: str | None = None
    url: str | None = None
    auth_file: str | None = None

    def __post_init__(self) -> None:
        has_url = self.url is not None and self.url.startswith(("http://", "https://"))
        if has_url != (self.mode is PrefectMode.OUTSIDE) or (self.url and not has_url):
            raise CentreOptionError(table="prefect", why=_NO_URL)
        given = [one for one in (self.database, self.database_file) if one is not None]
        if len(given) > 1 or (given and self.mode is not PrefectMode.SERVER):
            raise CentreOptionError(table="prefect", why=_BOTH)
        for url in (self.url, self.database):
            _refuse_password(url)
        if self.database is not None:
            _check_database(self.database)

    @classmethod
    def of(cls, table: Table) -> Self:
        """Return what a table says.

        Raises
        ------
        CentreOptionError
            If it is not understood.
        """
        _check_keys("prefect", table, _PREFECT_KEYS)
        texts = {key: _text(table.get(key)) for key in _PREFECT_KEYS - {"mode", "port"}}
        try:
            mode = PrefectMode(table.get("mode", "outside" if "url" in table else "server"))
        except ValueError as error:
            raise CentreOptionError(table="prefect", why=_UNKNOWN_MODE) from error
        port = _whole("prefect", table["port"]) if "port" in table else None
        return cls(mode=mode, port=port, **texts)

    def database_url(self, home: Path) -> str | None:
        """Return the URL of the own server's database; None for SQLite. Never show it."""
        if self.database_file is None:
            return self.database
        url = _secret(home, self.database_file)
        _check_database(url)
        return url

    def auth(self, home: Path) -> str | None:
        """Return `user:password` of an outside server, or None. Never show it."""
        return None if self.auth_file is None else _secret(home, self.auth_file)


@dataclass(frozen=True, slots=True)
class CentreOptions:
    """The tables `[prefect]` and `[queue]`."""

    prefect: PrefectOptions = field(default_factory=PrefectOptions)
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def of(cls, home: CentreHome) -> Self:
        """Return what a centre's settings say.

        Raises
        ------
        UnreadableRecordError, CentreOptionError
            If they are not understood.
        """
        tables = read_settings(home.settings_file)
        return cls(PrefectOptions.of(tables.get("prefect", {})), _limits(tables.get("queue", {})))


def _limits(table: Table) -> Limits:
    _check_keys("queue", table, _QUEUE_KEYS)
    return Limits(**{key: _whole("queue", value) for key, value in table.items()})


def _check_keys(name: str, table: Table, known: set[str]) -> None:
    if not table.keys() <= known:
        raise CentreOptionError(table=name, why=_UNKNOWN_KEY)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise CentreOptionError(table="prefect", why=_NOT_TEXT)
    return value


def _whole(table: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise CentreOptionError(table=table, why=_NOT_WHOLE)
    return value


def _refuse_password(url: str | None) -> None:
    try:
        has_password = url is not None and urlsplit(url).password is not None
    except ValueError as error:
        raise CentreOptionError(table="prefect", why=_NO_URL) from error
    if has_password:
        raise CentreOptionError(table="prefect", why=_PASSWORD)


def _check_database(url: str) -> None:
    if not url.startswith(_DATABASES) or "\n" in url:
        raise CentreOptionError(table="prefect", why=_NO_DATABASE)


def _secret(home: Path, name: str) -> str:
    try:
        return read_private(home / name).decode().strip()
    except KeyFileUnsafeError as error:
        raise CentreOptionError(table="prefect", why=f"{name}: {error.values['why']}") from error
    except UnicodeDecodeError as error:
        raise CentreOptionError(table="prefect", why=_NOT_TEXT) from error
