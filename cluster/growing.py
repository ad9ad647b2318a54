"""Nodes that come to a cluster which runs already, and nodes that leave it.

    formatted = added(find(DATA), [another(formatted)])      # then start it
    removed(DATA, 4, cluster_id)                             # when the cluster has forgotten the broker

Only brokers come and go: the controllers of a cluster are its voters, who stay the same. What is changed here is
`DATA/cluster.json`, what the directories say, and which processes run; what partitions do is the controllers' business.
"""

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from ..storage.checkpoint import Identity
from .formatting import (
    ClusterRefused,
    Formatted,
    check_directory,
    identity_in,
    make_identity,
    new_id,
    read_formatted,
    write_formatted,
)
from .processes import living, terminate
from .settings import ClusterConfig, NodeConfig
from .supervisor import STOP_PATIENCE


def another(formatted: Formatted, node_id: int | None = None, rack: str | None = None) -> NodeConfig:
    """One more broker, on free ports of this machine."""
    taken = [node.id for node in formatted.config.nodes]
    return NodeConfig(id=max(taken) + 1 if node_id is None else node_id, actors=("broker",), rack=rack)


def newcomers(formatted: Formatted, config: ClusterConfig) -> list[NodeConfig]:
    """The nodes of a file that the cluster does not have. Refused if there are none, or others than brokers."""
    taken = {node.id for node in formatted.config.nodes}
    nodes = [node for node in config.nodes if node.id not in taken]
    if not nodes:
        raise ClusterRefused("the file has no node that the cluster does not have: give the new one an id of its own.")
    return nodes


def added(formatted: Formatted, nodes: Sequence[NodeConfig]) -> Formatted:
    """Their directories are made, their ports chosen, and the cluster knows them. Start them then."""
    if formatted.links is not None:
        raise ClusterRefused(
            "the nodes of this cluster speak to each other through a proxy, which cannot take in another one while it "
            'runs: stop the cluster, add the node to its file, and start it; or do without `links = "proxied"`.'
        )
    voters = tuple(sorted(node.id for node in formatted.config.controllers))
    directories = dict(formatted.directories)
    for node in nodes:
        if any(node.id == other.id for other in formatted.config.nodes):
            raise ClusterRefused(f"there is a node {node.id} in the cluster already: choose another id.")
        if node.is_controller:
            raise ClusterRefused(
                f"node {node.id} would be a controller, and those of a cluster stay the same: let it be a broker only, "
                'with `actors = ["broker"]`.'
            )
        directory = formatted.config.data_of(node)
        identity = identity_in(node, directory)
        check_directory(node, directory, identity, formatted.cluster_id, voters, None)
        if identity is None:
            identity = Identity(formatted.cluster_id, node.id, new_id(), voters)
            make_identity(directory, identity)
        directories[node.id] = identity.directory_id
    config = replace(formatted.config, nodes=(*formatted.config.nodes, *nodes)).with_ports()
    grown = replace(formatted, config=config, directories=directories)
    write_formatted(grown)
    return grown


def stopped(directory: Path, node_id: int, cluster_id: str) -> bool:
    """End the process of a broker, if it runs from here. Refused if its node is a controller too."""
    formatted = _here(directory, node_id, cluster_id)
    if formatted is None:
        return False
    running = [process for process in living(formatted.directory) if process.node == node_id]
    if running and formatted.config.node(node_id).is_controller:
        raise ClusterRefused(
            f"node {node_id} is a controller too, and those of a cluster stay the same: its broker keeps nothing, and "
            "stays where it is."
        )
    terminate(running, STOP_PATIENCE)
    return bool(running)


def removed(directory: Path, node_id: int, cluster_id: str) -> None:
    """The cluster has forgotten a broker: so does `cluster.json`. Its files stay."""
    formatted = _here(directory, node_id, cluster_id)
    if formatted is None or formatted.config.node(node_id).is_controller:
        return
    nodes = tuple(node for node in formatted.config.nodes if node.id != node_id)
    directories = {node: known for node, known in formatted.directories.items() if node != node_id}
    write_formatted(replace(formatted, config=replace(formatted.config, nodes=nodes), directories=directories))


def _here(directory: Path, node_id: int, cluster_id: str) -> Formatted | None:
    """The cluster in this directory, if it is the one that is meant and has that node."""
    formatted = read_formatted(directory)
    if formatted is None or formatted.cluster_id != cluster_id:
        return None
    return formatted if any(node.id == node_id for node in formatted.config.nodes) else None
