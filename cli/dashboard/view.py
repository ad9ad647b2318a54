"""From what is known to what is seen: a pure function of the room, of what the person has chosen, and of the size.

From above: the cluster in a line, its nodes, the view that was chosen, the account of what happened, and the keys. Each
part takes the rows that it needs, in that order; the view and the account share what is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from ...cluster.event_file import Happened
from ...cluster.story import Passage
from .keys import VERBS, Looking
from .model import NodeView, Room
from .screen import Line, Screen, Span, length
from .tables import (
    Column,
    GroupRow,
    copy_columns,
    copy_rows,
    fitting,
    group_columns,
    group_rows,
    header,
    is_new,
    node_columns,
    partition_columns,
    partition_rows,
    row,
)
from .words import grouped, span

T = TypeVar("T")

LEAST_WIDTH, LEAST_HEIGHT = 60, 15
BAD_NEWS = ("BrokerFencedEvent", "LogDamaged", "LogQuarantined", "ControllerResigned", "BadRecords", "Truncated")

KEYS = (
    ("1-9", "node"),
    ("k", "kill"),
    ("s", "stop"),
    ("c", "continue"),
    ("r", "restart"),
    ("tab", "view"),
    ("/", "filter"),
    ("space", "pause"),
    ("?", "help"),
    ("q", "quit"),
)

HELP = """
p, b, g, e      partitions, partitions by broker, groups, events; tab goes from one to the next
up, down        scroll a row; page up and page down scroll a screen, home goes back
/               type a part of a name (topic, partition, or a word of an event); escape forgets it
space           hold the picture, and let it go again

1-9, n          choose a node, or the next one
k               kill -9 of the chosen node
s, c            stop it (SIGSTOP: it does nothing, its connections stay), and let it continue
r               restart it
q               leave; the cluster goes on

*               the active controller
in sync         replicas that an acknowledged write (acks=all) has reached
eligible        replicas that may lead although they are not in sync
hw              high watermark: records below it are committed, and consumers see only those
end             where the leader's log ends
reads           how many partitions a group or a member reads; lag: how many records it has not read yet
behind          by how many records a replica is behind its leader

