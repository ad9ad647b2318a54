"""`verify DATA`: read every stored log of a stopped cluster, or of one node, and say what is wrong."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, add_json

if TYPE_CHECKING:
    from ..storage.files import FileReader
    from ..storage.verify import Finding

_PARTITION = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)-(?P<index>\d+)/")
_METADATA = "metadata/__cluster_metadata-0"


def register(commands: Commands) -> None:
    verify = commands.add_parser(
        "verify",
        help="check the logs on disk of a cluster that is stopped",
        examples="""
            barnabas verify barnabas-data             a whole cluster: replicas are compared, too
            barnabas verify barnabas-data/node-2      one node
        """,
    )
    verify.add_argument("data", metavar="DATA", help="a cluster's data directory, or one node's")
    add_json(verify)
    verify.set_defaults(run=run_verify)


def run_verify(arguments: argparse.Namespace) -> int:
    nodes, partitions, findings = examine(Path(arguments.data))
    from .output import as_json

    if arguments.json:
        as_json(
            {
                "nodes": nodes,
                "partitions": partitions,
                "findings": [{"node": name, "sentence": finding.sentence} for name, finding in findings],
            }
        )
    else:
        for name, finding in findings:
            print(f"{name}: {finding.sentence}" if name else finding.sentence)
        what = f"{len(nodes)} {'node' if len(nodes) == 1 else 'nodes'}, {partitions} partitions"
        print(f"{what}: {f'{len(findings)} findings' if findings else 'nothing is wrong'}")
    return 1 if findings else 0


def examine(directory: Path) -> "tuple[list[str], int, list[tuple[str, Finding]]]":
    """The nodes that were looked at, how many partitions they have, and what is wrong where.

    Raises ClusterRefused if the cluster is running, or there is none.
    """
    nodes = _nodes(directory)
    from ..storage.verify import verify_data_dir, verify_log

    findings: list[tuple[str, Finding]] = []
    for name, reader in nodes.items():
        findings += [(name, finding) for finding in verify_data_dir(reader)]
        if reader.list(_METADATA):
            findings += [(name, finding) for finding in verify_log(reader, _METADATA)]
    partitions = _partitions(nodes)
    for place, names in sorted(partitions.items()):
        findings += [("", finding) for finding in _compare(nodes, place, names)]
    return sorted(nodes), len(partitions), findings


def _nodes(directory: Path) -> "dict[str, FileReader]":
    """The data directories that are meant, by what a person calls them."""
    from ..cluster.formatting import ClusterRefused, read_formatted
    from ..cluster.processes import living
    from ..cluster.supervisor import pids
    from ..storage.checkpoint import IDENTITY
    from ..storage.files import FileReader

    formatted = read_formatted(directory)
    if formatted is not None:
        running = living(formatted.directory)
        if running:
            raise ClusterRefused(
                f"the cluster in {directory} is running ({pids(running)}), and its logs change while they are read: "
                f"stop it with `barnabas down --data {directory}` first."
            )
        return {f"node-{node.id}": FileReader(formatted.config.data_of(node)) for node in formatted.config.nodes}
    if directory.joinpath(IDENTITY).is_file():
        return {directory.name: FileReader(directory)}
    raise ClusterRefused(f"{directory} is neither the data directory of a cluster nor of a node: check its name.")


def _partitions(nodes: "dict[str, FileReader]") -> dict[str, list[str]]:
    """Every partition's directory, and the nodes that have it."""
    found: dict[str, list[str]] = {}
    for name, reader in nodes.items():
        for entry in reader.list(""):
            if _PARTITION.fullmatch(entry):
                found.setdefault(entry[:-1], []).append(name)
    return found


def _compare(nodes: "dict[str, FileReader]", directory: str, names: list[str]) -> "list[Finding]":
    """Replicas of one partition must be equal below the smallest high watermark that they know."""
    from ..storage.checkpoint import HIGH_WATERMARKS, read_offsets
    from ..storage.verify import compare_replicas

    match = _PARTITION.fullmatch(f"{directory}/")
    assert match is not None, f"{directory} was matched before"
    place = (match["topic"], int(match["index"]))
    watermarks = [(read_offsets(nodes[name], HIGH_WATERMARKS).offsets or {}).get(place, 0) for name in names]
    if len(names) < 2:
        return []
    return compare_replicas({name: nodes[name] for name in names}, directory, min(watermarks))
