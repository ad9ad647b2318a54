"""The tables of the control room: what is in which column, and which columns there is room for.

A column has a width and a weight: narrow screens leave out the columns that matter least. A table is a header and rows
as lines; which rows are shown is the screen's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from .groups import GroupView, MemberView
from .model import NodeView, PartitionView, Room
from .screen import Line, Span
from .words import amount, bars, fit, grouped, ids, share, size, span

NEW_MS = 2_500  # what changed is marked for so long
T = TypeVar("T")

STATE_STYLES = {
    "serving": "good",
    "active": "good",
    "standing by": "good",
    "running": "good",
    "dead": "bad",
    "gone": "bad",
    "paused": "bad",
    "silent": "bad",
    "fenced": "warn",
    "stopping": "warn",
    "recovering": "warn",
    "registering": "warn",
}


class Column(NamedTuple, Generic[T]):
    """One column of a table of `T`. A higher `weight` goes first when there is no room."""

    title: str
    width: int
    cell: Callable[[T], str | Span]
    right: bool = False
    weight: int = 0


def fitting(columns: Sequence[Column[T]], width: int) -> list[Column[T]]:
    """Those that fit beside each other, with a blank between."""
    kept = list(columns)
    while kept and sum(column.width for column in kept) + len(kept) - 1 > width:
        heaviest = max(column.weight for column in kept)
        kept.remove(next(column for column in reversed(kept) if column.weight == heaviest))
    return kept


def header(columns: Sequence[Column[T]]) -> Line:
    return ((" ".join(fit(column.title, column.width, right=column.right) for column in columns), "head"),)


def row(columns: Sequence[Column[T]], thing: T, style: str = "") -> Line:
    """The cells of one thing; a style of the row counts where a cell has none of its own."""
    spans: list[Span] = []
    plain = ""  # cells of the row's own style, one after the other
    for number, (_, width, cell, right, _) in enumerate(columns):
        told = cell(thing)
        text, own = (told, "") if isinstance(told, str) else told
        text = fit(text, width, right=right)
        if number:
            text = f" {text}"
        if not own:
            plain += text
            continue
        if plain:
            spans.append((plain, style))
            plain = ""
        spans.append((text, own))
    if plain:
        spans.append((plain, style))
    return tuple(spans)


# --- Nodes ---


def node_columns(room: Room) -> list[Column[NodeView]]:
    """One line per node."""

    def state(node: NodeView) -> Span:
        word = node.state or "unknown"
        if word == "silent":
            return f"silent {span(room.now - node.heard_at)}", "bad"
        return word, STATE_STYLES.get(word, "dim")

    def name(node: NodeView) -> str:
        return f"{node.seat.id} {'*' if node.seat.id == room.controller else ' '}"

    def pid(node: NodeView) -> str:
        return "-" if node.figure is None or not node.figure.pid or node.state == "dead" else str(node.figure.pid)

    def logs(node: NodeView) -> str:
        if node.measured is None:
            return "-"
        return size(node.log_bytes)

    quiet = ("", "dim")
    return [
        Column("NODE", 5, name),
        Column("STATE", 13, state),
        Column("PID", 7, pid, right=True, weight=4),
        Column("CPU", 5, lambda node: share(node.figure.cpu) if node.figure else "-", right=True, weight=3),
        Column("MEM", 7, lambda node: size(node.figure.memory) if node.figure else "-", right=True, weight=3),
        Column("LOGS", 7, logs, right=True, weight=5),
        Column("FREE", 7, lambda node: size(node.measured.disk_free) if node.measured else "-", right=True, weight=6),
        Column("LEADS", 5, lambda node: str(room.leads(node.seat.id)), right=True, weight=2),
        Column("IN/s", 6, lambda node: amount(node.flow.rate.records_in), right=True, weight=1),
        Column("", 8, lambda node: (bars([rate.records_in for rate in node.flow.history], 8), "bars"), weight=1),
        Column("OUT/s", 6, lambda node: amount(node.flow.rate.records_out), right=True, weight=1),
        Column("", 8, lambda node: (bars([rate.records_out for rate in node.flow.history], 8), "bars"), weight=8),
        Column("B IN/s", 7, lambda node: size(int(node.flow.rate.bytes_in)), right=True, weight=9),
        Column("B OUT/s", 7, lambda node: size(int(node.flow.rate.bytes_out)), right=True, weight=9),
        Column("ACTORS", 17, lambda node: (",".join(node.seat.actors), "dim"), weight=10),
        Column("ADDRESS", 21, lambda node: (node.seat.endpoint.removeprefix("tcp://"), "dim"), weight=11),
        Column("RACK", 8, lambda node: (node.seat.rack, "dim") if node.seat.rack else quiet, weight=12),
    ]


# --- Partitions ---


def partition_columns(room: Room) -> list[Column[PartitionView]]:
    """One line per partition: the leader's numbers, and how far the others are behind."""

    def leader(view: PartitionView) -> Span:
        if view.leader < 0:
            return "none", "bad"
        return str(view.leader), "new" if is_new(room, view) else ""

    def isr(view: PartitionView) -> Span:
        style = "bad" if len(view.isr) < view.min_insync else "warn" if len(view.isr) < len(view.replicas) else ""
        return ids(view.isr), style

    def hw(view: PartitionView) -> str:
        return "-" if view.leading is None else grouped(view.leading.hw)

    def end(view: PartitionView) -> str:
        return "-" if view.leading is None else grouped(view.leading.end)

    def behind(view: PartitionView) -> Span:
        lags = {broker: view.lag(broker) for broker in view.replicas if broker != view.leader}
        told = [f"{broker}:{lag}" for broker, lag in lags.items() if lag]
        return " ".join(told), "warn"

    return [
        Column("PARTITION", 20, lambda view: view.name),
        Column("LEADER", 6, leader, right=True),
        Column("EPOCH", 5, lambda view: str(view.leader_epoch), right=True, weight=3),
        Column("P.EP", 5, lambda view: (str(view.partition_epoch), "dim"), right=True, weight=7),
        Column("IN SYNC", 9, isr),
        Column("ELIGIBLE", 8, lambda view: (ids(view.elr), "warn" if view.elr else "dim"), weight=4),
        Column("HW", 11, hw, right=True),
        Column("END", 11, end, right=True, weight=2),
        Column("IN/s", 6, lambda view: amount(view.flow.rate.records_in), right=True, weight=5),
        Column("", 16, lambda view: (bars([rate.records_in for rate in view.flow.history], 16), "bars"), weight=6),
        Column("START", 9, lambda view: grouped(view.leading.start) if view.leading else "-", right=True, weight=9),
        Column("SIZE", 7, lambda view: size(view.leading.size) if view.leading else "-", right=True, weight=8),
        Column("BEHIND", 20, behind, weight=7),
        Column("REPLICAS", 9, lambda view: (ids(view.replicas), "dim"), weight=10),
    ]


