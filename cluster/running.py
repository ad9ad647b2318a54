"""A cluster to use and to break, for programs and tests.

    with Cluster(brokers=3) as cluster:
        cluster.create_topic("orders", partitions=6)
        cluster.kill(cluster.leader("orders", 0))     # kill -9
        cluster.restart(1)

With `isolation="process"` each node is a process, started by a launcher that is a process too, so this one may hold
clients and threads. With `isolation="thread"` all nodes live in this process: that starts faster; but a node shares the
interpreter lock with the program, and dies with it. Without a data directory of its own a cluster lives in a temporary
one and leaves nothing behind (only threads whose program is killed with -9 leave that directory).

With `links="proxied"` nodes speak to each other through a proxy, which can cut off, slow and break what they say:
`isolate`, `cut`, `slow`, `reset`, `heal`. Without it threads can be cut off from each other, and processes cannot.

A cluster for a whole test module, in a `conftest.py` or beside the tests:

    @pytest.fixture(scope="module")
    def cluster() -> Iterator[Cluster]:
        with Cluster(brokers=3, isolation="thread") as running:
            yield running

    def test_an_order_survives_its_leader(cluster: Cluster) -> None:
        cluster.create_topic("orders")
        with cluster.producer() as producer:
            producer.send("orders", b"one").result(10)
            leader = cluster.leader("orders", 0)
            cluster.kill(leader)
            producer.send("orders", b"two").result(10)     # acknowledged by the new leader
        cluster.restart(leader)                            # the next test finds three brokers again
        cluster.await_isr("orders")
        with cluster.consumer("orders") as consumer:
            assert [record.value for record in consumer.poll(10)] == [b"one", b"two"]
"""

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

from msgspec.structs import replace

from ..client import Admin, Consumer, Producer
from ..client.errors import BarnabasError
from ..client.runtime import Guard
from .config import ClusterConfig, load, local
from .formatting import ClusterRefused, Formatted
from .hosting import Hosting, NotPossible, Processes, Threads
from .processes import NodeProcess
from .settings import LinkKind
from .supervisor import STOP_PATIENCE, known_node, prepare

Isolation = Literal["process", "thread"]


