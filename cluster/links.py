"""Which way from one node to another leads through a proxy, and at which port.

With `links = "proxied"` nodes do not connect to each other but to a proxy of ours (`link_proxy`), which connects to
whom they mean. For each ordered pair of nodes it listens at a port of its own, and at another one for the broadcast of
a controller to a broker; so the proxy knows who speaks to whom without looking inside. Nodes go on calling each other
by their own addresses: a node registers under its own, clients connect to that, and only where a socket of a node is
connected the address is exchanged (`dialled`). The ports stay the same from one start to the next.
"""

from collections.abc import Iterator

from msgspec import Struct

from .addresses import Endpoint, free_ports, parse_address
from .settings import ClusterConfig, NodeConfig

LINKS = -1
"""The proxies' process among the nodes' ones, as if it were a node's id."""

LOOPBACK = "127.0.0.1"


class Way(Struct, frozen=True):
    """Where node `source` finds node `target`."""

    source: int
    target: int
    address: str  # in the place of the target's address
    broadcast: str | None = None  # in the place of its broadcast; None: the source does not listen to it


class LinkPorts(Struct, frozen=True):
    """All ways of a cluster, and where the proxy takes its orders (`link_control`)."""

    control: str
    ways: tuple[Way, ...]


def pairs(config: ClusterConfig) -> Iterator[tuple[NodeConfig, NodeConfig]]:
    """Every node with every other one."""
    return ((source, target) for source in config.nodes for target in config.nodes if source.id != target.id)


def link_ports(config: ClusterConfig, before: LinkPorts | None) -> LinkPorts | None:
    """The ports of a cluster whose nodes have theirs, those of its last start again; None if its links are direct."""
    if config.cluster.links == "direct":
        return None
    known = {} if before is None else {(way.source, way.target): way for way in before.ways}
    free = str(Endpoint(LOOPBACK, 0))
    asked = [free if before is None else before.control]
    for source, target in pairs(config):
        way = known.get((source.id, target.id))
        asked += [free, free] if way is None else [way.address, way.broadcast or free]
    own = [endpoint for node in config.nodes for endpoint in (node.endpoint, node.broadcast_endpoint)]
    own += [node.kafka_endpoint for node in config.nodes if node.kafka_endpoint is not None]
    chosen = map(str, free_ports([*own, *map(_endpoint, asked)])[len(own) :])
    control = next(chosen)
    ways = []
    for source, target in pairs(config):
        address, broadcast = next(chosen), next(chosen)
        ways.append(Way(source.id, target.id, address, broadcast if _listens(source, target) else None))
    return LinkPorts(control, tuple(ways))


def dialled(config: ClusterConfig, ports: LinkPorts | None, node: int) -> dict[str, str]:
    """For one node: where to connect instead of the addresses of others. Empty if links are direct."""
    found: dict[str, str] = {}
    for way in () if ports is None else ports.ways:
        if way.source == node:
            target = config.node(way.target)
            found[target.address] = way.address
            if way.broadcast is not None:
                found[target.broadcast] = way.broadcast
    return found


def _listens(source: NodeConfig, target: NodeConfig) -> bool:
    """A broker listens to the broadcasts of all controllers."""
    return source.is_broker and target.is_controller


def _endpoint(address: str) -> Endpoint:
    endpoint = parse_address(address)
    assert endpoint is not None, f"{address!r} was written by us"
    return endpoint