def is_new(room: Room, view: PartitionView) -> bool:
    """Whether its leader or ISR has just changed."""
    return view.changed_at >= 0 and room.now - view.changed_at < NEW_MS


def partition_rows(room: Room, needle: str) -> list[PartitionView]:
    """Those that the filter lets through: what is wrong first, then by topic."""
    return [view for view in room.by_health if needle in view.name] if needle else room.by_health


# --- Partitions by broker ---


class Copy(NamedTuple):
    """One broker's replica of one partition."""

    broker: int
    view: PartitionView


def copy_columns(room: Room) -> list[Column[Copy]]:
    """One line per replica, by broker."""

    def role(copy: Copy) -> Span:
        if copy.view.leader == copy.broker:
            return "leads", "new" if is_new(room, copy.view) else "good"
        if copy.broker in copy.view.isr:
            return "in sync", ""
        return ("eligible", "warn") if copy.broker in copy.view.elr else ("behind", "warn")

    def told(copy: Copy, field: str) -> str:
        measure = copy.view.copies.get(copy.broker)
        return "-" if measure is None else grouped(getattr(measure, field))

    def lag(copy: Copy) -> Span:
        behind = copy.view.lag(copy.broker)
        return ("-", "dim") if behind is None else (grouped(behind), "warn" if behind else "dim")

    return [
        Column("BROKER", 6, lambda copy: str(copy.broker), right=True),
        Column("PARTITION", 20, lambda copy: copy.view.name),
        Column("ROLE", 8, role),
        Column("EPOCH", 5, lambda copy: str(copy.view.leader_epoch), right=True, weight=2),
        Column("END", 11, lambda copy: told(copy, "end"), right=True),
        Column("LAG", 8, lag, right=True),
        Column("HW", 11, lambda copy: told(copy, "hw"), right=True, weight=1),
        Column("DURABLE", 11, lambda copy: told(copy, "durable"), right=True, weight=3),
        Column("START", 11, lambda copy: told(copy, "start"), right=True, weight=5),
        Column("SIZE", 13, lambda copy: told(copy, "size"), right=True, weight=4),
    ]


