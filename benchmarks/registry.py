"""The register at size: a log of a million entries, and ten thousand models, on both databases.

    python benchmarks/registry.py [--json] [--quick] [--entries N] [--models N] [--only sqlite]

| figure | meaning |
|---|---|
| append_per_s | entries a second, in transactions of 1,000, each with its signed checkpoint |
| append_last_per_s | the same over the last tenth, when the tables are at their largest |
| single_append_ms | median of a transaction of one entry, with its checkpoint, at full size |
| proof_ms, proof_p99_ms | an inclusion proof of any entry, read in a transaction of its own |
| growth_ms | median of a consistency proof from any size to the full one |
| bundle_verify_s | `verify_bundle` of an entry with a hundred statements, logged at full size |
| list_p95_ms | a page of 50 of `GET /v1/model-versions`, anywhere in the list |
| search_p95_ms | a page of 50 of the cards by word, by facet, by both, and by a word not there |
| show_p95_ms | one entry with its record and its proof |
| ..._p95_cpu_ms | the same in CPU time of this process, a database server's not counted |

Plain names are SQLite's (`synchronous=FULL`), those that begin with `postgresql_` are a
PostgreSQL server's of its own, with `fsync` on. Requests go through the application
in this process; an entry is an envelope of about 900 bytes, made beforehand, because
what signs it is not the register. Read what else ran on the machine under `machine`.
"""

import argparse
import asyncio
import itertools
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
from fastapi import FastAPI, Request

from benchmarks.report import report
from federation.domain.ids import Sha256
from federation.evidence.canonical import canonical
from federation.evidence.model_version import Bilingual, Candidate, Record
from federation.evidence.statements import Subject
from registry.evidence.service import append, prove_growth, prove_inclusion, seal
from registry.models.cards import version_noun
from registry.models.routes import model_routes
from registry.models.version_card import Code, Organisation, VersionCard
from registry.ports import Store
from registry.records.routes import record_routes
from registry.records.service import Records
from registry.roles import Author, Role
from tests.postgres import Server, _as_user, _program
from tests.registry.builders import SITES, Centre, facts, make_centre
from tests.registry.bundles import a_report, statements

BATCH = 1000
SEED = 20261122
OWNER = Author("owner-1", Role.HAO, "Tainan Hospital")
MODALITIES = ("CR", "CT", "MR", "US", "MG", "XA")
WORDS = ("pneumonia", "fracture", "stroke", "nodule", "sepsis", "retina", "bleeding", "fibrosis")
UNITS = {
    "append_per_s": "1/s",
    "append_last_per_s": "1/s",
    "single_append_ms": "ms",
    "proof_ms": "ms",
    "proof_p99_ms": "ms",
    "growth_ms": "ms",
    "bundle_verify_s": "s",
    "list_p95_ms": "ms",
    "search_p95_ms": "ms",
    "show_p95_ms": "ms",
    "list_p95_cpu_ms": "ms CPU",
    "search_p95_cpu_ms": "ms CPU",
    "show_p95_cpu_ms": "ms CPU",
}


def main() -> None:
    arguments = _arguments()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="trifed-registry-") as folder:
        if arguments.only in (None, "sqlite"):
            centre = make_centre(Path(folder) / "sqlite")
            figures |= measured(centre, arguments)
        if arguments.only in (None, "postgresql"):
            with a_durable_server() as url:
                centre = make_centre(Path(folder) / "postgresql", url=url)
                found = measured(centre, arguments)
            figures |= {f"postgresql_{name}": value for name, value in found.items()}
    units = {name: UNITS[name.removeprefix("postgresql_")] for name in figures}
    report("registry", figures, units)


def measured(centre: Centre, arguments: argparse.Namespace) -> dict[str, float]:
    """Return the figures of one database."""
    store = centre.registrar.store
    figures = growing(centre, arguments.entries)
    _say(f"log of {arguments.entries} entries: {figures}")
    figures |= proofs(store, arguments.entries, arguments.tries)
    entry = the_bundled(centre)
    figures["bundle_verify_s"] = bundle_verify_s(centre, entry)
    _say(f"proofs and bundle: {figures}")
    records = fill(centre, arguments.models)
    _say(f"{arguments.models} models")
    figures |= asyncio.run(pages(centre, records, arguments))
    return {name: round(value, 3) for name, value in figures.items()}


