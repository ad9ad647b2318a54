"""What a cluster file says, as frozen structs: one per table, every field with its unit and its default.

These are values, already checked: `config.parse` reads and judges the file. A `Meta` description is what a refusal
says was expected.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct
from msgspec.structs import replace

from .addresses import Endpoint, free_ports, parse_address

MIB = 1024 * 1024
DAY_MS = 24 * 60 * 60 * 1000
FREE_PORT = "tcp://127.0.0.1:0"
FREE_KAFKA_PORT = "127.0.0.1:0"
KAFKA_PORT = 9092  # where Kafka's clients look, and brokers listen that other machines reach
NO_DOOR = "none"  # instead of an address: Kafka's clients are not served

Durability = Literal["fsync", "os"]
Actor = Literal["controller", "broker"]
Restart = Literal["never", "always"]
LinkKind = Literal["direct", "proxied"]
Faults = Literal["refused", "allowed"]

Flag = Annotated[bool, Meta(description="true or false")]
Text = Annotated[str, Meta(min_length=1, description="a string that is not empty")]
Name = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$", description="up to 64 letters, digits, dots, dashes and underscores")
]
NodeId = Annotated[int, Meta(ge=1, le=2**31 - 1, description="a whole number from 1 to 2147483647")]
Count = Annotated[int, Meta(ge=1, le=32_767, description="a whole number from 1 to 32767")]
Millis = Annotated[int, Meta(ge=1, le=2**31 - 1, description="a whole number of milliseconds from 1 to 2147483647")]
LongMillis = Annotated[int, Meta(ge=1, description="a whole number of milliseconds, at least 1")]
MillisOrForEver = Annotated[int, Meta(ge=-1, description="a whole number of milliseconds, or -1 for ever")]
BytesOrUnlimited = Annotated[int, Meta(ge=-1, description="a whole number of bytes, or -1 for no limit")]
SegmentBytes = Annotated[
    int, Meta(ge=MIB, le=2**31 - 1, description="a whole number of bytes from 1048576 to 2147483647")
]
MessageBytes = Annotated[int, Meta(ge=1024, le=16 * MIB, description="a whole number of bytes from 1024 to 16777216")]
RequestBytes = Annotated[
    int, Meta(ge=1024, le=2**31 - 1, description="a whole number of bytes from 1024 to 2147483647")
]
QueuedBytes = Annotated[int, Meta(ge=MIB, description="a whole number of bytes, at least 1048576")]
Connections = Annotated[int, Meta(ge=1, le=1_000_000, description="a whole number from 1 to 1000000")]
Actors = Annotated[
    tuple[Actor, ...], Meta(min_length=1, description='an array of "controller" and "broker", at least one of them')
]


def dotted(name: str) -> str:
    """A field's name as Kafka writes it."""
    return name.replace("_", ".")


class ClusterOptions(Struct, frozen=True, forbid_unknown_fields=True):
    """[cluster]: what holds for all nodes."""

    name: Name = "barnabas"
    data: Text = "barnabas-data"  # a directory, relative to the working directory; nodes live in DATA/node-ID
    restart: Restart = "never"  # what `barnabas up` does when a node has ended: see `supervision`
    links: LinkKind = "direct"  # "proxied": nodes speak through a proxy that can cut and slow them, see `links`
    faults: Faults = "refused"  # "allowed": nodes may be told to have a full disk or a wrong clock, see `injection`
    insecure: Flag = False  # may nodes listen where other machines reach them, without encryption or passwords?


class TopicDefaults(Struct, frozen=True, forbid_unknown_fields=True):
    """[topic_defaults]: what a new topic gets unless its creator says otherwise; fixed at creation."""

    partitions: Count = 1
    replication: Count | None = None  # copies of each partition; None means min(3, brokers)
    min_insync: Count = 2  # replicas that must have an acks=all write; never more than the copies there are
    durability: Durability = "fsync"  # what acknowledged means: on disk, or in the operating system's page cache
    segment_bytes: SegmentBytes = 1024 * MIB  # a log file is closed when it is this large ...
    segment_ms: LongMillis = 7 * DAY_MS  # ... or its first record this old
    retention_ms: MillisOrForEver = 7 * DAY_MS  # closed segments are deleted when all their records are older
    retention_bytes: BytesOrUnlimited = -1  # of one partition: the oldest closed segments are deleted beyond it
    max_message_bytes: MessageBytes = 1_048_588  # the largest record batch a producer may send, compressed


class Timing(Struct, frozen=True, forbid_unknown_fields=True):
    """[timing]: how patient the actors are, all in milliseconds. The defaults suit a machine and a local network."""

    broker_heartbeat_ms: Millis = 250  # between two heartbeats of a broker to the controllers
    broker_session_ms: Millis = 3_000  # silence after which the controller fences a broker
    broker_lease_margin_ms: Millis = 300  # a broker stops serving this long before its session ends
    election_timeout_min_ms: Millis = 300  # silence of the active controller before another one stands, drawn ...
    election_timeout_max_ms: Millis = 600  # ... at random between these two
    fetch_wait_ms: Millis = 250  # how long a leader holds a follower's fetch that finds nothing new
    replica_lag_ms: Millis = 5_000  # a follower that is behind for longer leaves the in-sync replicas
    broadcast_heartbeat_ms: Millis = 250  # between two frames of the broadcast when there is no news
    consumer_session_ms: Millis = 10_000  # silence after which a group gives a member's partitions to others
    consumer_grace_ms: Millis = 1_000  # the same, once the member's connection is known to be gone

    @property
    def broker_lease_ms(self) -> int:
        """Silence of the controllers after which a broker fences itself: before they give its partitions away."""
        return self.broker_session_ms - self.broker_lease_margin_ms


