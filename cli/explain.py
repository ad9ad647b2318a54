"""`explain`: what the cluster decided, told as a story: one thing that happened is one sentence, with its cause."""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from .arguments import Commands, add_cluster, add_json, bootstrap_of, data_of, positive
from .moments import moment
from .pausing import pause
from .places import name, place

if TYPE_CHECKING:
    from ..cluster.event_file import Happened
    from ..cluster.story import Passage

QUIET_MS = 250  # a sentence is told once nothing has been added to what happened for so long
LONGEST_MS = 1_500  # or it has been held for so long
HISTORY_S = 5.0  # how long nodes elsewhere are waited for


def register(commands: Commands) -> None:
    explain = commands.add_parser(
        "explain",
        help="tell what happened in the cluster, and why, as a story",
        examples="""
            barnabas explain --since 10m                 the last ten minutes
            barnabas explain --follow                    go on with what comes, until Ctrl-C
            barnabas explain --partition orders:0        one partition, and the nodes that it depends on
            barnabas explain --bootstrap HOST:PORT       a cluster elsewhere, as far as its nodes remember
        """,
        notes="`barnabas events` has every event by itself.",
    )
    explain.add_argument("--follow", "-f", action="store_true", help="go on with what comes, until Ctrl-C")
    explain.add_argument("--since", type=moment, metavar="WHEN", help="30s, 10m, 2h or 1d ago, or 2026-03-01T12:00:00Z")
    explain.add_argument("--partition", metavar="TOPIC:PARTITION", help="only what concerns this partition")
    explain.add_argument("--node", type=positive, metavar="N", help="only what concerns this node")
    add_json(explain)
    add_cluster(explain)
    explain.set_defaults(run=run_explain)


def run_explain(arguments: argparse.Namespace) -> int:
    from ..cluster.story import concerning, tell

    partition = None if arguments.partition is None else name(place(arguments.partition))
    earliest: int = arguments.since or 0
    with _source(arguments) as source:

        def wanted(events: "Sequence[Happened]") -> "list[Happened]":
            recent = [event for event in events if event.ms >= earliest]
            return concerning(recent, partition, arguments.node)

        held = wanted(source.first())
        if not arguments.follow:
            _show(tell(held), as_json=arguments.json)
            if not held and not arguments.json:
                print("nothing happened" + (" since then" if earliest else ""))
            return 0
        _show(tell(held), as_json=arguments.json)
        _follow(source.next, wanted, as_json=arguments.json)
    return 0


def _follow(
    following: "Callable[[], Sequence[Happened]]",
    wanted: "Callable[[Sequence[Happened]], list[Happened]]",
    *,
    as_json: bool,
) -> None:
    """Tell what comes. What belongs together comes within moments, so a sentence waits for a moment of silence."""
    from ..cluster.story import tell

    held: list[Happened] = []
    while True:
        held = sorted(held + wanted(following()), key=lambda event: event.ms)
        now = time.time_ns() // 1_000_000
        if held and (now - held[-1].ms > QUIET_MS or now - held[0].ms > LONGEST_MS):
            _show(tell(held), as_json=as_json)
            held = []


def _show(story: "Sequence[Passage]", *, as_json: bool) -> None:
    if as_json:
        import msgspec

        for passage in story:
            told = {
                "time": passage.first.time,
                "sentence": passage.sentence,
                "cause": passage.cause,
                "partitions": passage.which,
                "epochs": passage.epochs,
                "events": len(passage.events),
            }
            print(msgspec.json.encode(told).decode(), flush=True)
        return
    from ..cluster.story import because

    for passage in story:
        about = ", ".join(filter(None, (passage.which, passage.epochs)))
        when = f"{passage.first.time[:10]} {passage.first.time[11:23]}"
        print(f"{when}  {passage.sentence}{f' ({about})' if about else ''}")
        if passage.cause:
            print(f"{'':25}because {because(passage.cause)}")
    if story:
        print(end="", flush=True)


# --- Where events come from ---


class _Files:
    """The files of nodes on this machine."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        from ..cluster.event_file import Tails
        from ..cluster.supervisor import existing

        config = existing(data_of(arguments)).config
        self._tails = Tails({node.id: config.data_of(node) for node in config.nodes})

    def first(self) -> "list[Happened]":
        return self._tails.poll()

    def next(self) -> "list[Happened]":
        pause(0.1)  # nothing portable tells that a file has grown
        return self._tails.poll()

    def __enter__(self) -> "_Files":
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""


class _Wire:
    """What nodes elsewhere remember, and tell when asked."""

    def __init__(self, bootstrap: str) -> None:
        from ..client.observer import Observer

        self._observer = Observer(bootstrap, measure_ms=10_000)
        self._nodes: set[str] = set()  # known to be there
        self._heard: set[str] = set()  # have told, or are dead

    def first(self) -> "list[Happened]":
        """What all nodes remember that are there."""
        deadline = time.monotonic() + HISTORY_S
        found: list[Happened] = []
        while time.monotonic() < deadline and not (self._nodes and self._nodes <= self._heard):
            found += self.next()
        return sorted(found, key=lambda event: event.ms)

    def next(self) -> "list[Happened]":
        from ..actors.observer import Died, Known, Told
        from ..cluster.event_file import decoded

        found: list[Happened] = []
        for fact in self._observer.facts(0.1):
            match fact:
                case Known():
                    self._nodes = {*fact.brokers.values(), *fact.controllers.values()}
                case Died():
                    self._heard.add(fact.endpoint)
                case Told():
                    self._heard.add(fact.endpoint)
                    found += [event for line in fact.lines if (event := decoded(line)) is not None]
                case _:
                    pass
        return found

    def __enter__(self) -> "_Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self._observer.close()


def _source(arguments: argparse.Namespace) -> "_Files | _Wire":
    from .arguments import elsewhere

    return _Wire(bootstrap_of(arguments)) if elsewhere(arguments) else _Files(arguments)
