"""What one table of a cluster file cannot know: whether it fits the others.

Each rule looks at a decoded configuration and yields its problems: where, and one sentence without its full stop.
`config` turns the first one into a refusal.
"""

from collections.abc import Iterator
from typing import NamedTuple

from .addresses import EXPECTED, Endpoint, parse_address
from .settings import FREE_KAFKA_PORT, NO_DOOR, ClusterConfig, NodeConfig
from .toml_lines import KeyPath


class Problem(NamedTuple):
    """Why a file is refused."""

    path: KeyPath  # of the key to change
    text: str
    other: KeyPath | None = None  # the key it disagrees with, whose line takes the place of {other} in the text


def problems(config: ClusterConfig) -> Iterator[Problem]:
    yield from _addresses(config)
    yield from _identities(config)
    yield from _places(config)
    yield from _advertised(config)
    yield from _quorum(config)
    yield from _topics(config)
    yield from _patience(config)


def _addresses(config: ClusterConfig) -> Iterator[Problem]:
    for index, node in enumerate(config.nodes):
        for key, address in _listening(node):
            if parse_address(address) is None:
                expected = f'"{NO_DOOR}", {EXPECTED}' if key == "kafka" else EXPECTED
                yield Problem(("node", index, key), f'`{key}` in [[node]] is "{address}", expected {expected}')


def _identities(config: ClusterConfig) -> Iterator[Problem]:
    ids: dict[int, KeyPath] = {}
    for index, node in enumerate(config.nodes):
        path = ("node", index, "id")
        if node.id in ids:
            text = f"`id` in [[node]] is {node.id} as on line {{other}}, expected an id of its own for each node"
            yield Problem(path, text, ids[node.id])
        ids.setdefault(node.id, path)
        for actor in node.actors:
            if node.actors.count(actor) > 1:
                text = f'`actors` in [[node]] names "{actor}" twice, expected each actor once'
                yield Problem(("node", index, "actors"), text)


def _places(config: ClusterConfig) -> Iterator[Problem]:
    ports: dict[tuple[str, int], KeyPath] = {}
    directories: dict[str, KeyPath] = {}
    for index, node in enumerate(config.nodes):
        endpoints = {"address": node.endpoint, "broadcast": node.broadcast_endpoint}
        if node.kafka_endpoint is not None:
            endpoints["kafka"] = node.kafka_endpoint
        for key, endpoint in endpoints.items():
            path: KeyPath = ("node", index, key)
            shown = endpoint.plain if key == "kafka" else str(endpoint)
            yield from _reachability(
                path, shown, endpoint, config.cluster.insecure, told=key == "kafka" and node.advertised is not None
            )
            if endpoint.port != 0 and endpoint.place in ports:
                text = f"`{key}` in [[node]] is {shown} as on line {{other}}, expected a port of its own"
                yield Problem(path, text, ports[endpoint.place])
            ports.setdefault(endpoint.place, path)
        directory = str(config.data_of(node))
        path = ("node", index, "data")
        if directory in directories:
            text = "`data` in [[node]] is the directory of the node on line {other}, expected one of its own"
            yield Problem(path, text, directories[directory])
        directories.setdefault(directory, path)


def _advertised(config: ClusterConfig) -> Iterator[Problem]:
    """Brokers serve Kafka's clients; what these are told must be a place, and another one for each broker."""
    places: dict[tuple[str, int], KeyPath] = {}
    for index, node in enumerate(config.nodes):
        if not node.is_broker and node.kafka not in (FREE_KAFKA_PORT, NO_DOOR):
            text = '`kafka` in [[node]] is given to a node without a broker, expected "broker" among its `actors`'
            yield Problem(("node", index, "kafka"), text)
        endpoint = None if node.advertised is None else parse_address(node.advertised)
        if endpoint is None or node.kafka_endpoint is None:
            continue
        path: KeyPath = ("node", index, "advertised")
        if endpoint.port == 0 or endpoint.is_wildcard:
            text = f'`advertised` in [[node]] is "{node.advertised}", expected the HOST:PORT by which clients connect'
            yield Problem(path, text)
        if endpoint.place in places:
            text = f"`advertised` in [[node]] is {endpoint.plain} as on line {{other}}, expected one for each broker"
            yield Problem(path, text, places[endpoint.place])
        places.setdefault(endpoint.place, path)


