"""Which sites of an opt-out list have not said that they applied it."""

from collections.abc import Iterable

from registry.optout.shape import LIST, PROPAGATION
from registry.records.ports import StoredRecord
from registry.records.service import Records


def silent_sites(record: StoredRecord, linking: Iterable[StoredRecord]) -> tuple[str, ...]:
    """Return the sites that a list names and whose word is not confirmed, in its order."""
    listed = record.body.get("sites")
    named = [str(site) for site in listed] if isinstance(listed, list) else []
    heard = {one.body.get("site") for one in _confirmed(linking)}
    return tuple(site for site in named if site not in heard)


def applied(records: Records, id: str) -> dict[str, object]:
    """Return where one list was applied, to which data sets, and where not.

    Raises
    ------
    RecordNotFoundError
        If there is no such list.
    """
    record = records.get(LIST, id)
    linking = records.linking(LIST, id, relation="applies", by=PROPAGATION)
    shown = ("site", "dataset", "applied_at")
    return {
        "list": id,
        "state": record.state,
        "digest": record.body.get("list_digest"),
        "applied": [{name: one.body.get(name) for name in shown} for one in _confirmed(linking)],
        "missing": list(silent_sites(record, linking)),
    }


def _confirmed(linking: Iterable[StoredRecord]) -> list[StoredRecord]:
    return [one for one in linking if one.noun == PROPAGATION and one.state == "confirmed"]
