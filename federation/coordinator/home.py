"""Where everything of a centre lies on disk.

```
centre.toml              name, address; written last, marks a complete home
pki/   ca.key ca.crt server.key server.crt roster.db
keys/  evidence.key evidence.pub weights.key
centre.db  artefacts/  run/  logs/
```
Folders are 0700, private keys and the roster 0600. Made by
`federation.operations.enrolment.init_centre`; everything else opens it.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from cryptography import x509

from federation.coordinator.places import DatabasePlace, artefact_url
from federation.errors.core import HomeMissingError, InvalidValueError, UnreadableRecordError
from federation.errors.enrolment import DocumentUnreadableError, KeyFileUnsafeError
from federation.homes import (
    check_display_name,
    other_tables,
    parse_address,
    read_private,
    read_settings,
    render_settings,
    text_setting,
)
from federation.pki.authority import Authority, read_certificate
from federation.pki.documents import instant, instant_text
from federation.pki.keys import load_ec_private_key
from federation.pki.roster import Roster
from federation.storage import write_atomic

MARKER = "centre.toml"
FOLDERS = ("pki", "keys", "artefacts", "run", "logs")
TABLES = frozenset({"centre", "database", "artefacts"})
"""The tables that these settings write; others, of people and of other parts, are kept."""


@dataclass(frozen=True, slots=True)
class CentreSettings:
    """What `centre.toml` says: display name, `host:port` for nodes, when it was made, places."""

    name: str
    address: str
    created: datetime
    database: DatabasePlace = field(default_factory=DatabasePlace)
    artefacts: str | None = None

    def to_bytes(self) -> bytes:
        """Return the settings as TOML."""
        created = instant_text(self.created)
        table = {"name": self.name, "address": self.address, "created": created}
        tables = {
            "centre": table,
            "database": self.database.as_table(),
            "artefacts": {} if self.artefacts is None else {"url": self.artefacts},
        }
        return render_settings({key: table for key, table in tables.items() if table})

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the settings in a file.

        Raises
        ------
        UnreadableRecordError
            If it is not what `to_bytes` writes, or a value is not allowed.
        DatabaseSettingError, ArtefactSettingError
            If what it says of the database or the artefact store cannot be used.
        """
        tables = read_settings(path)
        try:
            address = text_setting(tables, "centre", "address")
            parse_address(address)
            return cls(
                name=check_display_name(text_setting(tables, "centre", "name"), field="name"),
                address=address,
                created=instant(text_setting(tables, "centre", "created"), document=MARKER),
                database=DatabasePlace.of(tables),
                artefacts=artefact_url(tables),
            )
        except (InvalidValueError, DocumentUnreadableError) as error:
            raise UnreadableRecordError(kind=MARKER, why=error.say_what()) from error


@dataclass(frozen=True, slots=True)
class CentreHome:
    """A centre's folder as typed paths; `open` says no to any other folder."""

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the home in `folder`.

        Raises
        ------
        HomeMissingError
            If `trifed centre init` never finished there.
        """
        home = cls(folder.absolute())
        if not home.settings_file.is_file():
            raise HomeMissingError(kind="centre", folder=folder, command="trifed centre init")
        return home

    @property
    def settings_file(self) -> Path:
        """Return the path of `centre.toml`."""
        return self.folder / MARKER

    @property
    def authority_key(self) -> Path:
        """Return the path of the root's private key (PEM, 0600)."""
        return self.folder / "pki" / "ca.key"

    @property
    def authority_certificate(self) -> Path:
        """Return the path of the root certificate (PEM)."""
        return self.folder / "pki" / "ca.crt"

    @property
    def server_key(self) -> Path:
        """Return the path of the server's private key (PEM, 0600)."""
        return self.folder / "pki" / "server.key"

    @property
    def server_certificate(self) -> Path:
        """Return the path of the server certificate (PEM)."""
        return self.folder / "pki" / "server.crt"

    @property
    def roster_file(self) -> Path:
        """Return the path of the roster (SQLite, 0600)."""
        return self.folder / "pki" / "roster.db"

    @property
    def evidence_key(self) -> Path:
        """Return the path of the key that signs statements (Ed25519 PKCS #8 PEM, 0600)."""
        return self.folder / "keys" / "evidence.key"

    @property
    def weights_key(self) -> Path:
        """Return the path of the key that signs model files (P-256 PEM, 0600), made when needed."""
        return self.folder / "keys" / "weights.key"

    @property
    def evidence_public_key(self) -> Path:
        """Return the path of the evidence key's public half (PEM)."""
        return self.folder / "keys" / "evidence.pub"

    @property
    def database(self) -> Path:
        """Return the path of the centre's database where it is SQLite in the home (the default)."""
        return self.folder / "centre.db"

    @property
    def database_url(self) -> str:
        """Return the URL of the centre's database; it may hold a password, never show it.

        Raises
        ------
        UnreadableRecordError, DatabaseSettingError
            If `centre.toml` cannot be read, or what it says cannot be used.
        """
        place = self.settings().database if self.settings_file.exists() else DatabasePlace()
        return place.resolve(self.folder, default=self.database)

    @property
    def artefacts(self) -> Path:
        """Return the folder of models and checkpoints, by content id.

        With an artefact store elsewhere it holds what passed through this machine.
        """
        return self.folder / "artefacts"

    @property
    def artefacts_url(self) -> str | None:
        """Return the artefact store's URL, or None when the folder is the store.

        Raises
        ------
        UnreadableRecordError, ArtefactSettingError
            If `centre.toml` cannot be read, or what it says cannot be used.
        """
        return self.settings().artefacts if self.settings_file.exists() else None

    @property
    def run(self) -> Path:
        """Return the folder of sockets, process ids and run-time secrets."""
        return self.folder / "run"

    @property
    def admin_socket(self) -> Path:
        """Return the path of the local administration socket."""
        return self.run / "admin.sock"

    @property
    def superexec_secret(self) -> Path:
        """Return the path of the secret Flower's executor processes share (0600)."""
        return self.run / "superexec.secret"

    @property
    def logs(self) -> Path:
        """Return the folder of log files."""
        return self.folder / "logs"

    def settings(self) -> CentreSettings:
        """Return what `centre.toml` says; raises `UnreadableRecordError`."""
        return CentreSettings.read(self.settings_file)

    def authority(self) -> Authority:
        """Return the certificate authority with its key.

        Raises
        ------
        KeyFileUnsafeError, UnreadableRecordError
            If the key can be read by others, or a file is not what it should be.
        """
        key = load_ec_private_key(read_private(self.authority_key), file=self.authority_key.name)
        certificate = self.root()
        if key.public_key() != certificate.public_key():
            raise KeyFileUnsafeError(file="ca.key", why="it does not belong to ca.crt")
        return Authority(certificate, key)

    def root(self) -> x509.Certificate:
        """Return the root certificate; raises `UnreadableRecordError`."""
        return read_certificate(self.authority_certificate)

    def roster(self) -> Roster:
        """Return the roster."""
        return Roster(self.roster_file, self.root(), self.settings().address)

    def write_settings(self, settings: CentreSettings) -> None:
        """Replace `centre.toml` in one step; tables that these settings do not speak of stay."""
        others = other_tables(self.settings_file, TABLES)
        write_atomic(self.settings_file, settings.to_bytes() + others)
