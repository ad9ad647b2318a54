"""One node of a cluster by itself: in a container, under systemd, on a machine of its own.

    format_node(config, 2, cluster_id)         # once, on its machine
    formatted = formatted_node(config, 2)      # at each start; or a refusal that says what is missing

`up` formats all nodes at once and remembers who has which directory. Machines that are formatted one by one cannot ask
each other. What they must agree on is given to each of them: the same cluster file and the same cluster id. The
directory ids of controllers, which every voter must know of all others, follow from that id; so a controller whose
directory is lost must not be formatted again: it may have voted. That is refused as long as DATA/cluster.json is there
to tell. The directory ids of other brokers are new with each formatting.
"""

import re
import uuid
from base64 import urlsafe_b64encode
from itertools import count
from pathlib import Path

from msgspec.structs import replace

from ..storage.checkpoint import Identity
from .addresses import free_ports
from .formatting import (
    ClusterRefused,
    Formatted,
    check_directory,
    identity_in,
    kept_ports,
    make_identity,
    new_id,
    read_formatted,
    write_formatted,
)
from .processes import links_of, living, supervisor_of
from .settings import ClusterConfig, NodeConfig

_CLUSTER_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}")
_NAMESPACE = uuid.UUID("6f7d2a52-0f0b-4a2b-9a39-5a0c6f1f7a11")


def format_node(config: ClusterConfig, node_id: int, cluster_id: str) -> Formatted:
    """Make the data directory of one node. Refused if it has one, or if it may have had one."""
    if _CLUSTER_ID.fullmatch(cluster_id) is None:
        raise ClusterRefused(
            f"{cluster_id!r} is no cluster id, expected up to 64 letters, digits, dashes and underscores, or `new`."
        )
    if config.cluster.links == "proxied":
        raise ClusterRefused(
            '`links` in [cluster] is "proxied", but the proxy between the nodes is on one machine: start them all with '
            "`barnabas up`, or leave `links` out."
        )
    config = config.with_data(str(Path(config.cluster.data).absolute()))
    stored = read_formatted(Path(config.cluster.data))
    node = _node(config, node_id)
    config = _kafka_port(kept_ports(config, stored), node_id)
    _refuse_free_ports(config)
    directory = config.data_of(node)
    here = () if stored is None else stored.here
    known = here is None or node_id in here
    found = identity_in(node, directory)
    if found is not None and (known or found.cluster_id != cluster_id or found.node_id != node_id):
        raise ClusterRefused(
            f"the data directory of node {node_id}, {directory}, is formatted already, for node {found.node_id} of "
            f"cluster {found.cluster_id}: start it without --format."
        )
    if stored is not None and stored.cluster_id != cluster_id:
        raise ClusterRefused(
            f"{stored.directory} belongs to cluster {stored.cluster_id}, not to {cluster_id}: give its id, or choose "
            "another data directory."
        )
    if found is not None or known:  # the last formatting was interrupted, or the directory is lost
        check_directory(node, directory, found, cluster_id, _voters(config), stored)
    ids = {} if stored is None else dict(stored.directories)
    for other in config.controllers:
        ids.setdefault(other.id, voter_directory_id(cluster_id, other.id))
    if not node.is_controller:
        ids[node_id] = new_id() if found is None else found.directory_id
    if found is None:
        _make(config, directory, Identity(cluster_id, node_id, ids[node_id], _voters(config)))
    formatted = Formatted(cluster_id, config, ids, here=None if here is None else tuple(sorted({*here, node_id})))
    write_formatted(formatted)
    return formatted


def _make(config: ClusterConfig, directory: Path, identity: Identity) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        Path(config.cluster.data).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or "impossible").lower()
        raise ClusterRefused(f"the data directory {directory} cannot be made: {reason}; choose another one.") from None
    make_identity(directory, identity)


def formatted_node(config: ClusterConfig, node_id: int) -> Formatted:
    """The cluster as this node's directory knows it, with what may have changed in the configuration."""
    config = config.with_data(str(Path(config.cluster.data).absolute()))
    node = _node(config, node_id)
    stored = read_formatted(Path(config.cluster.data))
    directory = config.data_of(node)
    found = identity_in(node, directory)
    if stored is None or (found is None and stored.here is not None and node_id not in stored.here):
        raise ClusterRefused(
            f"node {node_id} has no data in {directory} yet: add `--format --cluster-id ID` once to make it, with the "
            "same ID for every node (`new` for the first), or start all nodes on this machine with `barnabas up`."
        )
    check_directory(node, directory, found, stored.cluster_id, _voters(config), stored)
    if found is None:
        raise ClusterRefused(
            f"the data directory of node {node_id}, {directory}, is empty, though the cluster is formatted: restore "
            "it, or add `--format --cluster-id " + stored.cluster_id + "` once to begin with an empty broker."
        )
    supervisor = supervisor_of(stored.directory)
    if supervisor is not None and config.restarts(node):
        raise ClusterRefused(
            f"process {supervisor.pid} starts node {node_id} whenever it has ended: stop the cluster with `barnabas "
            f"down --data {config.cluster.data}` first."
        )
    for process in living(stored.directory):
        if process.node == node_id:
            raise ClusterRefused(f"node {node_id} is running already, as process {process.pid}.")
    config = _kafka_port(kept_ports(config, stored), node_id)
    _refuse_free_ports(config)
    links = stored.links if config.cluster.links == "proxied" else None
    if config.cluster.links == "proxied" and links_of(stored.directory) is None:
        raise ClusterRefused(
            f"the nodes in {stored.directory} speak to each other through a proxy, which is not running: start them "
            "with `barnabas up`, and then this one alone if need be."
        )
    directories = {**stored.directories, node_id: found.directory_id}
    formatted = replace(stored, config=config, directories=directories, links=links)
    if formatted != stored:
        write_formatted(formatted)
    return formatted


def voter_directory_id(cluster_id: str, node_id: int) -> str:
    """The same on every machine; in the form of `new_id`."""
    for attempt in count():
        name = f"{cluster_id}/{node_id}/{attempt}"
        text = urlsafe_b64encode(uuid.uuid5(_NAMESPACE, name).bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
    raise AssertionError("counting never ends")


def _node(config: ClusterConfig, node_id: int) -> NodeConfig:
    try:
        return config.node(node_id)
    except KeyError:
        ids = ", ".join(str(node.id) for node in config.nodes)
        raise ClusterRefused(f"there is no node {node_id} in the configuration, expected one of: {ids}.") from None


def _kafka_port(config: ClusterConfig, node_id: int) -> ClusterConfig:
    """Where any free port will do for this node's Kafka clients, one: the others hear of it from the controllers."""
    kafka = config.node(node_id).kafka_endpoint
    if kafka is None or kafka.port != 0:
        return config
    chosen = free_ports([kafka])[0].plain
    return replace(
        config, nodes=tuple(replace(node, kafka=chosen) if node.id == node_id else node for node in config.nodes)
    )


def _refuse_free_ports(config: ClusterConfig) -> None:
    for node in config.nodes:
        for key, endpoint in (("address", node.endpoint), ("broadcast", node.broadcast_endpoint)):
            if endpoint.port == 0 and (key == "address" or node.is_controller):
                raise ClusterRefused(
                    f"the `{key}` of node {node.id} is {endpoint}, but nodes that start one by one must know each "
                    f"other's ports: give it a port from 1 to 65535 in the configuration."
                )


def _voters(config: ClusterConfig) -> tuple[int, ...]:
    return tuple(sorted(node.id for node in config.controllers))
