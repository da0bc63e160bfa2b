"""Put the whole register together: every noun, every page, the accounts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter

from registry.accounts.service import Accounts
from registry.bundle import export
from registry.lineage.routes import lineage_routes
from registry.lineage.service import Lineage
from registry.models.service import Registrar
from registry.nouns import ALL_NOUNS, PLURALS, noun_routers
from registry.pages.desk import Desk
from registry.pages.report_reading import kept_in
from registry.pages.routes import PUBLIC_PAGES, page_routes
from registry.pages.tables import sql_index
from registry.records.routes import AuthorOf, record_routes
from registry.records.service import Records
from registry.records.shapes import Noun
from registry.service_app import Served
from registry.witnesses.noun import WITNESS
from registry.witnesses.routes import witness_routes

_WITNESSES = "witnesses"


def served_register(registrar: Registrar, accounts: Accounts, *, database_url: str) -> Served:
    """Return everything a served register is made of."""

    def bundle(entry: str, path: Path) -> Path:
        return export(registrar, entry, path, people=accounts.signature_keys.of_person)

    def pages(records: Records, nouns: Sequence[Noun[Any]]) -> APIRouter:
        documents = kept_in(registrar.artefacts)
        desk = Desk(records, sql_index(database_url), nouns, bundle, documents)
        return page_routes(desk, accounts.log_ins)

    def routers(records: Records, author_of: AuthorOf) -> list[APIRouter]:
        return [
            *noun_routers(records, author_of),
            record_routes(records, WITNESS, author_of=author_of, path=_WITNESSES),
            witness_routes(records, actor_of=lambda request: author_of(request).person),
            lineage_routes(
                Lineage(registrar.store, registrar.signer.public_key), told=records.tells
            ),
        ]

    return Served(
        registrar,
        accounts,
        nouns=(*((noun, PLURALS.get(noun.name)) for noun in ALL_NOUNS), (WITNESS, _WITNESSES)),
        noun_routers=routers,
        pages=pages,
        public_pages=PUBLIC_PAGES,
        person_keys=accounts.signature_keys.of_person,
    )
