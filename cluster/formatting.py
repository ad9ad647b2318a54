"""Whose data is this? Before anything starts, each data directory is given an identity, or shown to have the right one.

    formatted = format_cluster(config)         # ports chosen, identities written; or a refusal in one sentence
    formatted = read_formatted(Path("DATA"))   # None if nothing was ever started there

The first `up` writes into each node's directory which cluster and node it belongs to and who the voters are
(`storage.checkpoint`), and beside them `DATA/cluster.json`: the cluster as it was started, with the ports that were
chosen, so that a restart listens where clients expect it. Later ones compare. What is refused: a directory of another
cluster or node, a changed list of voters, and a voter's directory that has lost its identity: such a node might vote
twice. What is not a question of identity (times, defaults, more brokers) may change between two starts.
"""

import base64
import os
import uuid
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ..storage.checkpoint import IDENTITY, ForeignDirectory, Identity, check_identity, read_identity, write_identity
from ..storage.disk import StorageError
from ..storage.files import FileReader
from ..storage.real import RealDisk
from ..storage.unsynced import LOCK, REPLACING
from .links import LinkPorts, link_ports
from .settings import ClusterConfig, NodeConfig

RUNTIME_FILE = "cluster.json"
LOG_FILE = "node.log"
LINKS_LOG = "links.log"
EVENTS_FILE = "events.jsonl"
OLD_EVENTS_FILE = "events.1.jsonl"
LEVEL = 1  # of the runtime file

_OURS = {LOG_FILE, EVENTS_FILE, OLD_EVENTS_FILE, LOCK, REPLACING}  # what a directory may hold before it has an identity


class ClusterRefused(Exception):
    """A cluster that cannot be started or found; the message is one sentence that says what to do next."""


class Formatted(msgspec.Struct, frozen=True):
    """`DATA/cluster.json`: a cluster whose directories are known to be its own."""

    cluster_id: str
    config: ClusterConfig  # every port chosen, the data directory absolute
    directories: dict[int, str]  # node id -> directory id
    level: int = LEVEL
    here: tuple[int, ...] | None = None  # the nodes that were formatted one by one, see `one_node`; None: all, by `up`
    links: LinkPorts | None = None  # None: nodes connect to each other directly

    @property
    def directory(self) -> Path:
        return Path(self.config.cluster.data)

    @property
    def bootstrap(self) -> str:
        """Where clients begin: every broker."""
        return ",".join(node.address.removeprefix("tcp://") for node in self.config.brokers)

    @property
    def kafka(self) -> str:
        """Where Kafka's clients begin: every broker that serves them; empty if none does."""
        places = [node.kafka_advertised for node in self.config.brokers]
        return ",".join(place for place in places if place is not None)


def read_formatted(directory: Path) -> Formatted | None:
    """The cluster that was last started from this data directory; None if there is none."""
    path = directory.absolute() / RUNTIME_FILE
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ClusterRefused(f"{path}: {(error.strerror or 'unreadable').lower()}, expected to read it.") from None
    try:
        formatted = msgspec.json.decode(data, type=Formatted)
    except msgspec.MsgspecError as error:
        raise ClusterRefused(
            f"{path} is not a runtime file of this version ({error}): restore it, or remove it and start the cluster "
            "with its configuration."
        ) from None
    if formatted.level != LEVEL:
        raise ClusterRefused(f"{path} has level {formatted.level}, this version knows {LEVEL}: use a newer version.")
    moved = str(directory.absolute())  # the directory may have been moved as a whole
    return replace(formatted, config=formatted.config.with_data(moved))


def format_cluster(config: ClusterConfig) -> Formatted:
    """Choose ports, check or write the identity of every node's directory, and write the runtime file."""
    directory = Path(config.cluster.data).absolute()
    config = config.with_data(str(directory))
    stored = read_formatted(directory)
    found = {node.id: identity_in(node, config.data_of(node)) for node in config.nodes}
    voters = tuple(sorted(node.id for node in config.controllers))
    cluster_id = _cluster_id(config, stored, found)
    for node in config.nodes:
        check_directory(node, config.data_of(node), found[node.id], cluster_id, voters, stored)
    directories: dict[int, str] = {}
    for node in config.nodes:
        identity = found[node.id]
        if identity is None:
            identity = Identity(cluster_id, node.id, new_id(), voters)
            make_identity(config.data_of(node), identity)
        directories[node.id] = identity.directory_id
    config = kept_ports(config, stored).with_ports()
    links = link_ports(config, None if stored is None else stored.links)
    formatted = Formatted(cluster_id, config, directories, links=links)
    write_formatted(formatted)
    return formatted


def write_formatted(formatted: Formatted) -> None:
    """Remember the cluster as it is started."""
    data = msgspec.json.format(msgspec.json.encode(formatted)) + b"\n"
    _write(formatted.directory / RUNTIME_FILE, data)


