"""Log in at an identity provider (OpenID Connect Core 1.0), where a centre has one: optional.

    [oidc]                                        # oidc.toml in the centre's home
    issuer = "https://login.example"
    client_id = "trifed"
    client_secret_file = "keys/oidc.secret"       # 0600
    acr = "urn:example:two-factors"               # optional: what the provider must assert
    authority = "pki/provider.pem"                # optional: whose TLS certificate it has

Authorization code with PKCE (S256), state and nonce. The answer counts once, within ten
minutes, in the browser that asked; the ID token's signature, issuer, audience, end and
nonce are checked. An identity opens the session of the account it was linked to, and
none else: an account is never made by logging in.
"""

import json
import ssl
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import (  # type: ignore[import-untyped]
    prepare_grant_uri,
    prepare_token_request,
)
from authlib.oauth2.rfc7636 import create_s256_code_challenge  # type: ignore[import-untyped]
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from federation.errors.access import IdentityRefusedError
from federation.wording import Text
from registry.accounts.desk import Desk, account_there
from registry.accounts.items import Account, AccountDeed, IdentityItem, Purpose, SecretItem
from registry.accounts.log_in import LogIns
from registry.accounts.ports import Opened
from registry.accounts.sealing import new_secret
from registry.accounts.tables import Books

ANSWER_PATH = "/v1/session/identity/answer"
ANSWER_WITHIN = timedelta(minutes=10)
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
_TIMEOUT_S = 10.0
_LEEWAY_S = 60
_MAX_TEXT = 4096
_MAX_ANSWER = 256 * 1024