def growing(centre: Centre, entries: int) -> dict[str, float]:
    """Append entries in batches, then one by one."""
    store, signer = centre.registrar.store, centre.signer
    seconds: list[float] = []
    for first in range(0, entries, BATCH):
        batch = [an_envelope(number) for number in range(first, min(first + BATCH, entries))]
        seconds.append(_timed(lambda batch=batch: _append(store, signer, batch)))
    last = seconds[-max(1, len(seconds) // 10) :]
    single = [
        _timed(lambda number=number: _append(store, signer, [an_envelope(number)]))
        for number in range(entries, entries + 50)
    ]
    return {
        "append_per_s": entries / sum(seconds),
        "append_last_per_s": min(len(last) * BATCH, entries) / sum(last),
        "single_append_ms": statistics.median(single) * 1e3,
    }


def proofs(store: Store, entries: int, tries: int) -> dict[str, float]:
    """Prove entries and growth from anywhere in the log."""
    chosen = random.Random(SEED)
    places = [chosen.randrange(entries) for _ in range(tries)]
    included = [_timed(lambda place=place: _prove(store, place)) for place in places]
    grown = [_timed(lambda place=place: _prove_growth(store, place + 1)) for place in places]
    return {
        "proof_ms": statistics.median(included) * 1e3,
        "proof_p99_ms": _percentile(included, 99) * 1e3,
        "growth_ms": statistics.median(grown) * 1e3,
    }


def the_bundled(centre: Centre) -> str:
    """Register an entry with a hundred statements behind it; return its id."""
    model = Subject("model/cxr-2026.1/1", Sha256.of(b"the model before round 1"))
    more = [
        {
            "site": site,
            "kind": "update",
            "envelope": a_report(centre, site, model=model, local_loss=number),
        }
        for number in range(30)
        for site in SITES
    ]
    given = facts(centre, statements=[*statements(centre), *more])
    stored, _ = centre.registrar.register(Candidate.from_json(canonical(given)), actor="centre")
    return stored.entry


def bundle_verify_s(centre: Centre, entry: str) -> float:
    from federation.evidence.bundle import verify_bundle
    from registry.bundle import export

    path = export(centre.registrar, entry, centre.folder / "bundle.zip")
    key = centre.signer.public_key

    def verified() -> None:
        assert verify_bundle(path, centre_key=key).verified

    return statistics.median(_timed(verified) for _ in range(5))


def fill(centre: Centre, models: int) -> Records:
    """Register models, each of its own study, and give each a card."""
    register, records = (
        centre.registrar,
        Records(centre.registrar.store, centre.signer, lambda: datetime.now(UTC)),
    )
    noun = version_noun(artefacts=register.artefacts, key=centre.signer.public_key)
    given = facts(centre, statements=[])
    entries: list[str] = []
    for number in range(models):
        study = f"study-{number}"
        given |= {"run": f"{study}.1"}
        given["study"] = {"id": study, "title": study, "digest": Sha256.of(study.encode())}
        stored, _ = register.register(Candidate.from_json(canonical(given)), actor="centre")
        entries.append(stored.record)
    for some in _parts(list(enumerate(entries)), 200):
        cards = [a_card(number, Record.from_json(record.encode())) for number, record in some]
        records.write(
            lambda writing, cards=cards: [
                writing.put(noun, card.entry, card, author=OWNER) for card in cards
            ]
        )
    return records


def a_card(number: int, record: Record) -> VersionCard:
    chosen = random.Random(number)
    word, modality = chosen.choice(WORDS), chosen.choice(MODALITIES)
    said = Bilingual.model_validate({"zh-TW": f"第 {number} 號模型", "en": f"{word} {number}"})
    house = Bilingual.model_validate({"zh-TW": "臺南醫院", "en": f"Hospital {number % 25}"})
    use = {"zh-TW": "協助放射科醫師", "en": f"Points a radiologist at {word} " * 4}
    return VersionCard(
        entry=record.entry,
        record=record.digest,
        model=record.model.sha256,
        name=said,
        organisation=Organisation(name=house),
        intended_use=Bilingual.model_validate(use),
        codes=(Code(kind="modality", system="DCM", code=modality),),
    )


async def pages(
    centre: Centre, records: Records, arguments: argparse.Namespace
) -> dict[str, float]:
    """Ask for pages of the list, of searches, and of single entries."""
    app = FastAPI()
    noun = version_noun(artefacts=centre.registrar.artefacts, key=centre.signer.public_key)
    app.include_router(model_routes(centre.registrar, actor="bench"))
    app.include_router(record_routes(records, noun, author_of=_nobody), prefix="/cards")
    prefix = next(
        path for path in app.openapi()["paths"] if path.startswith("/cards") and "{" not in path
    )
    chosen = random.Random(SEED)
    listed = [f"/v1/model-versions?offset={chosen.randrange(arguments.models)}" for _ in range(50)]
    searched = [f"{prefix}?{asked}" for asked in _searches(chosen)]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://register") as client:
        items = (await client.get("/v1/model-versions?limit=200")).json()["items"]
        shown = [f"/v1/model-versions/{item['entry']}" for item in items[:50]]
        figures: dict[str, float] = {}
        for name, asked in (("list", listed), ("search", searched), ("show", shown)):
            wall, cpu = await _p95_ms(client, asked, arguments.tries)
            figures |= {f"{name}_p95_ms": wall, f"{name}_p95_cpu_ms": cpu}
        return figures


def _searches(chosen: random.Random) -> list[str]:
    words = [f"q={chosen.choice(WORDS)}" for _ in range(10)]
    facets = [f"facet.modality={chosen.choice(MODALITIES)}" for _ in range(10)]
    both = [f"{word}&{facet}" for word, facet in zip(words, facets, strict=True)]
    return [*words, *facets, *both, "q=nowhere+to+be+found", "q=Hospital+7+stroke", "state=draft"]


async def _p95_ms(client: httpx.AsyncClient, asked: list[str], tries: int) -> tuple[float, float]:
    """Return the 95th percentile of the time and of this process's CPU time for a request."""
    seconds, cpu = [], []
    for path in itertools.islice(itertools.cycle(asked), tries):
        started, worked = time.perf_counter(), time.process_time()
        answer = await client.get(path)
        seconds.append(time.perf_counter() - started)
        cpu.append(time.process_time() - worked)
        assert answer.status_code == 200, (path, answer.text[:200])
    return _percentile(seconds[1:], 95) * 1e3, _percentile(cpu[1:], 95) * 1e3


def an_envelope(number: int) -> str:
    """Return a text like an envelope of a node's statement, another for every number."""
    digest = Sha256.of(str(number).encode()).hex
    return (
        f'{{"payload":"{digest * 10}","signatures":[{{"keyid":"sha256:{digest}","n":{number}}}]}}'
    )


class DurableServer(Server):
    """A PostgreSQL server as it is run for real: what is committed is on the disk."""

    def start(self) -> None:
        options = ["-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=on"]
        self.process = subprocess.Popen(
            [str(_program("postgres")), "-D", str(self.folder / "db"), *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **_as_user(),
        )
        self._wait()


@contextmanager
def a_durable_server() -> Iterator[str]:
    """Start a server of its own; give the URL of an empty database; stop it again."""
    folder = Path(tempfile.mkdtemp(prefix="trifed-pg-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        server = DurableServer(folder)
        stack.callback(server.stop)
        server.make()
        server.start()
        yield server.url.replace("postgresql://", "postgresql+psycopg://")


def _append(store: Store, signer: Any, batch: list[str]) -> None:
    with store.writing() as transaction:
        append(transaction.log, batch)
        seal(transaction.log, signer=signer)


def _prove(store: Store, place: int) -> None:
    with store.reading() as transaction:
        prove_inclusion(transaction.log, place)


def _prove_growth(store: Store, old: int) -> None:
    with store.reading() as transaction:
        prove_growth(transaction.log, old=old, new=transaction.log.size())


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _percentile(values: list[float], which: int) -> float:
    return statistics.quantiles(values, n=100)[which - 1]


def _parts(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _nobody(_request: Request) -> Author:
    raise PermissionError("this application only reads")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="a small log, to see that it runs")
    parser.add_argument("--entries", type=int)
    parser.add_argument("--models", type=int)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    found = parser.parse_args()
    found.entries = found.entries or (20_000 if found.quick else 1_000_000)
    found.models = found.models or (200 if found.quick else 10_000)
    found.tries = 100 if found.quick else 500
    return found


if __name__ == "__main__":
    main()