def new_id() -> str:
    """A UUID in base64url as Kafka prints it, without a dash in front, which tools would take for a flag."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text


def kept_ports(config: ClusterConfig, stored: Formatted | None) -> ClusterConfig:
    """Where the file asks for any free port, the one of the last start."""
    if stored is not None:
        before = {node.id: node for node in stored.config.nodes}
        config = replace(
            config,
            nodes=tuple(_keep_ports(node, before[node.id]) if node.id in before else node for node in config.nodes),
        )
    return config


def _keep_ports(node: NodeConfig, before: NodeConfig) -> NodeConfig:
    if node.endpoint.port == 0 and node.endpoint.host == before.endpoint.host:
        node = replace(node, address=before.address)
    if node.broadcast_endpoint.port == 0 and node.broadcast_endpoint.host == before.broadcast_endpoint.host:
        node = replace(node, broadcast=before.broadcast)
    kafka, then = node.kafka_endpoint, before.kafka_endpoint
    if kafka is not None and then is not None and kafka.port == 0 and kafka.host == then.host:
        node = replace(node, kafka=then.plain)
    return node


def _cluster_id(config: ClusterConfig, stored: Formatted | None, found: dict[int, Identity | None]) -> str:
    """The runtime file's; without one, that of the directories if they all have the same; otherwise a new one."""
    if stored is not None:
        return stored.cluster_id
    known = [(node, identity) for node in config.nodes if (identity := found[node.id]) is not None]
    if not known:
        return new_id()
    first, identity = known[0]
    unused = all(_never_used(config.data_of(node)) for node, _ in known)  # the first formatting was interrupted
    for node in config.nodes:
        other = found[node.id]
        if other is None and unused:
            continue
        if other is None or other.cluster_id != identity.cluster_id:
            whose = "nobody yet" if other is None else f"cluster {other.cluster_id}"
            raise ClusterRefused(
                f"the data directory of node {first.id}, {config.data_of(first)}, belongs to cluster "
                f"{identity.cluster_id}, but that of node {node.id}, {config.data_of(node)}, to {whose}: expected all "
                "of one cluster, or empty directories."
            )
    return identity.cluster_id


def check_directory(
    node: NodeConfig,
    directory: Path,
    found: Identity | None,
    cluster_id: str,
    voters: tuple[int, ...],
    stored: Formatted | None,
) -> None:
    expected = None if stored is None else stored.directories.get(node.id)
    if found is None:
        if stored is not None and voters != _voters(stored):
            raise ClusterRefused(
                f"the cluster in {stored.directory} was made with the controllers {list(_voters(stored))}, the "
                f"configuration has {list(voters)}: the controllers of a cluster cannot be changed, so put them back "
                "or start a new cluster with another data directory."
            )
        if expected is not None and node.is_controller:
            raise ClusterRefused(
                f"the data directory of node {node.id}, {directory}, is empty, but this controller has voted before: "
                "restore the directory, or start a new cluster with another data directory."
            )
        return
    try:
        check_identity(found, cluster_id=cluster_id, node_id=node.id, voters=voters)
    except ForeignDirectory as error:
        raise ClusterRefused(
            f"the data directory of node {node.id}, {directory}, cannot be used: {error}; choose another data "
            "directory, or the configuration that made this one."
        ) from None
    if expected is not None and found.directory_id != expected and node.is_controller:
        raise ClusterRefused(
            f"the data directory of node {node.id}, {directory}, is not the one in which this controller has voted "
            f"before (its id is {found.directory_id}, expected {expected}): restore that one, or start a new cluster "
            "with another data directory."
        )


def claim_directory(formatted: Formatted, node_id: int) -> Formatted:
    """The last look before a node starts, however it is started: is its directory still the one that it had?

    The empty directory of a broker is another one, which proves nothing: it gets an identity of its own. That of a
    controller is refused, since it may vote a second time.
    """
    node = formatted.config.node(node_id)
    directory = formatted.config.data_of(node)
    voters = _voters(formatted)
    found = identity_in(node, directory)
    check_directory(node, directory, found, formatted.cluster_id, voters, formatted)
    if found is None:
        found = Identity(formatted.cluster_id, node_id, new_id(), voters)
        make_identity(directory, found)
    return msgspec.structs.replace(formatted, directories={**formatted.directories, node_id: found.directory_id})


def _voters(stored: Formatted) -> tuple[int, ...]:
    return tuple(sorted(node.id for node in stored.config.controllers))


def identity_in(node: NodeConfig, directory: Path) -> Identity | None:
    """Who wrote this directory; None if it is empty or does not exist."""
    try:
        names = set(os.listdir(directory)) if directory.exists() else set()
        identity = read_identity(FileReader(directory)) if names else None
    except ForeignDirectory as error:
        raise ClusterRefused(f"the data directory of node {node.id}, {directory}, cannot be used: {error}.") from None
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ClusterRefused(
            f"the data directory of node {node.id}, {directory}, cannot be read: {reason}; choose another one."
        ) from None
    except StorageError as error:
        raise ClusterRefused(f"the data directory of node {node.id} cannot be used: {error}.") from None
    if identity is None and names - _OURS:
        stranger = min(names - _OURS)
        raise ClusterRefused(
            f"the data directory of node {node.id}, {directory}, is not empty and was not made by Barnabas (it has "
            f"{stranger}): choose an empty directory, or one that does not exist."
        )
    return identity


def _never_used(directory: Path) -> bool:
    """Nothing but an identity: no node has ever run here."""
    return set(os.listdir(directory)) <= {*_OURS, IDENTITY}


def make_identity(directory: Path, identity: Identity) -> None:
    """Durable on return."""
    try:
        disk = RealDisk(directory)
        try:
            write_identity(disk, identity)
            flush = disk.start_flush()
            flush.run()
            disk.finish_flush(flush)
        finally:
            disk.close()
    except StorageError as error:
        raise ClusterRefused(
            f"the data directory of node {identity.node_id}, {directory}, cannot be written: {error}."
        ) from None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        reason = (error.strerror or "unwritable").lower()
        raise ClusterRefused(f"{path} cannot be written: {reason}; choose another data directory.") from None
