"""`events`: what the cluster has decided and why, of all nodes in the order of time."""

import argparse
import time
from typing import TYPE_CHECKING

from .arguments import Commands, add_data, data_of, positive
from .moments import moment
from .pausing import pause

if TYPE_CHECKING:
    from ..cluster.event_file import Happened

AGAIN = 0.1  # seconds between two looks at the files; nothing portable tells that a file has grown
LATE_MS = 50  # an event is shown once it is this old, so that a node that writes a little later comes in order


def register(commands: Commands) -> None:
    events = commands.add_parser(
        "events",
        help="tell what the cluster has decided, and why",
        examples="""
            barnabas events                         everything that the nodes remember
            barnabas events --follow --since 10m    the last ten minutes, and what comes
            barnabas events --node 2 --json         one node, a JSON object a line
        """,
        notes="docs/events.md lists every event with its fields.",
    )
    events.add_argument("--follow", "-f", action="store_true", help="go on with what comes, until Ctrl-C")
    events.add_argument("--json", action="store_true", help="JSON lines, as the nodes keep them")
    events.add_argument("--node", type=positive, metavar="N", help="only what this node tells")
    events.add_argument("--since", type=moment, metavar="WHEN", help="30s, 10m, 2h or 1d ago, or 2026-03-01T12:00:00Z")
    add_data(events)
    events.set_defaults(run=run_events)


def run_events(arguments: argparse.Namespace) -> int:
    from ..cluster.event_file import Tails
    from ..cluster.supervisor import existing, known_node

    formatted = existing(data_of(arguments))
    config = formatted.config
    nodes = config.nodes if arguments.node is None else (known_node(formatted, arguments.node),)
    tails = Tails({node.id: config.data_of(node) for node in nodes})
    earliest: int = arguments.since or 0
    if not arguments.follow:
        _show([event for event in tails.poll() if event.ms >= earliest], as_json=arguments.json)
        return 0
    held: list[Happened] = []
    while True:
        held = sorted(held + tails.poll(), key=lambda event: event.ms)
        settled = time.time_ns() // 1_000_000 - LATE_MS
        _show([event for event in held if earliest <= event.ms <= settled], as_json=arguments.json)
        held = [event for event in held if event.ms > settled]
        pause(AGAIN)


def _show(events: "list[Happened]", *, as_json: bool) -> None:
    if as_json:
        import msgspec

        for event in events:
            print(msgspec.json.encode(event).decode())
    else:
        for event in events:
            print(f"{event.time}  node {event.node} {event.actor:<10}  {event.sentence}: {event.cause}")
    if events:
        print(end="", flush=True)
