"""Who is watched for dying: the monitors of the peers' connections, and the knocking that follows a disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import zmq

from .monitor import Monitor, is_gone
from .peers import Peer


class Watcher:
    """The watched peers of one node.

    `disconnected` is told that a connection has dropped, at that moment; what it returns is called if its peer then
    proves gone. `back` is told when it is there again. Nothing is said about connections that we close ourselves.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: zmq.Context[zmq.Socket[bytes]],
        disconnected: Callable[[str], Callable[[], None]],
        back: Callable[[str], None],
    ) -> None:
        self._loop = loop
        self._context = context
        self._disconnected = disconnected
        self._back = back
        self._probes: set[asyncio.Task[None]] = set()

    def watch(self, peer: Peer) -> None:
        """Begin to watch. A second time does nothing. Raises zmq.ZMQError if there are too many sockets."""
        if peer.monitor is not None:
            return
        peer.monitor = Monitor(self._context, peer.socket, zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        self._loop.add_reader(peer.monitor.descriptor, self._read, peer)
        self._read(peer)

    def unwatch(self, peer: Peer) -> None:
        """End it; before the peer's socket closes, at the latest."""
        if peer.monitor is not None:
            self._loop.remove_reader(peer.monitor.descriptor)
            peer.monitor.close()
            peer.monitor = None

    def close(self) -> None:
        """Stop knocking."""
        for task in self._probes:
            task.cancel()

    def _read(self, peer: Peer) -> None:
        if peer.monitor is None:
            return
        for event in peer.monitor.read():
            peer.connected = event.event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            if peer.connected and peer.dropped:
                peer.dropped = False
                self._back(peer.endpoint)
            elif not peer.connected:
                peer.dropped = True
            if not peer.connected and not peer.probing:
                peer.probing = True
                task = self._loop.create_task(self._probe(peer, self._disconnected(peer.endpoint)))
                self._probes.add(task)
                task.add_done_callback(self._probed)

    async def _probe(self, peer: Peer, gone: Callable[[], None]) -> None:
        proved = await is_gone(peer.place, lambda: not peer.connected and peer.monitor is not None)
        peer.probing = False
        if proved:
            gone()

    def _probed(self, task: asyncio.Task[None]) -> None:
        self._probes.discard(task)
        if not task.cancelled():
            task.result()  # a bug is raised here, where the loop's owner hears of it
