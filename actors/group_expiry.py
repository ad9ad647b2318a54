"""When offsets, and groups, are forgotten: nobody needed them for the retention time.

Expiry is for groups without members (KAFKA-13636, KAFKA-8069), and a wall clock that jumps must not expire anything. So
two clocks have to agree. By the wall clock the last member left, or the last commit was made, that long ago; and this
coordinator has seen the group without members for `observed_ms` (the retention time, if that is less) by the monotonic
clock. A group that was away together with its cluster has that time to come back.
"""

from __future__ import annotations

from functools import partial

from .bugs import bug
from .deadlines import Deadlines
from .group_decisions import Decision, Desk
from .group_events import OffsetsExpired
from .group_records import Entry, OffsetKey
from .group_settings import GroupSettings
from .group_state import Group
from .kernel import Context, Millis

CHECKS = 12
"""A group without members is looked at so often within the time in which it must be observed."""


class Expiry:
    """The groups of one partition that may be forgotten some day."""

    def __init__(self, desk: Desk, settings: GroupSettings) -> None:
        self._desk = desk
        self._settings = settings
        self._observe_ms = min(settings.observed_ms, settings.retention_ms)
        self._empty_since: dict[str, Millis] = {}
        self._checks: Deadlines[str] = Deadlines()

    def loaded(self, ctx: Context) -> None:
        """The groups were read; the time of those without members begins now."""
        for name in list(self._desk.groups):
            self.changed(name, ctx)

    def changed(self, name: str, ctx: Context) -> None:
        """Something of a group is other than it was."""
        group = self._desk.groups.get(name)
        if group is None or (self._desk.members(name) and not bug("expire-live-offsets")):
            self._empty_since.pop(name, None)
            self._checks.drop(name)
        elif name not in self._empty_since:
            self._empty_since[name] = ctx.now
            self._checks.set(name, Millis(ctx.now + self._observe_ms))

    def next_deadline(self) -> Millis | None:
        """When `on_time` has something to do."""
        return self._checks.next()

    def on_time(self, ctx: Context) -> None:
        """Look at the groups whose time it is."""
        for name in self._checks.due(ctx.now):
            self._checks.set(name, Millis(ctx.now + max(1, self._observe_ms // CHECKS)))
            self._desk.when_free(partial(self._look, name), ctx)

    def _look(self, name: str, ctx: Context) -> None:
        group = self._desk.groups.get(name)
        since = self._empty_since.get(name)
        if group is None or since is None or ctx.now - since < self._observe_ms:
            return
        if self._desk.members(name) and not bug("expire-live-offsets"):
            self._empty_since[name] = ctx.now  # members of whom nothing is written yet
            return
        entries = expired(group, ctx.wall, self._settings.retention_ms)
        if entries:
            count = sum(isinstance(entry.key, OffsetKey) for entry in entries)
            cause = f"nobody has been in it for {self._settings.retention_ms} ms"
            self._desk.write(
                name, Decision(entries, (), [OffsetsExpired(group=name, offsets=count, cause=cause)]), ctx, None
            )


def expired(group: Group, wall: Millis, retention_ms: int) -> list[Entry]:
    """What is old by the wall clock. When the last offset goes, so does the group."""
    since = 0
    if group.consumer is not None:
        since = group.consumer.value.stamp
    elif group.classic is not None:
        since = group.classic.stamp
    old = [p for p, value in group.offsets.items() if wall - max(since, value.stamp) >= retention_ms]
    if len(old) == len(group.offsets) and wall - since >= retention_ms and not group.size:
        return group.entries_to_forget()
    return [Entry(OffsetKey(group.name, *partition), None) for partition in old]
