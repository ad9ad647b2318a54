"""`verify DATA`: read every stored log of a stopped cluster, or of one node, and say what is wrong."""

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Commands, WrongUsage, add_json

if TYPE_CHECKING:
    from ..storage.files import FileReader
    from ..storage.verify import Finding
    from .repair import Repair

_PARTITION = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)-(?P<index>\d+)/")
_METADATA = "metadata/__cluster_metadata-0"


def register(commands: Commands) -> None:
    verify = commands.add_parser(
        "verify",
        help="check the logs on disk of a cluster that is stopped, and tell what to do",
        examples="""
            barnabas verify barnabas-data             a whole cluster: replicas are compared, too
            barnabas verify barnabas-data/node-2      one node
            barnabas verify barnabas-data --set-aside
        """,
    )
    verify.add_argument("data", metavar="DATA", help="a cluster's data directory, or one node's")
    verify.add_argument(
        "--set-aside",
        action="store_true",
        help="rename damaged logs that another node has whole, so that the next start fetches them again",
    )
    add_json(verify)
    verify.set_defaults(run=run_verify)


def run_verify(arguments: argparse.Namespace) -> int:
    nodes, copies, findings = examine(Path(arguments.data))
    from ..storage.checkpoint import IDENTITY
    from .output import as_json, counted
    from .repair import repairs

    alone = Path(arguments.data, IDENTITY).is_file()
    advice = repairs(findings, copies, None if alone else arguments.data)
    aside: list[str] = []
    if arguments.set_aside:
        if alone:
            raise WrongUsage("--set-aside needs the data directory of a cluster, where another node has the log whole")
        aside = _set_aside(Path(arguments.data), advice)
    if arguments.json:
        as_json(
            {
                "nodes": nodes,
                "partitions": len(copies),
                "findings": [
                    {"node": name or None, "partition": finding.directory or None, "sentence": finding.sentence}
                    for name, finding in findings
                ],
                "advice": [
                    {"node": repair.node or None, "partition": repair.directory or None, "sentence": repair.sentence}
                    for repair in advice
                ],
                "set_aside": aside,
            }
        )
    else:
        for name, finding in findings:
            print(f"{name or finding.directory}: {finding.sentence}")
        found = counted(len(findings), "finding") if findings else "nothing is wrong"
        print(f"{counted(len(nodes), 'node')}, {counted(len(copies), 'partition')}: {found}")
        if advice:
            print("what to do:")
        for repair in advice:
            place = " of ".join(filter(None, [repair.directory, repair.node]))
            print(f"  {place}: {repair.sentence}")
        for path in aside:
            print(f"renamed to {path}")
    return 1 if findings else 0


def _set_aside(directory: Path, advice: "list[Repair]") -> list[str]:
    from .repair import set_aside

    directories = _directories(directory)
    done = []
    for repair in advice:
        data = directories.get(repair.node, directory)
        name = set_aside(repair, data) if repair.file else None
        if name is not None:
            done.append(str(data / repair.directory / name))
    return done


def examine(directory: Path) -> "tuple[list[str], dict[str, list[str]], list[tuple[str, Finding]]]":
    """The nodes that were looked at, the partitions and which nodes have a copy, and what is wrong where.

    Raises ClusterRefused if the cluster is running, or there is none.
    """
    directories = _directories(directory)
    from ..storage.files import FileReader
    from ..storage.verify import verify_data_dir, verify_log

    nodes = {name: FileReader(path) for name, path in directories.items()}

    findings: list[tuple[str, Finding]] = []
    for name, reader in nodes.items():
        findings += [(name, finding) for finding in verify_data_dir(reader)]
        if reader.list(_METADATA):
            findings += [(name, finding) for finding in verify_log(reader, _METADATA)]
    partitions = _partitions(nodes)
    for place, names in sorted(partitions.items()):
        findings += [("", finding) for finding in _compare(nodes, place, names)]
    return sorted(nodes), partitions, findings


def _directories(directory: Path) -> dict[str, Path]:
    """The data directories that are meant, by what a person calls them."""
    from ..cluster.formatting import ClusterRefused, read_formatted
    from ..cluster.processes import living
    from ..cluster.supervisor import pids
    from ..storage.checkpoint import IDENTITY

    formatted = read_formatted(directory)
    if formatted is not None:
        running = living(formatted.directory)
        if running:
            raise ClusterRefused(
                f"the cluster in {directory} is running ({pids(running)}), and its logs change while they are read: "
                f"stop it with `barnabas down --data {directory}` first."
            )
        return {f"node-{node.id}": formatted.config.data_of(node) for node in formatted.config.nodes}
    if directory.joinpath(IDENTITY).is_file():
        return {directory.name: directory}
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
