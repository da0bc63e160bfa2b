"""Passkeys (WebAuthn level 3): add one to an account, and log in with it alone.

A passkey stands for both factors: its device checks the person (user verification is
demanded). Each question is stored by digest, good once for five minutes and for one
purpose; logging in names no account, so it tells nobody which accounts there are.
"""

from dataclasses import dataclass
from datetime import timedelta

from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from federation.errors.access import LogInRefusedError, PasskeyRefusedError
from federation.errors.signed import NotCanonicalError
from federation.evidence.canonical import parse
from registry.accounts.desk import Desk, account_there
from registry.accounts.items import Account, AccountDeed, PasskeyItem, Purpose, SecretItem
from registry.accounts.log_in import LogIns
from registry.accounts.ports import Opened
from registry.accounts.tables import Books

QUESTION_FOR = timedelta(minutes=5)
MAX_PASSKEYS = 10
_MAX_CREDENTIAL = 16 * 1024


@dataclass(frozen=True, slots=True)
class Site:
    """The register's own address: host name (the passkeys' domain) and origin."""

    host: str
    origin: str
    name: str = "TriFed"


@dataclass(frozen=True, slots=True)
class Passkeys:
    """Passkeys of accounts."""

    desk: Desk
    log_ins: LogIns
    site: Site

    def question_to_add(self, name: str) -> str:
        """Return the options (JSON) with which a browser makes a passkey for an account."""

        def work(books: Books) -> str:
            account = account_there(books, name)
            there = books.items.of(PasskeyItem, account.key)
            options = generate_registration_options(
                rp_id=self.site.host,
                rp_name=self.site.name,
                user_name=account.name,
                user_id=bytes.fromhex(self.desk.sealing.digest("passkey user", account.key)),
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.REQUIRED,
                    user_verification=UserVerificationRequirement.REQUIRED,
                ),
                exclude_credentials=[
                    PublicKeyCredentialDescriptor(id=base64url_to_bytes(one.credential))
                    for one in there
                ],
            )
            self._keep(books, options.challenge, Purpose.ADD_PASSKEY, account.key)
            return options_to_json(options)

        return self.desk.change(work)

    def add(self, name: str, credential: str, *, label: str) -> None:
        """Add the passkey a browser made.

        Raises
        ------
        PasskeyRefusedError
            If it answers no open question of this account, is not of this site, did not
            check its person, is there already, or is one too many.
        """
        challenge = _challenge_of(credential)

        def work(books: Books) -> None:
            account = account_there(books, name)
            self._take(books, challenge, Purpose.ADD_PASSKEY, account.key)
            made = verify_registration_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.site.host,
                expected_origin=self.site.origin,
                require_user_verification=True,
            )
            item = PasskeyItem(
                digest=self._digest(made.credential_id),
                account=account.key,
                credential=bytes_to_base64url(made.credential_id),
                public_key=made.credential_public_key.hex(),
                sign_count=made.sign_count,
                label=label,
                created=self.desk.now(),
            )
            taken = books.items.get(PasskeyItem, item.digest) is not None
            if taken or len(books.items.of(PasskeyItem, account.key)) >= MAX_PASSKEYS:
                raise PasskeyRefusedError()
            books.items.put(item)
            self.desk.note(books, AccountDeed.PASSKEY_ADDED, by=account.name, about=account.name)

        try:
            self.desk.change(work)
        except (WebAuthnException, ValueError) as error:
            raise PasskeyRefusedError() from error

    def question_to_log_in(self) -> str:
        """Return the options (JSON) with which a browser answers by any passkey of this site."""

        def work(books: Books) -> str:
            options = generate_authentication_options(
                rp_id=self.site.host, user_verification=UserVerificationRequirement.REQUIRED
            )
            books.items.prune(self.desk.now())
            self._keep(books, options.challenge, Purpose.USE_PASSKEY, "-")
            return options_to_json(options)

        return self.desk.change(work)

    def log_in(self, credential: str, *, address: str, earlier: str | None = None) -> Opened:
        """Open a session for the account whose passkey answered.

        Raises
        ------
        LogInRefusedError
            If it answers no open question, is unknown, or its signature or count is wrong.
        LogInThrottledError
            If too many were wrong of late from that address.
        """
        try:
            challenge = _challenge_of(credential)
            raw_id = _credential_id(credential)
        except PasskeyRefusedError as error:
            raise LogInRefusedError() from error
        self.log_ins.count_try(f"passkey {self._digest(raw_id)}", address)

        def work(books: Books) -> Opened:
            self._take(books, challenge, Purpose.USE_PASSKEY, "-")
            item = books.items.get(PasskeyItem, self._digest(raw_id))
            account = None if item is None else books.items.get(Account, item.account)
            if item is None or account is None or not account.is_active:
                raise PasskeyRefusedError()
            done = verify_authentication_response(
                credential=credential,
                expected_challenge=challenge,
                expected_rp_id=self.site.host,
                expected_origin=self.site.origin,
                credential_public_key=bytes.fromhex(item.public_key),
                credential_current_sign_count=item.sign_count,
                require_user_verification=True,
            )
            books.items.put(item.model_copy(update={"sign_count": done.new_sign_count}))
            return self.log_ins.open(books, account, by="passkey", address=address, earlier=earlier)

        try:
            return self.desk.change(work)
        except (WebAuthnException, PasskeyRefusedError, ValueError) as error:
            raise LogInRefusedError() from error

    def _keep(self, books: Books, challenge: bytes, purpose: Purpose, account: str) -> None:
        item = SecretItem(
            digest=self.desk.sealing.digest(purpose.value, challenge.hex()),
            account=account,
            purpose=purpose,
            expires=self.desk.now() + QUESTION_FOR,
        )
        books.items.put(item)

    def _take(self, books: Books, challenge: bytes, purpose: Purpose, account: str) -> None:
        item = books.items.get(SecretItem, self.desk.sealing.digest(purpose.value, challenge.hex()))
        if item is None or item.account != account or item.expires <= self.desk.now():
            raise PasskeyRefusedError()
        books.items.drop(item)

    def _digest(self, credential_id: bytes) -> str:
        return self.desk.sealing.digest("passkey", credential_id.hex())


def _challenge_of(credential: str) -> bytes:
    """Return the question that a browser's answer says it answers."""
    match _parsed(credential):
        case {"response": {"clientDataJSON": str(data), **_response}, **_rest}:
            match _parsed(_decoded(data).decode("utf-8", errors="replace")):
                case {"challenge": str(challenge), **_more}:
                    return _decoded(challenge)
    raise PasskeyRefusedError()


def _credential_id(credential: str) -> bytes:
    match _parsed(credential):
        case {"rawId": str(raw), **_rest}:
            return _decoded(raw)
    raise PasskeyRefusedError()


def _decoded(text: str) -> bytes:
    try:
        return base64url_to_bytes(text)
    except ValueError as error:
        raise PasskeyRefusedError() from error


def _parsed(text: str) -> object:
    if len(text) > _MAX_CREDENTIAL:
        raise PasskeyRefusedError()
    try:
        return parse(text)
    except NotCanonicalError as error:
        raise PasskeyRefusedError() from error
