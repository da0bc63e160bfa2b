"""What Prefect's pages show of a study, and what people click on them.

Nothing of a study depends on it: a page that cannot be written is not written,
and a state that cannot be read is what it was before.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from uuid import UUID

import httpx
from prefect import State, runtime
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException
from prefect.states import Crashed

from federation.domain.ids import StudyId
from federation.domain.queue import Wish
from federation.flows.tables import end_page, metric_page, progress_words, round_table
from federation.operations.campaign import SiteResult
from federation.operations.progress import EventKind, Progress

log = logging.getLogger(__name__)

LOOK_S = 2.0
"""How often a flow run's state is read, and its progress written, at most."""

_UNANSWERED = (httpx.HTTPError, PrefectException, RuntimeError, OSError)
_LEFT_OPEN = [StateType.RUNNING, StateType.PENDING, StateType.PAUSED, StateType.CANCELLING]
_WISHES = {
    StateType.PAUSED: Wish.PAUSE,
    StateType.CANCELLING: Wish.STOP,
    StateType.CANCELLED: Wish.STOP,
}


class PrefectSide:
    """One flow run on Prefect's pages. Safe to use from several threads."""

    def __init__(self, client: Callable[[], SyncPrefectClient] | None = None) -> None:
        self._make = client or _client
        self._client: SyncPrefectClient | None = None
        self._using = threading.RLock()
        self._flow_run: UUID | None = None
        self._study = ""
        self._wish, self._looked = Wish.GO_ON, 0.0
        self._progress: UUID | None = None
        self._percent: dict[str, int] = {}
        self._done, self._rounds, self._wrote = 0, 1, 0.0
        self._rows: list[dict[str, object]] = []

    def reconcile(self, study: StudyId, *, centre: str) -> None:
        """Close the flow runs of a study that killed processes left open: they are Crashed.

        Only this centre's: several may share a Prefect server.

        Raises
        ------
        httpx.HTTPError, PrefectException
            If Prefect does not answer.
        """
        wanted = FlowRunFilter(
            tags=FlowRunFilterTags(all_=[f"study:{study}", f"centre:{centre}"]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_LEFT_OPEN)),
        )
        with self._using:
            client = self._connected()
            for found in client.read_flow_runs(flow_run_filter=wanted):
                crashed: State = Crashed(message="Its process ended; the next flow run went on.")
                client.set_flow_run_state(found.id, crashed, force=True)

    def begin(self, study: str) -> None:
        """Take the flow run that this code runs in."""
        self._flow_run, self._study = UUID(str(runtime.flow_run.id)), study

    def wish(self) -> Wish:
        """Return what somebody clicked: pause, cancel, or nothing."""
        if self._flow_run is None or time.monotonic() - self._looked < LOOK_S:
            return self._wish
        self._looked = time.monotonic()
        with self._unless_unanswered() as client:
            state = client.read_flow_run(self._flow_run).state
            self._wish = _WISHES.get(state.type, Wish.GO_ON) if state else Wish.GO_ON
        return self._wish

    def tell(self, event: Progress) -> None:
        """Show how far the round in flight is."""
        if event.kind is EventKind.ROUND_STARTED:
            self._percent.clear()
        elif event.kind is EventKind.SITE_PROGRESS and event.site is not None:
            self._percent[event.site] = int(str(event.values.get("percent", 0)))
            if time.monotonic() - self._wrote >= LOOK_S:
                self._show_progress()

    def expect(self, rounds: int) -> None:
        """Note how many rounds there will be."""
        self._rounds = rounds

    def show_round(self, record: dict[str, object]) -> None:
        """Show a finished round: who did what, and what the rounds came to so far."""
        number = int(str(record.get("round", 0)))
        self._done = number
        self._percent.clear()
        self._rows.append(record)
        key = f"{self._study}-round-{number:02d}"
        self._put(
            "table", key, json.dumps(round_table(record)), f"Round {number} of {self._rounds}"
        )
        self._put("markdown", f"{self._study}-rounds", metric_page(self._rows), "Loss by round")
        self._show_progress()

    def show_end(self, results: Sequence[SiteResult], entry: dict[str, str]) -> None:
        """Show the registry entry and the evaluation at the sites."""
        page = end_page(results, entry)
        self._put("markdown", f"{self._study}-entry", page, "Registry entry")

    def close(self) -> None:
        """Let go of the connection."""
        with self._using:
            client, self._client = self._client, None
            if client is not None:
                client.__exit__(None, None, None)

    def _show_progress(self) -> None:
        self._wrote = time.monotonic()
        part = sum(self._percent.values()) / max(len(self._percent), 1)
        percent = min(100.0, 100 * (self._done + part / 100) / self._rounds)
        said = progress_words(self._done, self._rounds, self._percent)
        if self._progress is None:
            self._progress = self._put("progress", f"{self._study}-progress", percent, said)
            return
        with self._unless_unanswered() as client:
            client.update_artifact(self._progress, ArtifactUpdate(data=percent, description=said))

    def _put(self, kind: str, key: str, data: str | float, description: str) -> UUID | None:
        artifact = ArtifactCreate(
            key=key, type=kind, description=description, data=data, flow_run_id=self._flow_run
        )
        with self._unless_unanswered() as client:
            return client.create_artifact(artifact).id
        return None

    @contextmanager
    def _unless_unanswered(self) -> Iterator[SyncPrefectClient]:
        """Give the connection; drop what was to be shown when Prefect does not answer."""
        with self._using, suppress(*_UNANSWERED):
            yield self._connected()

    def _connected(self) -> SyncPrefectClient:
        if self._client is None:
            client = self._make()
            client.__enter__()
            self._client = client
        return self._client


def _client() -> SyncPrefectClient:
    return get_client(sync_client=True)
