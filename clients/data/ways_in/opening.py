"""Open a configured source as an `Archive`, with the receiver that a C-MOVE needs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from clients.data.ways_in.archive import Archive
from clients.data.ways_in.dicomweb import WebArchive
from clients.data.ways_in.inbox import Inbox
from clients.data.ways_in.pacs import Arrivals, PacsArchive, Via, echo
from clients.data.ways_in.receiver import Receiver
from clients.data.ways_in.sources import (
    PacsSource,
    Sources,
    WebSource,
    pacs_of,
    receiver_of,
    web_of,
)
from federation.errors.sources import FetchQueryError, ReceiverRunsError
from federation.wording import Text


@contextmanager
def opened(
    sources: Sources, name: str, *, home: Path, inbox: Inbox, via: Via | None = None
) -> Iterator[Archive]:
    """Open the source `name`; by C-GET or WADO-RS unless `via` says otherwise.

    Raises
    ------
    SourceUnknownError
        If there is none of that name.
    FetchQueryError
        If that kind of source cannot be fetched from in that way.
    NothingToReceiveError, PortTakenError
        If a C-MOVE has nowhere to go.
    """
    source = sources.named(name)
    if isinstance(source, WebSource):
        if via not in (None, Via.WADO):
            raise FetchQueryError(
                why=Text(
                    en="a DICOMweb source is fetched from by wado", zh="DICOMweb 來源須以 wado 擷取"
                )
            )
        with WebArchive(web_of(source, home), inbox) as archive:
            yield archive
        return
    if via is Via.WADO:
        raise FetchQueryError(
            why=Text(en="a PACS is fetched from by get or move", zh="PACS 須以 get 或 move 擷取")
        )
    pacs = pacs_of(source, home)
    if via is not Via.MOVE:
        with PacsArchive(pacs, inbox) as found:
            yield found
        return
    with _listening(sources, source, home=home, inbox=inbox) as arrivals:
        destination = sources.receiving().ae_title
        with PacsArchive(pacs, inbox, destination=destination, arrivals=arrivals) as found:
            yield found


def check(source: PacsSource | WebSource, *, home: Path, inbox: Inbox) -> None:
    """Ask a source for a sign of life: C-ECHO, or a search for one study.

    Raises
    ------
    PlatformError
        What is wrong with it.
    """
    if isinstance(source, PacsSource):
        echo(pacs_of(source, home))
        return
    with WebArchive(web_of(source, home), inbox) as archive:
        archive.probe()


@contextmanager
def _listening(
    sources: Sources, source: PacsSource, *, home: Path, inbox: Inbox
) -> Iterator[Arrivals | None]:
    """Receive for the time of a C-MOVE; yield None where another process does already."""
    settings = receiver_of(sources.receiving(), home, also=frozenset({source.ae_title}))
    arrivals = Arrivals()
    with ExitStack() as held:
        try:
            held.enter_context(Receiver(inbox, settings, received=arrivals.tell))
        except ReceiverRunsError:
            arrivals = None  # type: ignore[assignment]
        yield arrivals
