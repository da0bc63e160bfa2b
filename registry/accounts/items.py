"""What is kept of accounts: each item a frozen value, checked when read and when made."""

from datetime import datetime
from enum import Enum
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from federation.evidence.characters import UNSEEN
from registry.accounts.ports import Scope
from registry.roles import Author, Centre, Role

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,79}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Line = Annotated[str, Field(pattern=f"^[^\x00-\x1f{UNSEEN}]{{1,120}}$")]


class AccountState(Enum):
    """Where an account stands."""

    PROPOSED = "proposed"
    INVITED = "invited"
    ACTIVE = "active"
    SHUT = "shut"


class Kind(Enum):
    """Whether an account is a person's or a program's."""

    PERSON = "person"
    SERVICE = "service"


class AccountDeed(Enum):
    """What the audit trail calls what is done to accounts. Meanings never change."""

    PROPOSED = "account-proposed"
    CONFIRMED = "account-confirmed"
    INVITED = "account-invited"
    ENROLLED = "account-enrolled"
    ROLES_CHANGED = "account-roles-changed"
    SHUT = "account-shut"
    LOGGED_IN = "account-logged-in"
    THROTTLED = "account-throttled"
    LOGGED_OUT = "account-logged-out-everywhere"
    TOKEN_MADE = "account-token-made"  # noqa: S105
    TOKEN_REVOKED = "account-token-revoked"  # noqa: S105
    PASSKEY_ADDED = "account-passkey-added"
    CERTIFICATE_ADDED = "account-certificate-added"
    IDENTITY_LINKED = "account-identity-linked"
    SIGNATURE_KEY_ADDED = "account-signature-key-added"
    SIGNATURE_KEY_REVOKED = "account-signature-key-revoked"


class Purpose(Enum):
    """What a one-time secret is good for."""

    ENROL = "enrol"
    RECOVER = "recover"
    ADD_PASSKEY = "add-passkey"
    USE_PASSKEY = "use-passkey"
    IDENTITY = "identity"


class Item(BaseModel):
    """Something kept under a key; `table` names its kind, `ends` when it is of no use."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    table: ClassVar[str]

    @property
    def key(self) -> str:
        """Return what it is found by, unique in its kind."""
        raise NotImplementedError

    @property
    def owner(self) -> str:
        """Return whose it is."""
        raise NotImplementedError

    @property
    def ends(self) -> datetime | None:
        """Return when it may be thrown away, None for never."""
        return None


class Account(Item):
    """One person or program; the name is never given out again."""

    table: ClassVar[str] = "account"
    name: Name
    kind: Kind
    organisation: Line
    centre: Centre | None
    roles: frozenset[Role]
    state: AccountState
    created: datetime
    revision: int = 1
    proposed_by: Name | None = None
    confirmed_by: Name | None = None
    password: str | None = None
    seed: str | None = None
    last_step: int = 0

    @property
    def key(self) -> str:
        """Return the name, in small letters: names differ by more than case."""
        return self.name.casefold()

    @property
    def owner(self) -> str:
        """Return the name."""
        return self.key

    @property
    def is_active(self) -> bool:
        """Say whether it may come in."""
        return self.state is AccountState.ACTIVE

    def author(self, role: Role) -> Author:
        """Return the account acting in a role."""
        return Author(self.name, role, self.organisation, self.centre)

    def as_json(self) -> dict[str, object]:
        """Return what may be shown of it: nothing secret."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "organisation": self.organisation,
            "centre": self.centre.value if self.centre else None,
            "roles": sorted(role.value for role in self.roles),
            "state": self.state.value,
            "created": self.created.isoformat(),
            "revision": self.revision,
            "proposed_by": self.proposed_by,
            "confirmed_by": self.confirmed_by,
        }


class _Owned(Item):
    """Something that belongs to an account and is found by the digest of a secret."""

    digest: Digest
    account: str

    @property
    def key(self) -> str:
        """Return the digest."""
        return self.digest

    @property
    def owner(self) -> str:
        """Return the account's key."""
        return self.account


class SessionItem(_Owned):
    """A log-in that lasts; `seen` moves at most once a minute."""

    table: ClassVar[str] = "session"
    opened: datetime
    seen: datetime
    expires: datetime

    @property
    def ends(self) -> datetime:
        """Return when it ends however much it is used."""
        return self.expires


class TokenItem(_Owned):
    """An API token; `id` is what people call it by."""

    table: ClassVar[str] = "token"
    id: str
    label: Line
    scopes: frozenset[Scope]
    created: datetime
    expires: datetime

    @property
    def ends(self) -> datetime:
        """Return its last moment."""
        return self.expires

    def as_json(self) -> dict[str, object]:
        """Return what may be shown of it."""
        return {
            "id": self.id,
            "label": self.label,
            "scopes": sorted(scope.value for scope in self.scopes),
            "created": self.created.isoformat(),
            "expires": self.expires.isoformat(),
        }


class SecretItem(_Owned):
    """A secret that is good once, for one purpose, until it expires; `data` goes with it."""

    table: ClassVar[str] = "secret"
    purpose: Purpose
    data: str = ""
    expires: datetime

    @property
    def ends(self) -> datetime:
        """Return its last moment."""
        return self.expires


class PasskeyItem(_Owned):
    """A passkey (WebAuthn credential); the digest is of its id."""

    table: ClassVar[str] = "passkey"
    credential: str
    public_key: str
    sign_count: int
    label: Line
    created: datetime


class SignatureKeyItem(_Owned):
    """A person's public key for signatures, kept for ever; the digest is of the key (its id)."""

    table: ClassVar[str] = "signature-key"
    public: Digest
    created: datetime
    until: datetime
    revoked: datetime | None = None

    def as_json(self) -> dict[str, object]:
        """Return what may be shown of it."""
        return {
            "id": self.digest,
            "created": self.created.isoformat(),
            "until": self.until.isoformat(),
            "revoked": self.revoked.isoformat() if self.revoked else None,
        }


class CertificateItem(_Owned):
    """A client certificate of a service account; the digest is SHA-256 of its DER form."""

    table: ClassVar[str] = "certificate"
    expires: datetime

    @property
    def ends(self) -> datetime:
        """Return its last moment."""
        return self.expires


class IdentityItem(_Owned):
    """Who an account is at the identity provider; the digest is of issuer and subject."""

    table: ClassVar[str] = "identity"


class FailureItem(_Owned):
    """How often coming in failed for an account's name or an address."""

    table: ClassVar[str] = "failure"
    count: int
    last: datetime
    expires: datetime

    @property
    def ends(self) -> datetime:
        """Return when it is forgotten."""
        return self.expires
