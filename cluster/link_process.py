"""The proxy between the nodes, as a process of its own or as a thread, and how it takes its orders.

It listens for orders (`link_orders`) at a port of this machine alone. What is no order ends the connection, so nothing
that speaks another protocol gets further than its first line. Faults last as long as the proxy: one that is started
again begins with links that are whole.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any

import msgspec

from ..transport.process import loop_factory
from .formatting import LINKS_LOG, ClusterRefused, Formatted
from .launcher import Report
from .link_orders import Answer, Order
from .link_proxy import Proxy
from .links import LINKS
from .node_process import Telling, stamped

MOST_OF_A_LINE = 1 << 20

_decode = msgspec.json.Decoder(Order).decode


async def _serve(
    formatted: Formatted, over: asyncio.Event, listening: Callable[[], None], log: Callable[[str], None]
) -> None:
    """Be the proxy until it is over. Raises OSError if it cannot take orders where it should."""
    assert formatted.links is not None, "these links are direct"
    proxy = Proxy(formatted.config, formatted.links, log)
    host, _, port = formatted.links.control.removeprefix("tcp://").rpartition(":")
    server = await asyncio.start_server(partial(_take_orders, proxy), host, int(port), limit=MOST_OF_A_LINE)
    async with server:
        proxy.start()
        listening()
        await over.wait()
        proxy.close()
        await asyncio.sleep(0)  # transports close in the next turn


async def _take_orders(proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while line := await reader.readline():
            try:
                answer = proxy.obey(_decode(line))
            except msgspec.MsgspecError as error:
                answer = Answer(f"this is no order: {error}")
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
            if answer.error:
                break
    except (ConnectionError, ValueError):  # it went away, or its line is too long
        pass
    finally:
        writer.close()


def run_links(formatted: Formatted, channel: Telling, log: Callable[[str], None]) -> int:
    """Be the proxy until SIGTERM; its exit code. Called once, in a process of its own."""

    async def main() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
        await _serve(formatted, over, lambda: channel.tell(Report("listening", LINKS)), log)

    return _run(main, channel, log)


def _run(main: Callable[[], Coroutine[Any, Any, None]], channel: Telling, log: Callable[[str], None]) -> int:
    log("the proxy of the links starts")
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(main())
    except OSError as error:
        sentence = (
            f"the proxy of the links cannot start: {error.strerror or error}: stop what listens there, or choose "
            "another data directory."
        )
        log(sentence)
        channel.tell(Report("failed", LINKS, sentence))
        return 1
    log("the proxy of the links ends")
    return 0


class LinkThread:
    """The proxy as a thread of this process. It listens once this is made; or raises ClusterRefused."""

    def __init__(self, formatted: Formatted) -> None:
        self._formatted = formatted
        self._told: SimpleQueue[Report] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._live, name="barnabas links", daemon=True)
        self._thread.start()
        told = self._told.get()
        if told.kind == "failed":
            self._thread.join()
            raise ClusterRefused(told.text)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def tell(self, report: Report) -> None:
        self._told.put(report)

    def close(self) -> None:
        """It has ended on return."""
        if self._loop is not None and self._over is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _live(self) -> None:
        with (self._formatted.directory / LINKS_LOG).open("a", encoding="utf-8", buffering=1) as log:

            def say(sentence: str) -> None:
                log.write(stamped(sentence))

            async def main() -> None:
                self._over = asyncio.Event()
                self._loop = asyncio.get_running_loop()
                await _serve(self._formatted, self._over, lambda: self.tell(Report("listening", LINKS)), say)

            _run(main, self, say)
