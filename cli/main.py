"""The command `barnabas`: which words there are, and what happens when something goes wrong.

Each family of commands has a file with `register(commands)`; what a command needs it imports when it runs, so the
first output comes at once. A refusal is one sentence and exit code 1, wrong usage is 2, a mistake of ours 70, Ctrl-C
130, and a reader who has seen enough 141. Never a traceback, unless BARNABAS_TRACEBACK is set.
"""

import argparse
import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .arguments import Parser

DESCRIPTION = "A replicated event log that Kafka's clients and tools can use."
NOTES = """Commands find the cluster by --bootstrap, by --data, by the variable BARNABAS_BOOTSTRAP, or in
./barnabas-data. `barnabas COMMAND --help` tells the rest, with examples."""
TRACEBACK = "BARNABAS_TRACEBACK"

# What is raised on purpose, with a sentence for a person. An error of a module that was not imported cannot come.
_REFUSALS = (
    ("client.errors", "BarnabasError"),
    ("cluster.config", "ConfigError"),
    ("cluster.formatting", "ClusterRefused"),
    ("storage.checkpoint", "ForeignDirectory"),
    ("storage.disk", "StorageError"),
    ("transport.errors", "TransportError"),
    ("cli.arguments", "WrongUsage"),
)
_NAMES = {"Barnabas", "Python"}
_ADVICE = {
    errno.ENOSPC: "; free some space, or choose another place",
    errno.EDQUOT: "; free some space, or choose another place",
    errno.EACCES: "; ask whoever owns it, or choose another place",
    errno.EPERM: "; ask whoever owns it, or choose another place",
    errno.EROFS: "; choose another place",
    errno.EMFILE: "; raise the limit of open files (`ulimit -n`)",
    errno.ENOMEM: "; end something else first",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    if sys.stdout is None or sys.stderr is None:  # it was closed: whatever is said is said to nobody
        sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    try:
        arguments = parser().parse_args(argv)
        code = cast("Callable[[argparse.Namespace], int]", arguments.run)(arguments)
    except SystemExit as ended:  # help was printed, or wrong usage told
        return _flushed(ended.code if isinstance(ended.code, int) else 0)
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is heard: nothing may interrupt the end
        _drop_output()
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        _drop_output()
        return 141
    except Exception as error:  # noqa: BLE001  the last frame there is: people get a sentence
        return _failed(error)
    return _flushed(code)


def parser() -> "Parser":
    """All commands and their options."""
    from .. import __version__
    from . import (
        bench,
        brokers,
        chaos,
        clusters,
        completion,
        consume,
        dashboard,
        delete_records,
        demo,
        elections,
        events,
        explain,
        groups,
        learn,
        nodes,
        produce,
        reassign,
        simulate,
        topics,
        trace,
        verify,
    )
    from .arguments import Commands, Parser

    top = Parser(prog="barnabas", description=DESCRIPTION, notes=NOTES)
    top.add_argument("--version", action="version", version=f"barnabas {__version__}")
    commands = top.add_subparsers(metavar="COMMAND", required=True, title="commands")
    assert isinstance(commands, Commands), "parsers make their own kind"
    families = (
        clusters, nodes, topics, produce, consume, groups, delete_records, brokers, reassign, elections, events,
        explain, trace, dashboard, chaos, verify, simulate, demo, learn, bench, completion,
    )  # fmt: skip
    for family in families:
        family.register(commands)
    return top


def say(error: Exception | str) -> None:
    """One sentence on standard error."""
    text = " ".join(str(error).split()) or type(error).__name__
    first, blank, rest = text.partition(" ")
    if first.istitle() and first not in _NAMES:  # what the cluster says begins like a sentence
        text = first.lower() + blank + rest
    with suppress(OSError):  # that it is not taken, is told when the output ends
        sys.stdout.flush()
    print(f"barnabas: {text}{'' if text.endswith(('.', '?', '!')) else '.'}", file=sys.stderr)


def _failed(error: Exception) -> int:
    """Say why; the exit code."""
    if os.environ.get(TRACEBACK):
        traceback.print_exception(error)
    code = 1
    if isinstance(error, tuple(_refusals())):
        sentence = str(error) or type(error).__name__
        code = 2 if type(error).__name__ == "WrongUsage" else 1
    elif isinstance(error, OSError):
        what = (error.strerror or str(error) or type(error).__name__).lower()
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        sentence = f"{where}{what}{_ADVICE.get(error.errno or 0, '')}"
    elif isinstance(error, MemoryError):
        sentence = "there is not enough memory; end something else first"
    else:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{os.path.basename(last.filename)}, line {last.lineno}"
        sentence = (
            f"this is a mistake in Barnabas and not in what you typed: {type(error).__name__}: {error} ({place}); "
            f"please report it, with what {TRACEBACK}=1 prints before this"
        )
        code = 70
    with suppress(OSError):  # nobody may be there to hear it
        say(sentence)
    _drop_output()
    return code


def _refusals() -> Iterator[type[Exception]]:
    package = __package__.rpartition(".")[0]
    for module, name in _REFUSALS:
        found = sys.modules.get(f"{package}.{module}")
        if found is not None:
            yield getattr(found, name)


def _flushed(code: int) -> int:
    """All has been said; the exit code, unless the output does not take it."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:
        return _failed(error)
    return code


def _drop_output() -> None:
    """What is still to be written goes nowhere, or the interpreter would complain at its end."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