class BrokerSettings(Struct, frozen=True, forbid_unknown_fields=True, rename=dotted):
    """[broker]: how brokers serve Kafka's clients; every name is Kafka's, with dots."""

    auto_create_topics_enable: Flag = True  # is a topic created that a Kafka client asks for and that does not exist?
    socket_request_max_bytes: RequestBytes = 100 * MIB  # the largest request that is read
    max_connections: Connections = 10_000  # of Kafka clients at one broker; one more is closed at once
    connections_max_idle_ms: Millis = 600_000  # a connection without requests for so long is closed
    queued_max_request_bytes: QueuedBytes = 256 * MIB  # of requests that are read in part or wait, at one broker
    queued_max_response_bytes: QueuedBytes = 256 * MIB  # of replies that clients do not take, at one broker
    fetch_max_bytes: RequestBytes = 55 * MIB  # of records in one answer, whatever a consumer asks for


class NodeConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """[[node]]: one process, and what crashes together."""

    id: NodeId
    actors: Actors = ("controller", "broker")
    address: Text = FREE_PORT  # of the ROUTER socket: tcp://HOST:PORT; port 0 means a free one at start
    broadcast: Text = FREE_PORT  # of the PUB socket; a file that is silent means the address's host, a free port
    kafka: Text = FREE_KAFKA_PORT  # where Kafka clients are served, HOST:PORT; port 0 means a free one; or "none"
    advertised: Text | None = None  # HOST:PORT that Kafka clients are told to connect to; None means `kafka`
    data: Text | None = None  # a directory of its own; None means DATA/node-ID
    rack: Text | None = None  # replicas are spread over racks; None means that nobody knows
    restart: Restart | None = None  # None means as [cluster] says

    @property
    def is_controller(self) -> bool:
        return "controller" in self.actors

    @property
    def is_broker(self) -> bool:
        return "broker" in self.actors

    @property
    def endpoint(self) -> Endpoint:
        return _endpoint(self.address)

    @property
    def broadcast_endpoint(self) -> Endpoint:
        return _endpoint(self.broadcast)

    @property
    def kafka_endpoint(self) -> Endpoint | None:
        """Where Kafka's clients are served; None if they are not."""
        return _endpoint(self.kafka) if self.is_broker and self.kafka != NO_DOOR else None

    @property
    def kafka_advertised(self) -> str | None:
        """HOST:PORT by which Kafka's clients reach this broker; None if they do not."""
        return None if self.kafka_endpoint is None else self.advertised or self.kafka_endpoint.plain


class ClusterConfig(Struct, frozen=True, forbid_unknown_fields=True, rename={"nodes": "node"}):
    """A whole cluster file. Start from `config.load`, `config.parse` or `config.local`."""

    nodes: tuple[NodeConfig, ...]
    cluster: ClusterOptions = ClusterOptions()
    topic_defaults: TopicDefaults = TopicDefaults()
    broker: BrokerSettings = BrokerSettings()
    timing: Timing = Timing()

    @property
    def controllers(self) -> tuple[NodeConfig, ...]:
        return tuple(node for node in self.nodes if node.is_controller)

    @property
    def brokers(self) -> tuple[NodeConfig, ...]:
        return tuple(node for node in self.nodes if node.is_broker)

    @property
    def replication(self) -> int:
        """The copies that a topic gets by default."""
        return self.topic_defaults.replication or min(3, len(self.brokers))

    @property
    def min_insync(self) -> int:
        """The in-sync replicas that acks=all needs by default: never more than there are copies."""
        return min(self.topic_defaults.min_insync, self.replication)

    def node(self, node_id: int) -> NodeConfig:
        """KeyError if there is no such node."""
        for node in self.nodes:
            if node.id == node_id:
                return node
        raise KeyError(node_id)

    def restarts(self, node: NodeConfig) -> bool:
        """Is this node to be started again whenever it has ended?"""
        return (node.restart or self.cluster.restart) == "always"

    def data_of(self, node: NodeConfig) -> Path:
        """The node's data directory, absolute."""
        return Path(node.data or Path(self.cluster.data, f"node-{node.id}")).absolute()

    def with_data(self, directory: str) -> "ClusterConfig":
        """The same cluster below another data directory; nodes that name their own keep it."""
        return replace(self, cluster=replace(self.cluster, data=directory))

    def with_ports(self) -> "ClusterConfig":
        """The same cluster with every port 0 replaced by a free one. Start it soon: the ports are not held."""
        asked = [endpoint for node in self.nodes for endpoint in (node.endpoint, node.broadcast_endpoint)]
        asked += [node.kafka_endpoint for node in self.nodes if node.kafka_endpoint is not None]
        chosen = iter(free_ports(asked))
        nodes = tuple(replace(node, address=str(next(chosen)), broadcast=str(next(chosen))) for node in self.nodes)
        nodes = tuple(
            node if node.kafka_endpoint is None else replace(node, kafka=next(chosen).plain) for node in nodes
        )
        return replace(self, nodes=nodes)


def _endpoint(address: str) -> Endpoint:
    endpoint = parse_address(address)
    assert endpoint is not None, f"{address!r} was checked when the file was read"
    return endpoint