def _reachability(path: KeyPath, shown: str, endpoint: Endpoint, insecure: bool, *, told: bool) -> Iterator[Problem]:
    """`told`: whoever connects there is told another address."""
    key = path[-1]
    if endpoint.is_loopback:
        return
    if not insecure:
        yield Problem(
            path,
            f"`{key}` in [[node]] is {shown}, which other machines may reach without a password; expected a "
            "loopback address such as 127.0.0.1, or `insecure = true` in [cluster]",
        )
    if endpoint.is_wildcard and not told:
        yield Problem(
            path,
            f"`{key}` in [[node]] is {shown}, which nobody can connect to; expected "
            + (
                "an `advertised` one for clients"
                if key == "kafka"
                else "the address by which the other nodes reach this one"
            ),
        )
    if endpoint.port == 0:
        yield Problem(
            path,
            f"`{key}` in [[node]] is {shown}, expected a port from 1 to 65535, because other machines must know it",
        )


def _quorum(config: ClusterConfig) -> Iterator[Problem]:
    if not config.brokers:
        yield Problem(("node", 0, "actors"), "no node hosts a broker, expected at least one")
    count = len(config.controllers)
    if count not in (1, 3, 5):
        last = max((index for index, node in enumerate(config.nodes) if node.is_controller), default=0)
        hosts = "no node hosts a controller" if count == 0 else f"{count} nodes host a controller"
        yield Problem(("node", last, "actors"), f"{hosts}, expected 1, 3 or 5")


def _topics(config: ClusterConfig) -> Iterator[Problem]:
    defaults, brokers = config.topic_defaults, len(config.brokers)
    if defaults.replication is not None and defaults.replication > brokers:
        yield Problem(
            ("topic_defaults", "replication"),
            f"`replication` in [topic_defaults] is {defaults.replication}, expected at most {brokers}, the number of "
            "brokers",
        )
    if defaults.segment_bytes < defaults.max_message_bytes:
        yield Problem(
            ("topic_defaults", "segment_bytes"),
            f"`segment_bytes` in [topic_defaults] is {defaults.segment_bytes}, expected at least `max_message_bytes`, "
            f"{defaults.max_message_bytes}",
        )


def _patience(config: ClusterConfig) -> Iterator[Problem]:
    timing = config.timing
    least = timing.broker_heartbeat_ms + timing.broker_lease_margin_ms
    if timing.broker_session_ms <= least:
        yield Problem(
            ("timing", _first_given(config, "broker_session_ms", "broker_heartbeat_ms", "broker_lease_margin_ms")),
            f"`broker_session_ms` in [timing] is {timing.broker_session_ms}, expected more than `broker_heartbeat_ms` "
            f"and `broker_lease_margin_ms` together, {least}",
        )
    if timing.election_timeout_max_ms <= timing.election_timeout_min_ms:
        yield Problem(
            ("timing", _first_given(config, "election_timeout_max_ms", "election_timeout_min_ms")),
            f"`election_timeout_max_ms` in [timing] is {timing.election_timeout_max_ms}, expected more than "
            f"`election_timeout_min_ms`, {timing.election_timeout_min_ms}",
        )
    if timing.election_timeout_min_ms <= timing.fetch_wait_ms:
        yield Problem(
            ("timing", _first_given(config, "fetch_wait_ms", "election_timeout_min_ms")),
            f"`fetch_wait_ms` in [timing] is {timing.fetch_wait_ms}, expected less than `election_timeout_min_ms`, "
            f"{timing.election_timeout_min_ms}, or an idle quorum elects for ever",
        )


def _first_given(config: ClusterConfig, *keys: str) -> str:
    """Of several keys that disagree, the first that the file moved away from its default."""
    defaults = type(config.timing)()
    return next((key for key in keys if getattr(config.timing, key) != getattr(defaults, key)), keys[0])


def _listening(node: NodeConfig) -> tuple[tuple[str, str], ...]:
    listening = ("address", node.address), ("broadcast", node.broadcast)
    advertised = () if node.advertised is None else (("advertised", node.advertised),)
    return (*listening, *advertised) if node.kafka == NO_DOOR else (*listening, ("kafka", node.kafka), *advertised)
