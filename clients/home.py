"""Where everything of a hospital's node lies on disk.

```
node.toml                site, its centre; written last, marks a complete home
request.json             what to send to the centre
policy.toml              what the hospital allows; policy.dsse.json: the officer's word for it
seen.json                newest policy, time and withdrawals that were ever seen here
heads.dsse.json          newest reply that the centre gave back; centre-heads.json: state of its log
loss.dsse.json           the officer's word on a lost book, loss-agreed.json the centre's; optional
intake.toml sources.toml optout.toml catalogue.toml cohorts/   of the data plane, all optional
people/                  persons who may endorse beside the data officer
pki/   tls.key ca.crt, after joining tls.crt evidence.pub
keys/  flower.key flower.pub node.key node.pub officer.key officer.pub
proposals/  decisions/  data/  ledger.db  audit.log  run/  logs/
```
Folders are 0700 and private keys 0600; no key ever leaves the home. Made by
`clients.enrolment.init_node`; everything else opens it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography import x509

from federation.domain.ids import SiteId, StudyId
from federation.errors.core import (
    HomeMissingError,
    InvalidIdError,
    InvalidValueError,
    UnreadableRecordError,
)
from federation.errors.enrolment import NotJoinedError
from federation.homes import (
    check_display_name,
    other_tables,
    parse_address,
    read_private,
    read_settings,
    render_settings,
    text_setting,
)
from federation.pki.authority import read_certificate
from federation.pki.keys import TlsPrivateKey, load_tls_private_key
from federation.storage import write_atomic

MARKER = "node.toml"
FOLDERS = ("pki", "keys", "proposals", "decisions", "data", "run", "logs")
TABLES = frozenset({"node", "centre"})
"""The tables that these settings write; others, of people and of other parts, are kept."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What `node.toml` says.

    `site` and `name` are the hospital's short and display name; `centre` is the
    centre's display name and `address` its `host:port`.
    """

    site: SiteId
    name: str
    centre: str
    address: str

    def to_bytes(self) -> bytes:
        """Return the settings as TOML."""
        return render_settings(
            {
                "node": {"site": self.site, "name": self.name},
                "centre": {"name": self.centre, "address": self.address},
            }
        )

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the settings in a file.

        Raises
        ------
        UnreadableRecordError
            If it is not what `to_bytes` writes, or a value is not allowed.
        """
        tables = read_settings(path)
        try:
            address = text_setting(tables, "centre", "address")
            parse_address(address)
            return cls(
                site=SiteId(text_setting(tables, "node", "site")),
                name=check_display_name(text_setting(tables, "node", "name"), field="name"),
                centre=check_display_name(text_setting(tables, "centre", "name"), field="name"),
                address=address,
            )
        except (InvalidIdError, InvalidValueError) as error:
            raise UnreadableRecordError(kind=MARKER, why=error.say_what()) from error


