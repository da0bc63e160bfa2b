"""Enter what was signed about books and updates in the evidence log, when it is signed."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from federation.domain.ids import Sha256
from federation.errors.signed import UnknownSignerError
from federation.evidence.dsse import read_envelope
from federation.evidence.keyring import KnownKey
from federation.evidence.signing import Signer
from registry.audit.kinds import LogKind, RegisterEvent
from registry.audit.service import record as record_event
from registry.evidence.service import append, seal
from registry.ports import Store, Transaction
from registry.retrying import in_one_transaction
from registry.store import SqlStore


def open_log(url: str) -> Store:
    """Return the store of the evidence log in a database, for reading; light to import."""
    return SqlStore(url)


def enter_statements(
    store: Store,
    envelopes: Sequence[str],
    *,
    keys: Iterable[KnownKey],
    signer: Signer,
    actor: str,
    at: datetime,
) -> None:
    """Append statements that are not yet logged, keep their signers' keys, sign the new state.

    The statements were verified by the caller; a registration that names them later
    finds them by their digest. One audit event, in the same transaction, says how far
    the log grew and when.

    Parameters
    ----------
    actor, at
        Who enters them, and the present time, UTC.

    Raises
    ------
    UnknownSignerError
        If a statement names a key that is not among `keys`; nothing is written.
    BusyRegisterError
        If other writers were always faster.
    """
    known = {one.key.keyid: one for one in keys}

    def work(transaction: Transaction) -> None:
        grown = _enter(transaction, envelopes, known)
        if grown:
            seal(transaction.log, signer=signer)
            event = _event(transaction.log.size(), grown, actor, at)
            record_event(event, transaction.audit, signer=signer)

    in_one_transaction(store.writing, work)


def _enter(
    transaction: Transaction, envelopes: Sequence[str], known: dict[Sha256, KnownKey]
) -> int:
    """Append what is not there yet; return by how many entries the log grew."""
    before = transaction.log.size()
    for envelope in envelopes:
        keyid = read_envelope(envelope).keyid
        if keyid not in known:
            raise UnknownSignerError(keyid=keyid)
        transaction.log.add_key(known[keyid])
    append(transaction.log, envelopes)
    return transaction.log.size() - before


def _event(size: int, grown: int, actor: str, at: datetime) -> RegisterEvent:
    details = {"log_size": str(size), "added": str(grown)}
    return RegisterEvent(LogKind.STATEMENTS_LOGGED, actor, "log", at, details)
