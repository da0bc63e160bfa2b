"""The network between one hospital and the centre, in the hands of the test.

A TCP relay on loopback: it can be cut (connections reset, new ones refused), healed,
slowed to so many bytes a second, and it counts what passed. It sees TLS only.
"""

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import Self

_PIECE = 16_384


@dataclass
class Proxy:
    """A relay to `port` of this machine; use as a context manager, its own port is `at`."""

    port: int
    at: int = 0
    bytes_per_s: float | None = None
    is_cut: bool = False
    passed: int = 0
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, repr=False)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """End every connection and take no new one."""
        self.is_cut = True
        self._loop.call_soon_threadsafe(self._reset)

    def heal(self) -> None:
        """Take connections again."""
        self.is_cut = False

    def slow(self, *, bits_per_s: float) -> None:
        """Let so much pass in a second, in each direction of each connection."""
        self.bytes_per_s = bits_per_s / 8

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run(ready))

    async def _run(self, ready: threading.Event) -> None:
        self._over = asyncio.Event()
        server = await asyncio.start_server(self._relay, "127.0.0.1", self.at)
        self.at = server.sockets[0].getsockname()[1]
        ready.set()
        await self._over.wait()
        server.close()
        self._reset()
        tasks = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _reset(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, far_writer}
        self._writers |= both
        ways = [
            asyncio.ensure_future(self._pump(reader, far_writer)),
            asyncio.ensure_future(self._pump(far_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for one in both:
                one.transport.abort()
            self._writers -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                started = time.monotonic()
                writer.write(piece)
                await writer.drain()
                self.passed += len(piece)
                if self.bytes_per_s:
                    due = len(piece) / self.bytes_per_s
                    await asyncio.sleep(max(0.0, due - (time.monotonic() - started)))
