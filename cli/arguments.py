"""What commands have in common on their command lines: how to find a cluster, and how numbers are written."""

import argparse
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ..cluster.formatting import Formatted

BOOTSTRAP = "BARNABAS_BOOTSTRAP"
DATA = "barnabas-data"


class WrongUsage(Exception):
    """Options that cannot mean anything together; the message is one sentence."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and where to read more."""

    def error(self, message: str) -> NoReturn:
        text = message[:1].lower() + message[1:]
        self.exit(2, f"{self.prog}: {text.rstrip('.')}; see `{self.prog} --help`.\n")


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[Parser]
else:
    Commands = object


def add_cluster(parser: Parser) -> None:
    """How to find the cluster that a command talks to."""
    parser.add_argument("--bootstrap", metavar="HOST:PORT,...", help=f"brokers to begin with (default: ${BOOTSTRAP})")
    add_data(parser)


def add_data(parser: Parser) -> None:
    """Which data directory a command is about."""
    parser.add_argument("--data", metavar="DIR", help=f"the cluster's data directory (default: {DATA})")


def add_json(parser: Parser) -> None:
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


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