_NOT_ASKED = Text(en="no log-in of this browser waits for it", zh="此瀏覽器沒有等待中的登入")
_UNREACHABLE = Text(en="the provider gives no usable answer", zh="身分提供者沒有可用的回應")
_NOT_SIGNED = Text(en="its token does not hold", zh="權杖驗證失敗")
_WEAK = Text(en="it does not assert the log-in's strength", zh="未聲明所需的驗證強度")
_NO_ACCOUNT = Text(en="no account is linked to this identity", zh="此身分未綁定帳號")


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider, as its file says; `trust` is the TLS context to reach it with."""

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    acr: str | None = None
    trust: ssl.SSLContext | bool = True
    transport: httpx.BaseTransport | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """Where to send the browser, and the state that its cookie keeps meanwhile."""

    address: str
    state: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Log-ins through one provider; `origin` is the register's own."""

    desk: Desk
    log_ins: LogIns
    provider: Provider
    origin: str

    def ask(self) -> Asked:
        """Begin a log-in.

        Raises
        ------
        IdentityRefusedError
            If the provider cannot be reached or says what cannot be used.
        """
        state, nonce, verifier = new_secret(), new_secret(), new_secret()
        with self._client() as client:
            places = _places(client, self.provider.issuer)
        address = prepare_grant_uri(
            places["authorization_endpoint"],
            self.provider.client_id,
            "code",
            redirect_uri=self.origin + ANSWER_PATH,
            scope="openid",
            state=state,
            nonce=nonce,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
        )
        data = json.dumps({"nonce": nonce, "verifier": verifier})
        item = SecretItem(
            digest=self.desk.sealing.digest(Purpose.IDENTITY.value, state),
            account="-",
            purpose=Purpose.IDENTITY,
            data=data,
            expires=self.desk.now() + ANSWER_WITHIN,
        )
        self.desk.change(lambda books: books.items.put(item))
        return Asked(str(address), state)

    def answer(
        self,
        *,
        code: str,
        state: str,
        kept: str | None,
        address: str,
        earlier: str | None = None,
    ) -> Opened:
        """Open a session for the identity that the provider vouches for.

        Parameters
        ----------
        kept
            The state that the browser's own cookie kept.

        Raises
        ------
        IdentityRefusedError
            If any check of the module's fails.
        LogInThrottledError
            If too many failed of late from that address.
        """
        if kept is None or kept != state or max(len(code), len(state)) > _MAX_TEXT:
            raise IdentityRefusedError(why=_NOT_ASKED)
        self.log_ins.count_try(f"identity {self.desk.sealing.digest('try', state)}", address)
        waiting = self.desk.change(lambda books: self._taken(books, state))
        subject = self._subject(code, waiting["nonce"], waiting["verifier"])

        def work(books: Books) -> Opened:
            item = books.items.get(IdentityItem, self._digest(subject))
            account = None if item is None else books.items.get(Account, item.account)
            if account is None or not account.is_active:
                raise IdentityRefusedError(why=_NO_ACCOUNT)
            return self.log_ins.open(
                books, account, by="identity", address=address, earlier=earlier
            )

        return self.desk.change(work)

    def link(self, name: str, subject: str) -> None:
        """Let an identity of the provider open the sessions of an account."""

        def work(books: Books) -> None:
            account = account_there(books, name)
            books.items.drop_of(IdentityItem, account.key)
            books.items.put(IdentityItem(digest=self._digest(subject), account=account.key))
            self.desk.note(books, AccountDeed.IDENTITY_LINKED, by="operator", about=account.name)

        self.desk.change(work)

    def _taken(self, books: Books, state: str) -> dict[str, str]:
        digest = self.desk.sealing.digest(Purpose.IDENTITY.value, state)
        item = books.items.get(SecretItem, digest)
        if item is None or item.expires <= self.desk.now():
            raise IdentityRefusedError(why=_NOT_ASKED)
        books.items.drop(item)
        found: dict[str, str] = json.loads(item.data)
        return found

    def _subject(self, code: str, nonce: str, verifier: str) -> str:
        with self._client() as client:
            places = _places(client, self.provider.issuer)
            given = self._exchanged(client, places["token_endpoint"], code, verifier)
            try:
                keys = jwk.KeySet.import_key_set(_answer(client.get(places["jwks_uri"])))
                token = jwt.decode(str(given["id_token"]), keys, algorithms=list(ALGORITHMS))
                self._claims(nonce).validate(token.claims)
            except httpx.HTTPError as error:
                raise IdentityRefusedError(why=_UNREACHABLE) from error
            except (JoseError, KeyError, ValueError, TypeError) as error:
                raise IdentityRefusedError(why=_NOT_SIGNED) from error
        if self.provider.acr is not None and token.claims.get("acr") != self.provider.acr:
            raise IdentityRefusedError(why=_WEAK)
        return str(token.claims["sub"])

    def _exchanged(self, client: httpx.Client, place: str, code: str, verifier: str) -> Any:
        body = prepare_token_request(
            "authorization_code",
            redirect_uri=self.origin + ANSWER_PATH,
            code=code,
            code_verifier=verifier,
        )
        try:
            answer = client.post(
                place,
                content=body,
                auth=(self.provider.client_id, self.provider.client_secret),
                headers={"Content-Type": "application/x-www-form-urlencoded"},
            )
        except httpx.HTTPError as error:
            raise IdentityRefusedError(why=_UNREACHABLE) from error
        return _answer(answer)

    def _claims(self, nonce: str) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(self.desk.now().timestamp()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "value": self.provider.client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )

    def _client(self) -> httpx.Client:
        return httpx.Client(
            timeout=_TIMEOUT_S, verify=self.provider.trust, transport=self.provider.transport
        )

    def _digest(self, subject: str) -> str:
        return self.desk.sealing.digest("identity", f"{self.provider.issuer} {subject}")


def _places(client: httpx.Client, issuer: str) -> dict[str, str]:
    """Return the provider's endpoints from its own description, all of them https."""
    try:
        found = _answer(client.get(issuer.rstrip("/") + "/.well-known/openid-configuration"))
    except httpx.HTTPError as error:
        raise IdentityRefusedError(why=_UNREACHABLE) from error
    names = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
    places = {name: str(found.get(name, "")) for name in names}
    secure = all(urlsplit(place).scheme == "https" for place in places.values())
    if places["issuer"] != issuer or not secure:
        raise IdentityRefusedError(why=_UNREACHABLE)
    return places


def _answer(answer: httpx.Response) -> Any:
    """Return the JSON object a provider answered with."""
    try:
        found = answer.raise_for_status().json() if len(answer.content) < _MAX_ANSWER else None
    except (httpx.HTTPError, ValueError) as error:
        raise IdentityRefusedError(why=_UNREACHABLE) from error
    if not isinstance(found, dict):
        raise IdentityRefusedError(why=_UNREACHABLE)
    return found