@dataclass(frozen=True, slots=True)
class NodeHome:
    """A node's folder as typed paths; `open` says no to any other folder."""

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the home in `folder`.

        Raises
        ------
        HomeMissingError
            If `trifed node init` never finished there.
        """
        home = cls(folder.absolute())
        if not home.settings_file.is_file():
            raise HomeMissingError(kind="node", folder=folder, command="trifed node init")
        return home

    @property
    def settings_file(self) -> Path:
        """Return the path of `node.toml`."""
        return self.folder / MARKER

    @property
    def request_file(self) -> Path:
        """Return the path of the enrolment request; it holds no secret."""
        return self.folder / "request.json"

    @property
    def policy(self) -> Path:
        """Return the path of the hospital's policy."""
        return self.folder / "policy.toml"

    @property
    def tls_key(self) -> Path:
        """Return the path of the node's TLS key (PEM, 0600)."""
        return self.folder / "pki" / "tls.key"

    @property
    def tls_certificate(self) -> Path:
        """Return the path of the node's certificate; there once the node has joined."""
        return self.folder / "pki" / "tls.crt"

    @property
    def authority_certificate(self) -> Path:
        """Return the path of the centre's root certificate."""
        return self.folder / "pki" / "ca.crt"

    @property
    def centre_evidence_key(self) -> Path:
        """Return the path of the centre's evidence key (public, Ed25519 PEM)."""
        return self.folder / "pki" / "evidence.pub"

    @property
    def flower_key(self) -> Path:
        """Return the path of the SuperNode's key (EC P-384, OpenSSH, 0600)."""
        return self.folder / "keys" / "flower.key"

    @property
    def flower_public_key(self) -> Path:
        """Return the path of the SuperNode key's public half (OpenSSH)."""
        return self.folder / "keys" / "flower.pub"

    @property
    def node_key(self) -> Path:
        """Return the path of the key that signs replies (Ed25519 PKCS #8 PEM, 0600)."""
        return self.folder / "keys" / "node.key"

    @property
    def node_public_key(self) -> Path:
        """Return the path of the node key's public half (PEM)."""
        return self.folder / "keys" / "node.pub"

    @property
    def officer_key(self) -> Path:
        """Return the path of the data officer's key (Ed25519 PKCS #8 PEM, 0600)."""
        return self.folder / "keys" / "officer.key"

    @property
    def officer_public_key(self) -> Path:
        """Return the path of the officer key's public half (PEM)."""
        return self.folder / "keys" / "officer.pub"

    @property
    def proposals(self) -> Path:
        """Return the folder of proposed studies."""
        return self.folder / "proposals"

    @property
    def decisions(self) -> Path:
        """Return the folder of signed decisions."""
        return self.folder / "decisions"

    @property
    def data(self) -> Path:
        """Return the folder of admitted images."""
        return self.folder / "data"

    @property
    def catalogue(self) -> Path:
        """Return the path of the catalogue (SQLite)."""
        return self.data / "catalogue.db"

    @property
    def ledger(self) -> Path:
        """Return the path of the privacy ledger (SQLite)."""
        return self.folder / "ledger.db"

    @property
    def audit_log(self) -> Path:
        """Return the path of the node's audit log."""
        return self.folder / "audit.log"

    @property
    def cards(self) -> Path:
        """Return the folder of the dataset cards offered to the centre."""
        return self.folder / "cards"

    @property
    def replies(self) -> Path:
        """Return the folder of the replies kept for repeated requests."""
        return self.folder / "replies"

    @property
    def run(self) -> Path:
        """Return the folder of sockets, process ids and run-time secrets."""
        return self.folder / "run"

    @property
    def logs(self) -> Path:
        """Return the folder of log files."""
        return self.folder / "logs"

    def proposal(self, study: StudyId) -> Path:
        """Return the path of a proposed study."""
        return self.proposals / f"{study}.json"

    def decision(self, study: StudyId) -> Path:
        """Return the path of the signed decision on a study."""
        return self.decisions / f"{study}.dsse.json"

    def settings(self) -> NodeSettings:
        """Return what `node.toml` says; raises `UnreadableRecordError`."""
        return NodeSettings.read(self.settings_file)

    def write_settings(self, settings: NodeSettings) -> None:
        """Replace `node.toml` in one step; tables that these settings do not speak of stay."""
        others = other_tables(self.settings_file, TABLES)
        write_atomic(self.settings_file, settings.to_bytes() + others)

    def load_tls_key(self) -> TlsPrivateKey:
        """Return the node's TLS key.

        Raises
        ------
        KeyFileUnsafeError, KeyRefusedError
            If others can read it, or it is not such a key.
        """
        return load_tls_private_key(read_private(self.tls_key), file=self.tls_key.name)

    def root(self) -> x509.Certificate:
        """Return the centre's root certificate; raises `UnreadableRecordError`."""
        return read_certificate(self.authority_certificate)

    @property
    def has_joined(self) -> bool:
        """Return whether a kit of the centre was taken in."""
        return self.tls_certificate.is_file()

    def certificate(self) -> x509.Certificate:
        """Return the node's certificate.

        Raises
        ------
        NotJoinedError
            If no kit was taken in yet.
        UnreadableRecordError
            If the file is not a certificate.
        """
        if not self.has_joined:
            raise NotJoinedError(site=self.settings().site)
        return read_certificate(self.tls_certificate)