def copy_rows(room: Room, needle: str) -> list[Copy]:
    """Every replica that the filter lets through: by broker, what it leads first."""
    found = [Copy(broker, view) for view in room.partitions.values() if needle in view.name for broker in view.replicas]
    return sorted(found, key=lambda copy: (copy.broker, copy.view.leader != copy.broker))


# --- Groups ---

GROUP_STATES = {"Stable": "good", "Empty": "dim", "Dead": "bad"}


class GroupRow(NamedTuple):
    """A group, or, below it, one of its members."""

    group: GroupView
    member: MemberView | None


def group_columns(room: Room) -> list[Column[GroupRow]]:
    """One line per group and one per member."""

    def name(row: GroupRow) -> str | Span:
        return row.group.group if row.member is None else (f"  {row.member.client_id or row.member.member}", "dim")

    def state(row: GroupRow) -> Span:
        if row.member is not None:
            return row.member.state, "dim"
        return row.group.state, GROUP_STATES.get(row.group.state, "warn")

    def coordinator(row: GroupRow) -> str:
        leader = room.coordinator(row.group.group) if row.member is None else -1
        return "" if row.member is not None else str(leader) if leader >= 0 else "-"

    def members(row: GroupRow) -> str:
        return str(sum(bool(one.member) for one in row.group.members)) if row.member is None else ""

    def lag(row: GroupRow) -> Span:
        behind = row.group.lag if row.member is None else row.member.lag
        return ("-", "dim") if behind is None else (grouped(behind), "warn" if behind else "dim")

    return [
        Column("GROUP, MEMBERS", 32, name),
        Column("STATE", 16, state),
        Column("COORD", 5, coordinator, right=True, weight=2),
        Column("MEMBERS", 7, members, right=True, weight=1),
        Column("READS", 5, lambda row: str((row.member or row.group).partitions), right=True),
        Column("LAG", 10, lag, right=True),
        Column("EPOCH", 5, lambda row: str(row.group.epoch) if row.member is None else "", right=True, weight=3),
        Column("KIND", 9, lambda row: (row.group.kind, "dim") if row.member is None else "", weight=4),
        Column("HOST", 16, lambda row: (row.member.host, "dim") if row.member is not None else "", weight=5),
        Column("MEMBER ID", 36, lambda row: (row.member.member, "dim") if row.member is not None else "", weight=6),
    ]


def group_rows(room: Room, needle: str) -> list[GroupRow]:
    """Groups that the filter lets through, each followed by its members."""
    found: list[GroupRow] = []
    for group in room.groups or ():
        if needle in group.group:
            found.append(GroupRow(group, None))
            found += [GroupRow(group, member) for member in group.members]
    return found
