"""Where the nodes of a `Cluster` live, and what can be done to them there: as processes, or as threads.

Both start from a formatted cluster and stop at their ports and data, so a restart finds everything in its place. What
one of them cannot do it refuses with `NotPossible`, which says what can.
"""

import shutil
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from ..client.errors import BarnabasError
from .cuts import Cuts
from .formatting import ClusterRefused, Formatted
from .link_control import LinkControl
from .processes import NodeProcess, forget, kill, living, recorded, terminate
from .settings import ClusterConfig
from .supervisor import STOP_PATIENCE, RemoteLauncher, can_elect, enough, start, start_links


class NotPossible(BarnabasError, NotImplementedError):
    """This cluster cannot do that; the message says why, and what can."""


class Links(Protocol):
    """What can be done to what nodes say to each other; see `link_control`."""

    def isolate(self, node: int) -> None: ...

    def cut(self, source: int, target: int) -> None: ...

    def slow(
        self, source: int, target: int, *, delay_ms: int = 0, jitter_ms: int = 0, bytes_per_s: int = 0
    ) -> None: ...

    def reset(self, source: int, target: int) -> None: ...

    def heal(self, *nodes: int) -> None: ...


class _LostLinks:
    """Direct links between threads: what is cut is lost on arrival, see `cuts`."""

    def __init__(self, config: ClusterConfig, cuts: Cuts) -> None:
        self._addresses = {node.id: node.address for node in config.nodes}
        self._cuts = cuts

    def isolate(self, node: int) -> None:
        self._cuts.isolate(self._addresses[node], self._addresses.values())

    def cut(self, source: int, target: int) -> None:
        self._cuts.cut(self._addresses[source], self._addresses[target])

    def slow(self, source: int, target: int, *, delay_ms: int = 0, jitter_ms: int = 0, bytes_per_s: int = 0) -> None:
        raise NotPossible(f'node {source} speaks to node {target} directly: use links="proxied" to slow it')

    def reset(self, source: int, target: int) -> None:
        raise NotPossible(f'node {source} speaks to node {target} directly: use links="proxied" to break connections')

    def heal(self, *nodes: int) -> None:
        for node in nodes or self._addresses:
            self._cuts.heal(self._addresses[node])


class Hosting(Protocol):
    """See the module's essay. `close` is the end: no node lives on return."""

    def start(self, nodes: Sequence[int] = ()) -> None:
        """Start these nodes (none named: all); returns when their brokers serve."""
        ...

    def stop(self, patience: float) -> None:
        """End all nodes in good order."""
        ...

    def close(self) -> None: ...

    def alive(self) -> list[int]: ...

    def process(self, node: int) -> NodeProcess: ...

    def kill(self, node: int) -> None: ...

    def pause(self, node: int) -> None: ...

    def resume(self, node: int) -> None: ...

    def restart(self, nodes: Sequence[int]) -> None: ...

    @property
    def links(self) -> Links:
        """Raises NotPossible where nothing can be done to them."""
        ...


class Processes:
    """Each node is a process, forked by a launcher that is a process too."""

    def __init__(self, formatted: Formatted, *, temporary: bool) -> None:
        self._formatted = formatted
        self._temporary = temporary
        self._launcher = RemoteLauncher(formatted.directory, temporary=temporary)

    def start(self, nodes: Sequence[int] = ()) -> None:
        start_links(self._formatted, self._launcher)
        start(self._formatted, self._launcher, nodes)

    def stop(self, patience: float) -> None:
        terminate(living(self._directory), patience, can_elect(self._formatted))

    def close(self) -> None:
        self._launcher.close()
        if not self._temporary:
            forget(self._directory)

    def alive(self) -> list[int]:
        return [found.node for found in living(self._directory)]

    def process(self, node: int) -> NodeProcess:
        for found in recorded(self._directory):
            if found.node == node and found.alive():
                return found
        raise ClusterRefused(f"node {node} is not running: start it again with restart({node}).")

    def kill(self, node: int) -> None:
        kill([self.process(node)])

    def pause(self, node: int) -> None:
        self.process(node).signal(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        self.process(node).signal(signal.SIGCONT)

    def restart(self, nodes: Sequence[int]) -> None:
        terminate([found for found in living(self._directory) if found.node in nodes], STOP_PATIENCE)
        self.start(nodes)

    @property
    def links(self) -> Links:
        if self._formatted.links is None:
            raise NotPossible(
                'these nodes are processes that speak to each other directly: use links="proxied" to cut or slow what '
                "they say, or pause one"
            )
        return LinkControl(self._formatted)

    @property
    def _directory(self) -> Path:
        return self._formatted.directory


class Threads:
    """Each node is a thread of this process."""

    def __init__(self, formatted: Formatted, *, temporary: bool) -> None:
        self._formatted = formatted
        self._temporary = temporary
        from .embedded import Embedded  # here: who has processes need not load what nodes are made of

        self._embedded = Embedded(formatted)

    def start(self, nodes: Sequence[int] = ()) -> None:
        self._embedded.start_links()
        try:
            start(self._formatted, self._embedded, nodes)
        except BaseException:
            for node in nodes:
                if node in self.alive():
                    self.kill(node)
            raise

    def stop(self, patience: float) -> None:
        voters = [node.id for node in self._formatted.config.controllers]
        self._embedded.end(self.alive(), patience, lambda left: enough(left, voters))

    def close(self) -> None:
        self._embedded.kill_all()
        if self._temporary:
            shutil.rmtree(self._formatted.directory, ignore_errors=True)

    def alive(self) -> list[int]:
        return self._embedded.alive()

    def process(self, node: int) -> NodeProcess:
        raise NotPossible(f'node {node} is a thread of this process: use isolation="process" for one of its own')

    def kill(self, node: int) -> None:
        self._embedded.life(node).kill()

    def pause(self, node: int) -> None:
        self._embedded.life(node).pause()

    def resume(self, node: int) -> None:
        self._embedded.life(node).resume()

    def restart(self, nodes: Sequence[int]) -> None:
        self._embedded.end(nodes, STOP_PATIENCE)
        self.start(nodes)

    @property
    def links(self) -> Links:
        if self._formatted.links is None:
            return _LostLinks(self._formatted.config, self._embedded.cuts)
        return LinkControl(self._formatted)
