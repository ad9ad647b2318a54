"""Configs on the command line: how they are given, and how they are shown with where they come from."""

import argparse
from typing import TYPE_CHECKING

from .arguments import Parser, WrongUsage

if TYPE_CHECKING:
    from ..actors.admin_messages import ConfigEntry

SOURCES = {1: "topic", 2: "broker", 3: "all brokers", 4: "cluster file", 5: "default"}


def add_changes(parser: Parser) -> None:
    """Options that set configs and take them back."""
    parser.add_argument(
        "--config", action="append", default=[], metavar="NAME=VALUE", help="set it; may be given again"
    )
    parser.add_argument(
        "--delete-config",
        action="append",
        default=[],
        metavar="NAME",
        help="take back what was set; may be given again",
    )


def given(texts: list[str]) -> dict[str, str]:
    """`NAME=VALUE` each. Raises WrongUsage."""
    configs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise WrongUsage(f"--config takes NAME=VALUE, not `{text}`")
        if name in configs:
            raise WrongUsage(f"--config gives {name} twice")
        configs[name] = value
    return configs


def add_all(parser: Parser) -> None:
    parser.add_argument("--all", action="store_true", help="those that are as they are by default too")


def show(entries: "list[ConfigEntry]", arguments: argparse.Namespace) -> None:
    """A table or JSON."""
    from .output import as_json, table

    if arguments.json:
        as_json(
            [
                {
                    "name": entry.name,
                    "value": entry.value,
                    "default": entry.default,
                    "source": SOURCES[entry.source],
                    "type": entry.type,
                    "read_only": entry.read_only,
                    "doc": entry.doc,
                    "synonyms": [
                        {"name": each.name, "value": each.value, "source": SOURCES[each.source]}
                        for each in entry.synonyms
                    ],
                }
                for entry in entries
            ]
        )
        return
    chosen = [entry for entry in entries if arguments.all or SOURCES[entry.source] != "default"]
    if not chosen:
        print("every config is as it is by default; --all shows them")
        return
    table(
        ("CONFIG", "VALUE", "FROM", "DEFAULT", "TYPE"),
        [(entry.name, entry.value or "-", SOURCES[entry.source], entry.default or "-", entry.type) for entry in chosen],
    )
