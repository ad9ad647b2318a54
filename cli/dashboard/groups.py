"""Consumer groups for the control room: members, what they read, and how far they are behind.

Groups are asked for by an admin in a thread of its own, and only while somebody looks at them: a question about a group
goes to its coordinator, and its lags take the ends of all the partitions that it reads.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ...actors.group_admin_messages import GroupPicture
from ...client import Admin
from ...client.errors import BarnabasError
from ...client.group_admin import GroupLag

EVERY_S = 1.0  # between two looks
MOST = 50  # groups that are looked into
PATIENCE_S = 3.0


class MemberView(NamedTuple):
    """One member of a group; `member` "" stands for partitions that nobody reads."""

    group: str
    member: str
    client_id: str
    host: str
    state: str
    partitions: int
    lag: int | None  # None: it is not known


class GroupView(NamedTuple):
    """A group and its members."""

    group: str
    kind: str
    state: str
    epoch: int
    partitions: int
    lag: int | None
    members: list[MemberView]


def view(picture: GroupPicture, lags: Sequence[GroupLag]) -> GroupView:
    """What is to be seen of a group."""
    by_member: dict[str, list[GroupLag]] = defaultdict(list)
    for lag in lags:
        by_member[lag.member].append(lag)
    members = []
    for member in picture.members:
        own = by_member.pop(member.member, [])
        members.append(
            MemberView(picture.group, member.member, member.client_id, member.host, member.state, len(own), _total(own))
        )
    left = [lag for rest in by_member.values() for lag in rest]
    if left and picture.members:
        members.append(MemberView(picture.group, "", "nobody", "", "", len(left), _total(left)))
    return GroupView(picture.group, picture.kind, picture.state, picture.epoch, len(lags), _total(lags), members)


def _total(lags: Sequence[GroupLag]) -> int | None:
    known = [lag.lag for lag in lags if lag.lag is not None]
    return sum(known) if known or not lags else None


def look(admin: Admin) -> list[GroupView]:
    """All groups as they are now. Raises BarnabasError."""
    names = sorted(listing.group for listing in admin.list_groups(timeout=PATIENCE_S))
    return [
        view(admin.describe_group(name, timeout=PATIENCE_S), admin.group_lags(name, timeout=PATIENCE_S))
        for name in names[:MOST]
    ]


class GroupWatch:
    """The thread. It begins when it is first wanted; `take` gives what is new, or None."""

    def __init__(self, bootstrap: str, wake: Callable[[], None]) -> None:
        self._bootstrap = bootstrap
        self._wake = wake
        self._wanted = threading.Event()
        self._over = threading.Event()
        self._found: list[GroupView] | None = None
        self._thread: threading.Thread | None = None

    def want(self, wanted: bool) -> None:
        """Whether somebody looks at groups."""
        if wanted and self._thread is None:
            self._thread = threading.Thread(target=self._watch, name="groups", daemon=True)
            self._thread.start()
        if wanted:
            self._wanted.set()
        else:
            self._wanted.clear()

    def take(self) -> list[GroupView] | None:
        """What was seen since the last time; None: nothing new."""
        found, self._found = self._found, None
        return found

    def close(self) -> None:
        self._over.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        with Admin(self._bootstrap) as admin:
            while not self._over.is_set():
                self._wanted.wait()
                if self._over.is_set():
                    return
                try:
                    self._found = look(admin)
                    self._wake()
                except BarnabasError:
                    pass  # the screen says that nobody answers; groups are asked for again
                self._over.wait(EVERY_S)
