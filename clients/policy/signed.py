"""The data officer's signature over `policy.toml`; without it the policy allows nothing.

`policy.dsse.json` is a seal over the file's bytes with a number that only grows, a
time and an end. `policy_in_force`, in order:

1. the text is there, and so is the signature;
2. this hospital's data officer signed it, for this site;
3. the text is byte for byte what was signed;
4. it has not expired;
5. no newer number, and no other text of this number, was ever in force here;
6. the text is a policy.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from clients import audit_log
from clients.home import NodeHome
from clients.policy.rules import POLICY_FILE, Policy, check_policy, parse_policy, read_text
from clients.seals import Matter, Seal, instant_in, open_seal, read_limited, seal
from clients.seen import FILE, Seen
from federation.domain.audit import AuditEvent, AuditKind
from federation.domain.ids import Sha256, SiteId
from federation.errors import PlatformError
from federation.errors.approval import (
    PolicyChangedError,
    PolicyExpiredError,
    PolicyRolledBackError,
    PolicySignerError,
    PolicyUnsignedError,
)
from federation.errors.signed import MalformedEnvelopeError, UnknownSignerError
from federation.evidence.signing import Signer
from federation.evidence.verification import PublicKey, trusted_keys
from federation.storage import write_atomic
from federation.wording import Text

SIGNATURE_FILE = "policy.dsse.json"

ANOTHER_KEY = Text(
    en="it is not by this hospital's data officer", zh="並非由本院資料官簽署"
)  # fmt: skip
EDITED = Text(
    en="it was edited, or is of another site or another thing",
    zh="已遭修改,或屬於其他站點或其他事項",
)


@dataclass(frozen=True, slots=True)
class SignedPolicy:
    """A policy in force, with its number, its text's content id, and when it was signed and ends.

    `resets_clock` says that times before the signing may be wrong, because the
    clock was ahead then.
    """

    policy: Policy
    number: int
    digest: Sha256
    signed_at: datetime
    expires: datetime
    resets_clock: bool


def seen_file(home: NodeHome) -> Path:
    """Return where a node remembers the newest policy and the latest time."""
    return home.folder / FILE


def signature_file(home: NodeHome) -> Path:
    """Return where the signature of the policy lies."""
    return home.folder / SIGNATURE_FILE


def policy_in_force(home: NodeHome, *, now: datetime) -> SignedPolicy:
    """Return the hospital's policy after the module's six steps.

    Raises
    ------
    PolicyUnreadableError, PolicyUnsignedError, PolicySignerError, PolicyChangedError
    PolicyExpiredError, PolicyRolledBackError
        By the first step that fails; nothing is allowed then.
    """
    content = read_text(home.policy)
    try:
        signature = read_limited(signature_file(home))
    except OSError as error:
        raise PolicyUnsignedError() from error
    officer, site = PublicKey.load(home.officer_public_key), home.settings().site
    found = verify_policy(content, signature, officer=officer, site=site)
    if now >= found.expires:
        raise PolicyExpiredError(date=found.expires.isoformat())
    _check_newest(found, Seen.read(seen_file(home)))
    return found


def verify_policy(
    content: bytes, signature: bytes, *, officer: PublicKey, site: SiteId
) -> SignedPolicy:
    """Return the policy in `content` that the officer signed: steps 2, 3 and 6.

    Raises
    ------
    PolicySignerError, PolicyChangedError, PolicyUnreadableError
        By the first that does not hold.
    """
    found = _opened(signature, officer=officer, site=site)
    number, expires = _number_in(found), _expiry_in(found)
    digest = Sha256.of(content)
    if found.digest != digest:
        raise PolicyChangedError(number=number)
    resets = found.said.get("resets_clock") is True
    return SignedPolicy(parse_policy(content), number, digest, found.at, expires, resets)


def sign_policy(home: NodeHome, *, now: datetime, resets_clock: bool = False) -> SignedPolicy:
    """Sign policy.toml as the data officer, one number above every one that was in force.

    Raises
    ------
    PolicyUnreadableError, ProblemsFound
        If the text is not a policy.
    KeyFileError
        If the officer's key is not here.
    """
    content, seen = read_text(home.policy), Seen.read(seen_file(home))
    policy = check_policy(content)
    officer, site = Signer.load(home.officer_key), home.settings().site
    number = 1 + max(seen.policy_number, _number_there(home, officer.public_key, site))
    signature = seal(
        Matter.POLICY,
        POLICY_FILE,
        Sha256.of(content),
        site=site,
        signer=officer,
        now=now,
        said={
            "number": number,
            "expires": (now + timedelta(days=policy.valid_days)).isoformat(),
            "resets_clock": resets_clock,
        },
    )
    write_atomic(signature_file(home), signature)
    remembered = Seen(now.isoformat(), number, Sha256.of(content), seen.withdrawn)
    remembered.replace(seen_file(home)) if resets_clock else remembered.remember(seen_file(home))
    details = {"digest": str(Sha256.of(content)), "resets_clock": str(resets_clock).lower()}
    signed = AuditEvent(AuditKind.POLICY_SIGNED, "data officer", f"policy/{number}", now, details)
    audit_log.append(home.audit_log, signed)
    return policy_in_force(home, now=now)


def _opened(signature: bytes, *, officer: PublicKey, site: SiteId) -> Seal:
    trusted = trusted_keys([officer])
    try:
        return open_seal(signature, Matter.POLICY, POLICY_FILE, site=site, trusted=trusted)
    except UnknownSignerError as error:
        raise PolicySignerError(why=ANOTHER_KEY) from error
    except PlatformError as error:
        raise PolicySignerError(why=EDITED) from error


def _number_in(found: Seal) -> int:
    number = found.said.get("number")
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise PolicySignerError(why=EDITED)
    return number


def _expiry_in(found: Seal) -> datetime:
    try:
        return instant_in(found.said, "expires")
    except MalformedEnvelopeError as error:
        raise PolicySignerError(why=EDITED) from error


def check_number(found: SignedPolicy, newest: int) -> None:
    """Return if no policy of a higher number is known, for example from a signed approval.

    Raises
    ------
    PolicyRolledBackError
        If one is.
    """
    if found.number < newest:
        raise PolicyRolledBackError(number=found.number, seen=newest)


def _check_newest(found: SignedPolicy, seen: Seen) -> None:
    check_number(found, seen.policy_number)
    if found.number == seen.policy_number and found.digest != seen.policy_digest:
        raise PolicyRolledBackError(number=found.number, seen=seen.policy_number)


def _number_there(home: NodeHome, officer: PublicKey, site: SiteId) -> int:
    """Return the number of the signature that is there; 0 when none of the officer's is."""
    try:
        signature = read_limited(signature_file(home))
        return _number_in(_opened(signature, officer=officer, site=site))
    except (PolicySignerError, OSError):
        return 0
