"""What a node is made of: the only place where the classes of actors are named.

From a formatted cluster and a node's id come the actors of that node, each with its configuration, and the addresses
at which they find each other. A node hosts a `controller`, a `broker`, or both, and remembers its `events`; under those
names they are addressed. Beside a broker are its `groups`: the coordinators of those whose state it leads.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import NamedTuple

from ..actors.broker import Broker, BrokerConfig
from ..actors.chronicle import Chronicle
from ..actors.controller import Controller, ControllerConfig
from ..actors.gateway import Gateway
from ..actors.group_settings import GroupSettings
from ..actors.groups import Groups
from ..actors.kernel import Actor, Incarnation
from ..actors.node import Node
from ..actors.raft import Raft, RaftConfig, Voter
from ..storage.disk import Disk
from ..transport.kafka.door import Door
from ..transport.kafka.exchange import GatewayOutlet
from ..transport.kafka.limits import Limits
from ..transport.kafka.view import View
from .formatting import Formatted
from .settings import ClusterConfig, NodeConfig, TopicDefaults

BROKER = "broker"
CONTROLLER = "controller"
GROUPS = "groups"
EVENTS = "events"
GATEWAY = "gateway"
LISTENER = "PLAINTEXT"  # Kafka's name for a listener without encryption and passwords
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Seat(NamedTuple):
    """Where a node sits among the others: what its sockets need to know."""

    bind: str
    broadcast: str | None  # None: it has nothing to broadcast
    subscribe: tuple[str, ...]  # to every controller's broadcast
    watch: tuple[str, ...]  # whose death it wants to hear of at once


def seat(config: ClusterConfig, node: NodeConfig) -> Seat:
    """The endpoints of one node. A controller watches everybody; a broker hears of the world from the controllers."""
    others = tuple(other.address for other in config.nodes if other.id != node.id)
    return Seat(
        bind=node.address,
        broadcast=node.broadcast if node.is_controller else None,
        subscribe=tuple(other.broadcast for other in config.controllers) if node.is_broker else (),
        watch=others if node.is_controller else (),
    )


MakeNode = Callable[[str, Incarnation, Disk, Random, dict[str, Actor]], Node]
"""`Node`, or a class of nodes with something around them."""


def assemble(
    formatted: Formatted, node_id: int, disk: Disk, make: MakeNode = Node, earlier: Iterable[bytes] = ()
) -> Node:
    """A node that has not started yet, with a new incarnation. `earlier`: the last lines of its file of events."""
    seed = int.from_bytes(os.urandom(16))
    incarnation = Incarnation(int.from_bytes(os.urandom(8)) >> 2 | 1)
    node = formatted.config.node(node_id)
    made = {**actors(formatted, node, boot_id()), EVENTS: Chronicle(earlier)}
    return make(node.address, incarnation, disk, Random(seed), made)


def actors(formatted: Formatted, node: NodeConfig, boot: str) -> dict[str, Actor]:
    """The actors of one node, the controller first: a broker asks for its place as soon as it starts."""
    found: dict[str, Actor] = {}
    if node.is_controller:
        found[CONTROLLER] = Controller(controller_config(formatted, node), Raft(raft_config(formatted, node)))
    if node.is_broker:
        found[BROKER] = Broker(broker_config(formatted, node, boot))
        found[GROUPS] = Groups(group_settings(formatted))
    if node.kafka_endpoint is not None:
        found[GATEWAY] = Gateway(node.address, GatewayOutlet())
    return found


def door(formatted: Formatted, node_id: int, made: Node, log: Callable[[str], None]) -> Door | None:
    """The way into an assembled node for Kafka's clients; None if it has none."""
    node = formatted.config.node(node_id)
    broker = made.actors.get(BROKER)
    if node.kafka_endpoint is None or not isinstance(broker, Broker):
        return None
    settings = formatted.config.broker
    limits = Limits(**{field: getattr(settings, field) for field in settings.__struct_fields__})
    directory = str(formatted.config.data_of(node))
    return Door(node.kafka, View(broker, node_id, formatted.cluster_id, LISTENER, directory), limits, log)


def raft_config(formatted: Formatted, node: NodeConfig) -> RaftConfig:
    config = formatted.config
    return RaftConfig(
        id=node.id,
        cluster_id=formatted.cluster_id,
        directory_id=formatted.directories[node.id],
        voters={voter.id: Voter(voter.address, formatted.directories[voter.id]) for voter in config.controllers},
        election_min_ms=config.timing.election_timeout_min_ms,
        election_max_ms=config.timing.election_timeout_max_ms,
        fetch_wait_ms=config.timing.fetch_wait_ms,
    )


def controller_config(formatted: Formatted, node: NodeConfig) -> ControllerConfig:
    config = formatted.config
    return ControllerConfig(
        id=node.id,
        cluster_id=formatted.cluster_id,
        voters={voter.id: voter.address for voter in config.controllers},
        broadcasts={voter.id: voter.broadcast for voter in config.controllers},
        session_ms=config.timing.broker_session_ms,
        heartbeat_ms=config.timing.broadcast_heartbeat_ms,
        default_partitions=config.topic_defaults.partitions,
        default_replication=config.replication,
        default_configs=topic_configs(config.topic_defaults, config.min_insync),
    )


def broker_config(formatted: Formatted, node: NodeConfig, boot: str) -> BrokerConfig:
    config = formatted.config
    return BrokerConfig(
        id=node.id,
        cluster_id=formatted.cluster_id,
        directory_id=formatted.directories[node.id],
        controllers={voter.id: voter.address for voter in config.controllers},
        broadcasts=tuple(voter.broadcast for voter in config.controllers),
        rack=node.rack or "",
        listeners={} if node.kafka_advertised is None else {LISTENER: node.kafka_advertised},
        boot_id=boot,
        heartbeat_ms=config.timing.broker_heartbeat_ms,
        lease_ms=config.timing.broker_lease_ms,
        replica_lag_ms=config.timing.replica_lag_ms,
        fetch_wait_ms=config.timing.fetch_wait_ms,
        coordinators=(GROUPS,),
    )


def group_settings(formatted: Formatted) -> GroupSettings:
    timing = formatted.config.timing
    return GroupSettings(session_ms=timing.consumer_session_ms, grace_ms=timing.consumer_grace_ms)


def topic_configs(defaults: TopicDefaults, min_insync: int) -> dict[str, str]:
    """The defaults of new topics under Kafka's names."""
    return {
        "durability": defaults.durability,
        "max.message.bytes": str(defaults.max_message_bytes),
        "min.insync.replicas": str(min_insync),
        "retention.bytes": str(defaults.retention_bytes),
        "retention.ms": str(defaults.retention_ms),
        "segment.bytes": str(defaults.segment_bytes),
        "segment.ms": str(defaults.segment_ms),
    }


def boot_id() -> str:
    """Which boot of this machine this is; empty where nobody can say."""
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""
