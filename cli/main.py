"""The command `barnabas`: which words there are, and what happens when something goes wrong.

Each family of commands has a file with `register(commands)`; what a command needs it imports when it runs, so the
first output comes at once. A refusal is one sentence and exit code 1, wrong usage is 2, Ctrl-C 130; never a traceback.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .arguments import Commands, Parser

DESCRIPTION = "A replicated event log in Kafka's record and log format. Kafka's wire protocol is to come."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        arguments = parser().parse_args(argv)
        code = cast("Callable[[argparse.Namespace], int]", arguments.run)(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except refusals() as error:
        from .arguments import WrongUsage

        say(error)
        return 2 if isinstance(error, WrongUsage) else 1
    return code


def parser() -> "Parser":
    """All commands and their options."""
    from .. import __version__
    from . import (
        bench,
        clusters,
        consume,
        dashboard,
        delete_records,
        demo,
        events,
        nodes,
        produce,
        simulate,
        topics,
        verify,
    )  # fmt: skip
    from .arguments import Parser

    top = Parser(prog="barnabas", description=DESCRIPTION)
    top.add_argument("--version", action="version", version=f"barnabas {__version__}")
    commands: Commands = top.add_subparsers(metavar="COMMAND", required=True)
    families = (
        clusters, nodes, events, topics, produce, consume, delete_records, dashboard, verify, simulate, demo, bench,
    )  # fmt: skip
    for family in families:
        family.register(commands)
    return top


def say(error: Exception) -> None:
    """One sentence on standard error."""
    text = " ".join(str(error).split()) or type(error).__name__
    sys.stdout.flush()
    print(f"barnabas: {text}{'' if text.endswith(('.', '?', '!')) else '.'}", file=sys.stderr)


def refusals() -> tuple[type[Exception], ...]:
    """What is raised on purpose, with a sentence for a person."""
    from ..client.errors import BarnabasError
    from ..cluster.config import ConfigError
    from ..cluster.formatting import ClusterRefused
    from ..storage.checkpoint import ForeignDirectory
    from ..storage.disk import StorageError
    from .arguments import WrongUsage

    return BarnabasError, ClusterRefused, ConfigError, ForeignDirectory, StorageError, WrongUsage


if __name__ == "__main__":
    sys.exit(main())
