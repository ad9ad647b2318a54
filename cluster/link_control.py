"""Breaking the links between nodes, from any process of this machine.

    links = LinkControl(formatted)             # refused if the links of this cluster are direct
    links.cut(1, 2)                            # what node 1 says does not reach node 2; node 2 still reaches node 1
    links.isolate(3)                           # nothing between node 3 and the others, in either direction
    links.slow(1, 2, delay_ms=50, jitter_ms=20, bytes_per_s=1_000_000)
    links.reset(1, 2)                          # their connections break, and may be made again
    links.heal()                               # everything is as it was; heal(3): every way to and from node 3

Each call returns when it is in force. Clients of the cluster connect to nodes directly, so nothing here concerns them.
"""

import socket

import msgspec

from .formatting import ClusterRefused, Formatted
from .link_orders import Answer, Change, Heal, Order, Pair, Reset, Show, WayState

TIMEOUT = 5.0


class LinkControl:
    """See the module's essay. Raises ClusterRefused in one sentence if the proxy does not answer, or does not obey."""

    def __init__(self, formatted: Formatted) -> None:
        if formatted.links is None:
            raise ClusterRefused(
                f"the links between the nodes of the cluster in {formatted.directory} are direct: start it with "
                '`links = "proxied"` in [cluster] to cut or slow them.'
            )
        host, _, port = formatted.links.control.removeprefix("tcp://").rpartition(":")
        self._place = (host, int(port))
        self._nodes = [node.id for node in formatted.config.nodes]

    def isolate(self, node: int) -> None:
        """Hold everything between this node and the others, both ways; nobody is told."""
        self._order(Change(self._of(node), held=True))

    def cut(self, source: int, target: int) -> None:
        """Hold what `source` says to `target`."""
        self._order(Change([(source, target)], held=True))

    def slow(self, source: int, target: int, *, delay_ms: int = 0, jitter_ms: int = 0, bytes_per_s: int = 0) -> None:
        """Let everything that `source` says to `target` arrive so many milliseconds later, up to `jitter_ms` more, and
        not more than so many bytes a second (0: no limit).
        """
        self._order(Change([(source, target)], delay_ms=delay_ms, jitter_ms=jitter_ms, bytes_per_s=bytes_per_s))

    def reset(self, source: int, target: int) -> None:
        """Break every connection between these two nodes; what is on its way is lost."""
        self._order(Reset([(source, target)]))

    def heal(self, *nodes: int) -> None:
        """Undo all of it, on every way to and from these nodes; without any, everywhere. What was held flows on."""
        self._order(Heal([way for node in nodes or self._nodes for way in self._of(node)]))

    def ways(self) -> list[WayState]:
        """Every ordered pair of nodes, and what is done to what the first says to the second."""
        return self._order(Show()).ways

    def _of(self, node: int) -> list[Pair]:
        """Every way to and from a node."""
        return [way for other in self._nodes if other != node for way in ((node, other), (other, node))]

    def _order(self, order: Order) -> Answer:
        try:
            with socket.create_connection(self._place, TIMEOUT) as connection:
                connection.sendall(msgspec.json.encode(order) + b"\n")
                with connection.makefile("rb") as answers:
                    line = answers.readline()
        except OSError as error:
            raise ClusterRefused(
                f"the proxy of the links does not answer at {self._place[0]}:{self._place[1]} "
                f"({error.strerror or 'timed out'}): `barnabas restart` of any node starts it again."
            ) from None
        answer = msgspec.json.decode(line, type=Answer) if line else Answer("the proxy of the links has ended")
        if answer.error:
            raise ClusterRefused(f"{answer.error}.")
        return answer
