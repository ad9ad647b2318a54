"""What commands have in common on their command lines: how to find a cluster, and how numbers are written.

A command is added with `commands.add_parser(name, help=..., examples=...)`: its help is a line in the list of commands,
and its examples are lines of `command    what it does`, which a test runs through the parser.
"""

import argparse
import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from ..client import Admin
    from ..cluster.formatting import Formatted

BOOTSTRAP = "BARNABAS_BOOTSTRAP"
DATA = "barnabas-data"


class WrongUsage(Exception):
    """Options that cannot mean anything together; the message is one sentence."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Examples keep their lines, and what an option does stands beside it."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and where to read more. An option is never guessed from its beginning."""

    def __init__(self, *, examples: str = "", notes: str = "", **options: Any) -> None:  # noqa: ANN401  argparse's own
        self.examples = examples.strip().splitlines()
        paragraphs = ["examples:\n" + "\n".join(f"  {line.strip()}" for line in self.examples)] if examples else []
        super().__init__(
            epilog="\n\n".join([*paragraphs, notes]) if examples or notes else None,
            formatter_class=_Formatter,
            allow_abbrev=False,
            **options,
        )
        self.register("action", "parsers", Commands)

    def error(self, message: str) -> NoReturn:
        text = message[:1].lower() + message[1:]
        self.exit(2, f"{self.prog}: {text.rstrip('.')}; see `{self.prog} --help`.\n")

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        """Unknown options are this command's to refuse, not the outermost parser's, which knows none of its options."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = [word for action in self._actions for word in action.option_strings]
            self.error(f"unrecognized arguments: {' '.join(unknown)}{_suggestion(unknown[0], options)}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: object) -> None:
        choices = action.choices
        if choices is not None and value not in choices:
            known = [str(choice) for choice in choices]
            said = f"{str(value)!r} is not one of {', '.join(known)}{_suggestion(str(value), known)}"
            raise argparse.ArgumentError(action, said)


class Commands(argparse._SubParsersAction):  # type: ignore[type-arg]
    """The words that may follow one: commands, and words that have commands of their own."""

    def add_parser(  # type: ignore[override]
        self,
        name: str,
        *,
        help: str,  # noqa: A002  argparse's own word
        examples: str = "",
        notes: str = "",
        description: str = "",
    ) -> Parser:
        """A command. `help` is its line in the list of commands, `examples` are lines of `command    what it does`."""
        text = description or f"{help[:1].upper()}{help[1:]}."
        made = super().add_parser(name, help=help, examples=examples, notes=notes, description=text)
        assert isinstance(made, Parser), "parsers make their own kind"
        return made

    def add_group(self, name: str, *, help: str) -> "Commands":  # noqa: A002
        """A word that has commands of its own, as `topic` in `topic create`."""
        found = self.add_parser(name, help=help).add_subparsers(metavar="COMMAND", required=True, title="commands")
        assert isinstance(found, Commands), "as was registered"
        return found


def _suggestion(word: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word.partition("=")[0], list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def add_cluster(parser: Parser) -> None:
    """How to find the cluster that a command talks to."""
    parser.add_argument("--bootstrap", metavar="HOST:PORT,...", help=f"brokers to begin with (default: ${BOOTSTRAP})")
    add_data(parser)


def add_data(parser: Parser) -> None:
    """Which data directory a command is about."""
    parser.add_argument("--data", metavar="DIR", help=f"the cluster's data directory (default: {DATA})")


def add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def elsewhere(arguments: argparse.Namespace) -> bool:
    """Whether a cluster is meant by its address, and not by a data directory on this machine."""
    given = arguments.bootstrap is not None
    return given or (arguments.data is None and bool(os.environ.get(BOOTSTRAP)))


def bootstrap_of(arguments: argparse.Namespace) -> str:
    """Where to begin: --bootstrap, --data, the environment, or the cluster that runs from the default directory."""
    given: str | None = arguments.bootstrap
    if given is None and arguments.data is None:
        given = os.environ.get(BOOTSTRAP) or None
    if given is None:
        return running(arguments).bootstrap
    for place in given.split(","):
        host, colon, port = place.strip().removeprefix("tcp://").rpartition(":")
        if not (host and colon and port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
            raise WrongUsage(f"`{place.strip()}` is not an address, expected HOST:PORT, or several with commas between")
    _knock(given)
    return given


def _knock(bootstrap: str) -> None:
    """Refuse at once if nobody listens at any of the addresses; a client would go on trying."""
    from ..cluster.formatting import ClusterRefused

    for place in bootstrap.split(","):
        host, _, port = place.strip().removeprefix("tcp://").rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=2.0).close()
        except OSError:
            continue
        return
    raise ClusterRefused(
        f"nobody answers at {bootstrap}: start the cluster with `barnabas up`, or correct --bootstrap or {BOOTSTRAP}."
    )


def admin_of(arguments: argparse.Namespace) -> "Admin":
    """A client for whoever asks or changes the cluster; close it."""
    bootstrap = bootstrap_of(arguments)
    from ..client import Admin

    return Admin(bootstrap)


def data_of(arguments: argparse.Namespace) -> Path:
    """The data directory that is meant."""
    return Path(arguments.data or DATA)


def running(arguments: argparse.Namespace) -> "Formatted":
    """The cluster that runs from the data directory; refused if there is none."""
    from ..cluster.supervisor import find

    return find(data_of(arguments))


def whole(text: str) -> int:
    """A whole number that is not negative."""
    if not (text.isascii() and text.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def positive(text: str) -> int:
    """A whole number above zero."""
    number = whole(text)
    if number == 0:
        raise argparse.ArgumentTypeError("0 is not a number above zero")
    return number


def seconds(text: str) -> float:
    """A time in seconds above zero."""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return number


def filled_bytes(text: str) -> bytes:
    """Text that is not empty, as the bytes that were typed."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return os.fsencode(text)
