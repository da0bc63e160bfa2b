"""Everything about accounts in one value, as the web application and the commands use it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from federation.evidence.signing import Signer
from registry.accounts.desk import Desk
from registry.accounts.identity import Identity, Provider
from registry.accounts.log_in import LogIns
from registry.accounts.passkeys import Passkeys, Site
from registry.accounts.passwords import Passwords
from registry.accounts.people import People
from registry.accounts.ports import Caller
from registry.accounts.sealing import Sealing
from registry.accounts.signature_keys import SignatureKeys
from registry.accounts.tables import SqlAccountStore
from registry.accounts.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who has an account, who is in, by what, and who signs; `identity` is None without one."""

    people: People
    log_ins: LogIns
    tokens: Tokens
    passkeys: Passkeys
    identity: Identity | None
    signature_keys: SignatureKeys

    def of_session(self, secret: str) -> Caller:
        """Return who a session's secret belongs to, or nobody."""
        return self.log_ins.caller(secret)

    def of_token(self, secret: str) -> Caller:
        """Return who a token belongs to, or nobody."""
        return self.tokens.caller(secret)

    def of_certificate(self, der: bytes) -> Caller:
        """Return whose a certificate is, or nobody."""
        return self.tokens.caller_with(der)


def _now() -> datetime:
    return datetime.now(UTC)


def accounts_of(
    *,
    database_url: str,
    signer: Signer,
    sealing: Sealing,
    site: Site,
    passwords: Passwords | None = None,
    provider: Provider | None = None,
    clock: Callable[[], datetime] = _now,
) -> Accounts:
    """Return the accounts in a database, its tables brought up to date if need be."""
    desk = Desk(SqlAccountStore(database_url, sealing), signer, clock, sealing)
    passwords = passwords or Passwords()
    log_ins = LogIns(desk, passwords)
    return Accounts(
        People(desk, passwords),
        log_ins,
        Tokens(desk),
        Passkeys(desk, log_ins, site),
        None if provider is None else Identity(desk, log_ins, provider, site.origin),
        SignatureKeys(desk, signer.keyid),
    )