Any key goes back.
"""


class Frame(NamedTuple):
    """A screen, how many rows its view has room for, and how far it is scrolled."""

    screen: Screen
    rows: int
    scroll: int


def render(room: Room, looking: Looking, width: int, height: int, *, local: bool = True, clock: str = "") -> Frame:
    """What is to be seen. `clock`: the time of day, for the corner."""
    if width < LEAST_WIDTH or height < LEAST_HEIGHT:
        told = f"Too small: {LEAST_WIDTH} by {LEAST_HEIGHT} characters needed"
        return Frame(Screen(width, height, [((told, "warn"),)]), 1, 0)
    if looking.help:
        lines: list[Line] = [(("Keys and words", "title"),), *(((line, ""),) for line in HELP.splitlines())]
        return Frame(Screen(width, height, lines), 1, 0)
    above = [_head(room, looking, width, clock), *_nodes(room, looking, width, height)]
    left = height - len(above) - 1
    if looking.view == "events":
        main, rows, scroll = _events(room, looking, width, left)
        account: list[Line] = []
    else:
        main, rows, scroll = _view(room, looking, width, left - max(5, left * 2 // 5))
        account = _account(room, looking, width, left - len(main))
    lines = [*above, *main, *account, _foot(looking, width, local=local)]
    return Frame(Screen(width, height, lines), rows, scroll)


# --- The cluster in a line ---


def _head(room: Room, looking: Looking, width: int, clock: str) -> Line:
    if room.stopped:
        told = " Not running: `barnabas up` starts the cluster, a node's number and r one node. "
        return ((told.ljust(width), "banner"),)
    if room.silent_ms and room.picture is not None:
        told = f" Nobody has answered for {span(room.silent_ms)}: this is how it was. "
        return ((told.ljust(width), "banner"),)
    alive = sum(node.state in ("serving", "active", "standing by", "stopping") for node in room.nodes.values())
    parts: list[tuple[str, str]] = [("Barnabas", "title"), (f" {room.cluster_id}", "dim")]
    if room.picture is None:
        parts.append((f"  nobody has answered for {span(room.silent_ms)}", "warn"))
    else:
        parts.append((f"  {alive} of {len(room.nodes)} nodes", "good" if alive == len(room.nodes) else "bad"))
        if room.controller < 0:
            parts.append(("  no active controller", "bad"))
        else:
            parts.append((f"  controller {room.controller} in epoch {room.controller_epoch}", ""))
        parts.append((f"  metadata {grouped(room.offset)}", ""))
    corner = "  held" if looking.paused else f"  {clock}"
    line = tuple(parts)
    if length(line) > width - len(corner):  # the id is what one can do without
        line = (parts[0], *parts[2:])
    return (*line, (corner.rjust(max(0, width - length(line))), "warn" if looking.paused else "dim"))


def _nodes(room: Room, looking: Looking, width: int, height: int) -> list[Line]:
    columns = fitting(node_columns(room), width)
    nodes = list(room.nodes.values())
    most = max(3, height // 3)
    if len(nodes) > most:  # those that are chosen or not well come first
        nodes.sort(key=lambda node: (node.seat.id != looking.node, node.state in ("serving", "active", "standing by")))
    lines = [header(columns)]
    lines += [_node(columns, node, looking, width) for node in nodes[:most]]
    if len(nodes) > most:
        lines.append(((f"... and {len(nodes) - most} more nodes", "dim"),))
    return lines


def _node(columns: Sequence[Column[NodeView]], node: NodeView, looking: Looking, width: int) -> Line:
    line = row(columns, node)
    if node.seat.id != looking.node:
        return line
    return (("".join(text for text, _ in line).ljust(width), "chosen"),)


# --- The view ---


def _view(room: Room, looking: Looking, width: int, height: int) -> tuple[list[Line], int, int]:
    if looking.view == "brokers":
        copies = copy_rows(room, looking.filter)
        columns = fitting(copy_columns(room), width)
        count = f"{grouped(len(copies))} replicas by broker"
        return _table(_title(count, room, looking, width), columns, copies, looking.scroll, height)
    if looking.view == "groups":
        groups = group_rows(room, looking.filter)
        many = sum(row.member is None for row in groups)
        count = "groups: waiting for an answer" if room.groups is None else f"{grouped(many)} group{'s' * (many != 1)}"
        title = _ruled(((count, "title"), *_filter(looking)), width)
        return _table(title, fitting(group_columns(room), width), groups, looking.scroll, height, _group_style)
    views = partition_rows(room, looking.filter)
    partitions = fitting(partition_columns(room), width)
    count = f"{grouped(len(views))} partition{'' if len(views) == 1 else 's'}"
    title = _title(count, room, looking, width)
    return _table(title, partitions, views, looking.scroll, height, lambda view: "title" if is_new(room, view) else "")


def _title(count: str, room: Room, looking: Looking, width: int) -> Line:
    trouble = room.trouble
    parts = [
        (trouble.leaderless, "without a leader", "bad"),
        (trouble.below_minimum, "below min.insync", "bad"),
        (trouble.under_replicated, "not wholly in sync", "warn"),
    ]
    told: list[Span] = []
    for number, what, style in parts:  # the worst first: those that have room
        part = (f"  {grouped(number)} {what}", style)
        if number and length(((count, ""), *told, part)) <= width - 4:
            told.append(part)
    if not told and room.partitions:
        told = [("  all in sync", "good")]
    return _ruled(((count, "title"), *told, *_filter(looking)), width)


def _group_style(row: GroupRow) -> str:
    return "title" if row.member is None else ""


def _filter(looking: Looking) -> Line:
    if looking.typing:
        return (("  filter: ", "key"), (f"{looking.filter}_", "title"))
    return ((f"  filter: {looking.filter}", "key"),) if looking.filter else ()


def _ruled(line: Line, width: int) -> Line:
    """A line of its own, with a rule to the edge."""
    return (("── ", "dim"), *line, (" " + "─" * max(0, width - length(line) - 4), "dim"))


def _table(
    title: Line,
    columns: Sequence[Column[T]],
    things: Sequence[T],
    scroll: int,
    height: int,
    style: object = None,
) -> tuple[list[Line], int, int]:
    room = max(1, height - 2)
    scroll = max(0, min(scroll, len(things) - room))
    lines = [title, header(columns)]
    lines += [row(columns, thing, style(thing) if callable(style) else "") for thing in things[scroll : scroll + room]]
    return lines[:height], room, scroll


# --- What happened ---


def _account(room: Room, looking: Looking, width: int, height: int) -> list[Line]:
    """The end of the story."""
    room_left = max(1, height - 1)
    passages = room.story[-room_left:]
    lines = [_passage(passage, width) for passage in passages]
    title = _ruled((("what happened, and why", "title"),), width)
    return [title, *lines, *[()] * (height - 1 - len(lines))]


def _events(room: Room, looking: Looking, width: int, height: int) -> tuple[list[Line], int, int]:
    """Every event by itself, the newest at the end."""
    needle = looking.filter
    shown = [event for event in room.events if needle in event.sentence or needle in event.cause]
    missed = ((f"  {grouped(room.missed)} older ones are forgotten", "dim"),) if room.missed else ()
    title = _ruled(((f"{grouped(len(shown))} events", "title"), *missed, *_filter(looking)), width)
    rows = max(1, height - 1)
    scroll = max(0, min(looking.scroll, len(shown) - rows))
    last = len(shown) - scroll
    lines = [_told(event, event.sentence, event.cause, width) for event in shown[max(0, last - rows) : last]]
    return [title, *lines, *[()] * (height - 1 - len(lines))], rows, scroll


def _passage(passage: Passage, width: int) -> Line:
    """With the names of partitions if there is room for them beside the cause."""
    named = f"{passage.sentence} ({passage.which})" if passage.which else passage.sentence
    fits = len(named) + len(passage.cause) + 19 <= width
    return _told(passage.first, named if fits else passage.sentence, passage.cause, width)


def _told(event: Happened, sentence: str, cause: str, width: int) -> Line:
    style = "bad" if event.event in BAD_NEWS else "new" if event.event == "PartitionLeaderChanged" else ""
    when = event.time[11:23]
    node = f" {event.node} " if width >= 120 else " "
    if cause and len(when) + len(node) + len(sentence) + len(cause) + 2 > width:
        cause = cause[: max(0, width - len(when) - len(node) - len(sentence) - 3)] + "…"
    return ((when + node, "dim"), (sentence, style), (f": {cause}" if cause else "", "dim"))


def _foot(looking: Looking, width: int, *, local: bool) -> Line:
    if looking.message:
        return ((f" {looking.message} ".ljust(width), "bar"),)
    keys = [(key, what) for key, what in KEYS if local or what not in ("node", *VERBS.values())]
    blank = "  " if sum(len(key) + len(what) + 3 for key, what in keys) <= width else " "
    spans: list[tuple[str, str]] = []
    for key, what in keys:
        spans += [(key, "key"), (f" {what}{blank}", "dim")]
    return tuple(spans)
