"""One node as a process: from the fork to its exit code.

It owns a data directory (by its lock), a log file and a file of events, and tells its launcher what
that waits for: that a broker may serve, or, in one sentence, why this node cannot start.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Protocol

from ..actors.broker import Stop
from ..actors.chronicle import REMEMBERED, Noted
from ..actors.events import BrokerUnfencedEvent
from ..actors.kernel import Address, Event, address
from ..actors.node import Node
from ..actors.node_events import FaultsInjected
from ..storage.checkpoint import ForeignDirectory
from ..storage.disk import StorageError
from ..storage.real import RealDisk
from ..transport.errors import TransportError
from ..transport.process import Ended, Ending, Shell
from .assembly import BROKER, EVENTS, assemble, door, seat
from .event_file import EventFile
from .formatting import LINKS_LOG, LOG_FILE, ClusterRefused, Formatted, claim_directory
from .injection import FAULTS_FILE, Obeying, allowed
from .launcher import Report
from .links import LINKS, dialled

RESERVE = 64 << 20
"""Bytes of each file system kept for metadata and offsets: user writes are refused below it."""

GC_THRESHOLDS = (50_000, 20, 20)
"""What is made and lives on is much, and little of it is ever in a cycle: with Python's thresholds, reading a decision
about thousands of partitions walked through everything the node has, again and again (half of the time it took)."""


class Telling(Protocol):
    """What a `Channel` does here, or whoever runs a node in the foreground."""

    def tell(self, report: Report) -> None: ...


def run_forked(formatted: Formatted, which: int, channel: Telling) -> int:
    """What a launcher forks: one node, or the proxy between the nodes."""
    if which != LINKS:
        return run_node(formatted, which, channel)
    from .link_process import run_links

    _to_log(formatted.directory / LINKS_LOG)
    return run_links(formatted, channel, _say)


def run_node(formatted: Formatted, node_id: int, channel: Telling, *, foreground: bool = False) -> int:
    """Be the node until it is told to stop; its exit code. Called once, in a process of its own.

    In the foreground it speaks to standard error, and Ctrl-C stops it too.
    """
    node = formatted.config.node(node_id)
    directory = formatted.config.data_of(node)
    directory.mkdir(parents=True, exist_ok=True)
    if not foreground:
        _to_log(directory / LOG_FILE)
    gc.freeze()  # what was imported before the fork stays shared
    gc.set_threshold(*GC_THRESHOLDS)
    _say(f"node {node_id} starts as process {os.getpid()} at {node.address}")
    try:
        ended = _live(formatted, node_id, directory, channel, (signal.SIGTERM, *(signal.SIGINT,) * foreground))
    except TransportError as error:
        sentence = f"node {node_id} cannot start: {error}: stop what listens there, or give the node another address"
        return _failed(sentence, node_id, channel)
    except (StorageError, ForeignDirectory, ClusterRefused) as error:
        return _failed(f"node {node_id} cannot start: {error}", node_id, channel)
    if ended.how not in (Ending.CLOSED, Ending.STOPPED):
        return _failed(f"node {node_id} died: {ended.reason}", node_id, channel)
    _say(f"node {node_id} ends: {ended.reason}")
    return 0


def _failed(sentence: str, node_id: int, channel: Telling) -> int:
    _say(sentence)
    channel.tell(Report("failed", node_id, sentence))
    return 1


def _live(
    formatted: Formatted, node_id: int, directory: Path, channel: Telling, endings: tuple[signal.Signals, ...]
) -> Ended:
    formatted = claim_directory(formatted, node_id)
    obeying = Obeying(directory) if allowed(formatted) else None
    disk = RealDisk(directory, reserve=RESERVE, system=None if obeying is None else obeying.system)
    disk.lock()
    with closing(EventFile(directory, node_id)) as events:

        def on_event(actor: Address, event: Event) -> bytes:
            if isinstance(event, BrokerUnfencedEvent):
                channel.tell(Report("unfenced", event.broker))
            return events.write(actor, event)

        def obey() -> None:
            told = None if obeying is None else obeying.obey()
            if told is not None:
                event = FaultsInjected(node=node_id, told=told, cause=f"{FAULTS_FILE} says so")
                shell.tell(EVENTS, Noted(events.write(address(shell.node.endpoint, "node"), event)))
                _say(event.sentence())

        def started(shell: Shell) -> None:
            channel.tell(Report("listening", node_id))
            obey()

        signals: dict[int, Callable[[], None]] = dict.fromkeys(endings, lambda: finish(shell, node_id, formatted))
        if obeying is not None:
            signals[signal.SIGUSR2] = obey
        shell: Shell = node_shell(
            formatted,
            node_id,
            assemble(formatted, node_id, disk, earlier=events.newest(REMEMBERED)),
            on_event=on_event,
            on_start=started,
            on_slow=lambda what, seconds: _say(f"slow: {what} took {seconds * 1000:.0f} ms"),
            log=_say,
            signals=signals,
        )
        return shell.run()


def node_shell(
    formatted: Formatted,
    node_id: int,
    made: Node,
    *,
    on_event: Callable[[Address, Event], bytes],
    on_start: Callable[[Shell], None],
    on_slow: Callable[[str, float], None],
    log: Callable[[str], None],
    signals: Mapping[int, Callable[[], None]] | None = None,
) -> Shell:
    """The shell of an assembled node, with the sockets that its place in the cluster asks for.

    `on_event` writes an event down, and returns the line.
    """

    def note(actor: Address, event: Event) -> None:
        shell.tell(EVENTS, Noted(on_event(actor, event)))

    config = formatted.config
    place = seat(config, config.node(node_id))
    shell = Shell(
        made,
        bind=place.bind,
        broadcast=place.broadcast,
        subscribe=place.subscribe,
        topics={"M": BROKER},
        door=door(formatted, node_id, made, log),
        watch=place.watch,
        insecure=config.cluster.insecure,
        dial=dialled(config, formatted.links, node_id),
        on_start=on_start,
        on_event=note,
        on_slow=on_slow,
        log=log,
        signals=signals,
    )
    return shell


def finish(shell: Shell, node_id: int, formatted: Formatted) -> None:
    """End in good order: the first time a broker hands over what it leads; when it is told again it ends without."""
    if formatted.config.node(node_id).is_broker:
        shell.tell(BROKER, Stop())
    else:
        shell.close("it was told to")


def _to_log(path: Path) -> None:
    """Standard output and error go to the log, and nothing comes in."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(nothing)
    os.close(log)


def stamped(sentence: str) -> str:
    """A line of a log."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {sentence}\n"


def _say(sentence: str) -> None:
    sys.stderr.write(stamped(sentence))
    sys.stderr.flush()
