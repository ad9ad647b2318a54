"""A cluster to use and to break, for programs and tests.

    with Cluster(brokers=3) as cluster:
        cluster.create_topic("orders", partitions=6)
        cluster.kill(cluster.leader("orders", 0))     # kill -9
        cluster.restart(1)

Each node is a process, started by a launcher that is a process too, so this one may hold clients and threads. Without
a data directory of its own a cluster lives in a temporary one and leaves nothing behind, however the program ends.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from ..client import Admin, Consumer, Producer
from ..client.errors import BarnabasError
from .config import ClusterConfig, load, local
from .formatting import ClusterRefused, Formatted
from .processes import NodeProcess, forget, kill, living, recorded, terminate
from .supervisor import STOP_PATIENCE, RemoteLauncher, can_elect, prepare, start


class Cluster:
    """See the module's essay. Nodes are named by their ids, 1 to `brokers`. One thread at a time; clients are free."""

    def __init__(
        self,
        brokers: int = 3,
        *,
        config: ClusterConfig | str | PathLike[str] | None = None,
        data: str | PathLike[str] | None = None,
        isolation: Literal["process"] = "process",
    ) -> None:
        if isolation != "process":
            raise ValueError(f"isolation is 'process', not {isolation!r}")
        if config is None:
            config = local(brokers)
        elif not isinstance(config, ClusterConfig):
            config = load(config)
        self._config = config
        self._data = None if data is None else Path(data)
        self._formatted: Formatted | None = None
        self._launcher: RemoteLauncher | None = None
        self._admin: Admin | None = None

    # --- Its life ---

    def start(self) -> Self:
        """Start every node; returns when all brokers serve. Raises ClusterRefused in one sentence."""
        if self._launcher is not None:
            raise ClusterRefused("this cluster is started already: stop it first.")
        temporary = self._data is None
        directory = Path(tempfile.mkdtemp(prefix="barnabas-")) if self._data is None else self._data
        try:
            self._formatted = prepare(self._config.with_data(str(directory)))
            self._launcher = RemoteLauncher(self._formatted.directory, temporary=temporary)
            start(self._formatted, self._launcher)
        except BaseException:
            self._end(temporary, directory)
            raise
        return self

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """End every node: in good order if the data is kept, at once if it is temporary. A second call does nothing."""
        if self._formatted is None:
            return
        temporary = self._data is None
        if not temporary:
            terminate(living(self.directory), patience, can_elect(self.formatted))
        self._end(temporary, self.directory)

    def _end(self, temporary: bool, directory: Path) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._launcher is not None:
            self._launcher.close()
            self._launcher = None
        self._formatted = None
        if temporary:
            shutil.rmtree(directory, ignore_errors=True)  # the launcher's work, unless it was killed
        else:
            forget(directory)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.stop()

    # --- Where it is ---

    @property
    def formatted(self) -> Formatted:
        """The configuration as it runs, with its ports and ids."""
        if self._formatted is None:
            raise ClusterRefused("this cluster is not running: start it, or use it in a `with` statement.")
        return self._formatted

    @property
    def bootstrap(self) -> str:
        """Where clients begin: "127.0.0.1:PORT,..."."""
        return self.formatted.bootstrap

    @property
    def directory(self) -> Path:
        """The data directory, with one below it for each node."""
        return self.formatted.directory

    @property
    def nodes(self) -> list[int]:
        """All node ids."""
        return [node.id for node in self.formatted.config.nodes]

    # --- Using it ---

    def admin(self) -> Admin:
        """A new admin client; close it."""
        return Admin(self.bootstrap)

    def producer(self, *, acks: int | str = "all", linger_ms: int = 5, idempotent: bool = True) -> Producer:
        """A new producer; close it. For other options make a `Producer(cluster.bootstrap, ...)`."""
        return Producer(self.bootstrap, acks=acks, linger_ms=linger_ms, idempotent=idempotent)

    def consumer(self, topics: str | Sequence[str], *, start: str | int = "earliest") -> Consumer:
        """A new consumer of these topics; close it. For other options make a `Consumer(cluster.bootstrap, ...)`."""
        return Consumer(self.bootstrap, topics, start=start)

    def create_topic(
        self, name: str, partitions: int = -1, replication: int = -1, configs: Mapping[str, str] | None = None
    ) -> None:
        """Create a topic; returns once every partition has a leader. -1 takes the cluster's default."""
        self._asking().create_topic(name, partitions, replication, configs)

    def delete_topic(self, name: str) -> None:
        """Delete a topic and all its records."""
        self._asking().delete_topic(name)

    def leader(self, topic: str, partition: int) -> int:
        """The node that leads a partition now; -1 if nobody does."""
        return self.leaders(topic)[partition]

    def leaders(self, topic: str) -> list[int]:
        """The node that leads each partition, in their order; -1 where nobody does."""
        [picture] = self._asking().describe_topics([topic])
        return [found.leader for found in sorted(picture.partitions, key=lambda partition: partition.index)]

    def isr(self, topic: str, partition: int) -> list[int]:
        """The nodes that are in sync for a partition."""
        [picture] = self._asking().describe_topics([topic])
        return next((sorted(found.isr) for found in picture.partitions if found.index == partition), [])

    def controller(self) -> int:
        """The node whose controller is active; -1 if nobody knows of one."""
        return self._asking().describe_cluster().controller

    def await_isr(self, topic: str, timeout: float = 30.0) -> float:
        """Wait until every replica of every partition is in sync; how many seconds that took."""
        began = time.monotonic()
        while True:
            try:
                [picture] = self._asking().describe_topics([topic])
            except BarnabasError:
                if time.monotonic() - began > timeout:
                    raise
            else:
                if all(len(partition.isr) == len(partition.replicas) for partition in picture.partitions):
                    return time.monotonic() - began
                if time.monotonic() - began > timeout:
                    raise ClusterRefused(f"the in-sync replicas of {topic} are not whole after {timeout:g} s.")
            time.sleep(0.02)  # metadata has no question that waits for this

    # --- Breaking it ---

    def process(self, node: int) -> NodeProcess:
        """The process of a node that lives."""
        for found in recorded(self.directory):
            if found.node == node and found.alive():
                return found
        raise ClusterRefused(f"node {node} is not running: start it again with restart({node}).")

    def kill(self, node: int) -> None:
        """kill -9. The process is gone on return."""
        kill([self.process(node)])

    def pause(self, node: int) -> None:
        """SIGSTOP: the node does nothing, but its connections stay."""
        self.process(node).signal(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """SIGCONT."""
        self.process(node).signal(signal.SIGCONT)

    def restart(self, *nodes: int) -> None:
        """Start nodes again that were killed, on the same ports and data; returns when their brokers serve."""
        if self._launcher is None:
            raise ClusterRefused("this cluster is not running: start it, or use it in a `with` statement.")
        terminate([found for found in living(self.directory) if found.node in nodes], STOP_PATIENCE)
        start(self.formatted, self._launcher, nodes)

    def _asking(self) -> Admin:
        if self._admin is None:
            self._admin = self.admin()
        return self._admin