class Cluster:
    """See the module's essay. Nodes are named by their ids, 1 to `brokers`. One thread at a time; clients are free."""

    def __init__(
        self,
        brokers: int = 3,
        *,
        config: ClusterConfig | str | PathLike[str] | None = None,
        data: str | PathLike[str] | None = None,
        isolation: Isolation = "process",
        links: LinkKind | None = None,
    ) -> None:
        """`config` is a cluster file or what one says, instead of `brokers`; `links` overrides its `links`."""
        if isolation not in get_args(Isolation):
            raise ValueError(f"isolation is 'process' or 'thread', not {isolation!r}")
        if links is not None and links not in get_args(LinkKind):
            raise ValueError(f"links are 'direct' or 'proxied', not {links!r}")
        if config is None:
            config = local(brokers)
        elif not isinstance(config, ClusterConfig):
            config = load(config)
        if links is not None:
            config = replace(config, cluster=replace(config.cluster, links=links))
        self._config = config
        self._data = None if data is None else Path(data)
        self._isolation = isolation
        self._guard: Guard | None = None  # None: not started
        self._formatted: Formatted | None = None
        self._hosting: Hosting | None = None
        self._admin: Admin | None = None

    # --- Its life ---

    def start(self) -> Self:
        """Start every node; returns when all brokers serve. Raises ClusterRefused in one sentence."""
        if self._hosting is not None:
            raise ClusterRefused("this cluster is started already: stop it first.")
        self._guard = Guard("cluster")
        temporary = self._data is None
        directory = Path(tempfile.mkdtemp(prefix="barnabas-")) if self._data is None else self._data
        try:
            self._formatted = prepare(self._config.with_data(str(directory)))
            hosting = Processes if self._isolation == "process" else Threads
            self._hosting = hosting(self._formatted, temporary=temporary)
            self._hosting.start()
        except BaseException:
            self._end(temporary, directory)
            raise
        return self

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """End every node: in good order if the data is kept, at once if it is temporary. A second call does nothing.

        Nor does it in a process that was forked from the one that started the cluster: it goes on for that one.
        """
        if self._hosting is None or (self._guard is not None and self._guard.forked):
            return
        temporary = self._data is None
        if not temporary:
            self._hosting.stop(patience)
        self._end(temporary, self.directory)

    def _end(self, temporary: bool, directory: Path) -> None:
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._hosting is not None:
            self._hosting.close()
            self._hosting = None
        self._formatted = None
        if temporary:
            shutil.rmtree(directory, ignore_errors=True)  # the launcher's work, unless it was killed

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
    def kafka(self) -> str:
        """Where any Kafka client begins: "127.0.0.1:PORT,..."."""
        if not self.formatted.kafka:
            raise NotPossible(
                'no node of this cluster serves Kafka clients: give one an address instead of kafka = "none"'
            )
        return self.formatted.kafka

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

    def consumer(self, topics: str | Sequence[str] | None = None, **options: Any) -> Consumer:  # noqa: ANN401  its own
        """A new consumer of these topics; close it. `Consumer` tells the options: `group=`, `start=` and so on."""
        return Consumer(self.bootstrap, topics, **options)

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
        """The process of a node that lives. Not with threads."""
        return self._hosts(node).process(node)

    def alive(self) -> list[int]:
        """The nodes that live, paused ones too."""
        return self._hosts().alive()

    def kill(self, node: int) -> None:
        """kill -9. The node is gone on return."""
        self._hosts(node).kill(node)

    def pause(self, node: int) -> None:
        """SIGSTOP: the node does nothing, but its connections stay."""
        self._hosts(node).pause(node)

    def resume(self, node: int) -> None:
        """SIGCONT."""
        self._hosts(node).resume(node)

    def restart(self, *nodes: int) -> None:
        """Start nodes again on the same ports and data, after stopping those that run; returns when they serve."""
        self._hosts(*nodes).restart(nodes)

    def isolate(self, node: int) -> None:
        """Let nothing pass between this node and the others, both ways; clients still reach it.

        Raises NotPossible if nodes are processes and links are direct.
        """
        self._hosts(node).links.isolate(node)

    def cut(self, source: int, target: int) -> None:
        """Let nothing that `source` says reach `target`; the other way stays open. NotPossible as in `isolate`."""
        self._hosts(source, target).links.cut(source, target)

    def slow(self, source: int, target: int, *, delay_ms: int = 0, jitter_ms: int = 0, bytes_per_s: int = 0) -> None:
        """What `source` says reaches `target` so many milliseconds later, each piece up to `jitter_ms` more, and no
        more than so many bytes a second (0: no limit). Raises NotPossible if links are direct.
        """
        self._hosts(source, target).links.slow(
            source, target, delay_ms=delay_ms, jitter_ms=jitter_ms, bytes_per_s=bytes_per_s
        )

    def reset(self, source: int, target: int) -> None:
        """Break all connections between two nodes; they make new ones. Raises NotPossible if links are direct."""
        self._hosts(source, target).links.reset(source, target)

    def heal(self, *nodes: int) -> None:
        """Undo `isolate`, `cut` and `slow` on every way to and from these nodes; without any, everywhere."""
        self._hosts(*nodes).links.heal(*nodes)

    def _hosts(self, *nodes: int) -> Hosting:
        for node in nodes:
            known_node(self.formatted, node)
        if self._hosting is None or self._guard is None:
            raise ClusterRefused("this cluster is not running: start it, or use it in a `with` statement.")
        self._guard.check_process()
        return self._hosting

    def _asking(self) -> Admin:
        if self._admin is None:
            self._admin = self.admin()
        return self._admin
