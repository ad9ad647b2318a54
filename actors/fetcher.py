"""The follower's conversation with one leader: one long-polled request for all partitions (KIP-227).

The first request of a session lists every partition, later ones only those whose position changed since they were
last listed; any mismatch starts a new session with a full list. One request is out at a time; a second one is sent
only when a partition was added that cannot wait until the parked one is answered (a new leader must hear from its
followers at once), and the leader then answers the first. An answer counts for a partition only if its request asked
for what is asked for now: the copy may have been cut since, or set aside and begun anew, and a compacted log has
holes, so that nobody could tell what comes after a gap from what follows. The request that opens a session is not
parked at all: until it is answered no second one may be sent, and a follower that takes on many partitions lists them
little by little.

When a durable offset moves while a request is parked, a one-way `Synced` tells so; losing that is harmless, since the
next request lists the partition again.
"""

from __future__ import annotations

from collections.abc import Iterable

from .bugs import bug
from .copying import Copying
from .errors import ErrorCode
from .kernel import Address, Context, Millis, Timer
from .messages import (
    Fetch,
    Fetched,
    FetchedPartition,
    FetchPartition,
    Partition,
    Synced,
    SyncedPartition,
)

MAX_LISTED = 500
"""Partitions of one request. Whoever leads thousands would hear nobody else while it looks at them all."""

FIRST_REST_MS = 10
"""How long a partition is left out that its leader refused, the first time, and twice as long each time after: news of
an election often reach a follower some milliseconds before the leader, who can commit nothing without it."""

MAX_DOUBLINGS = 2
"""A leader that is slow to answer is given more time, up to four times as much: a session that begins anew lists every
partition, which makes it slower."""


class FetcherTimer(Timer, frozen=True):
    """The answer is overdue."""

    leader: int


class RestTimer(Timer, frozen=True):
    """What was left out after an error may be asked for again."""

    leader: int


class Fetcher:
    """Fetches from one leader. The owner hands answers to the replicas and says what changed."""

    def __init__(self, me: int, directory_id: str, leader: int, wait_ms: int, retry_ms: int) -> None:
        self.me = me
        self.directory_id = directory_id
        self.leader = leader
        self.wait_ms = wait_ms
        self.retry_ms = retry_ms
        self.copies: dict[Partition, Copying] = {}
        self._session = 0
        self._sequence = 0
        self._out: list[int] = []  # ids of the requests that are out
        self._overdue = 0  # answers in a row that did not come in time
        self._urgent = False  # something was added that should not wait for a parked request
        self._sent: dict[Partition, FetchPartition] = {}  # as last listed in this session
        self._since: dict[Partition, int] = {}  # the first request that asked for that offset of that log
        self._changed: dict[Partition, None] = {}
        self._forgotten: dict[Partition, None] = {}
        self._resting: dict[Partition, Millis] = {}  # left out until then, after an error
        self._refused: dict[Partition, int] = {}  # how often in a row
        self._synced: dict[Partition, int] = {}  # durable ends that the leader was told

    def add(self, copying: Copying) -> None:
        """Follow this partition here."""
        self.copies[copying.partition] = copying
        self._forgotten.pop(copying.partition, None)
        self._resting.pop(copying.partition, None)
        self._refused.pop(copying.partition, None)
        self._sent.pop(copying.partition, None)
        self._changed[copying.partition] = None
        self._urgent = True

    def remove(self, partition: Partition) -> None:
        """Follow it here no longer."""
        self.copies.pop(partition, None)
        self._changed.pop(partition, None)
        self._resting.pop(partition, None)
        self._refused.pop(partition, None)
        self._since.pop(partition, None)
        if self._sent.pop(partition, None) is not None:
            self._forgotten[partition] = None

    def change(self, partition: Partition, *, urgent: bool = False) -> None:
        """Its position has moved: list it in the next request; if urgent, do not wait for a parked one."""
        if self._refused:
            self._refused.pop(partition, None)
        if partition in self.copies:
            self._changed[partition] = None
            self._urgent = self._urgent or urgent

    def restart(self) -> None:
        """Begin a new session: the leader is another process, or an answer got lost."""
        self._session = self._sequence = 0
        self._out = []
        self._sent = {}
        self._forgotten = {}
        self._changed = dict.fromkeys(self.copies)

    def poll(self, to: Address, broker_epoch: int, request_id: int, ctx: Context) -> bool:
        """Send the next request unless one is out. Returns whether `request_id` was used."""
        room = not self._out or (self._urgent and len(self._out) == 1 and self._session != 0)
        if not room or not self.copies:
            return False
        self._rested(ctx.now)
        wanted: list[FetchPartition] = []
        listed, self._changed = self._changed, {}
        for partition in listed:
            if partition in self._resting:
                continue
            if len(wanted) == MAX_LISTED:
                self._changed[partition] = None
                continue
            part = self.copies[partition].wanted()
            before = self._sent.get(partition)
            if part is not None and part != before:
                wanted.append(part)
                if before is None or before.offset != part.offset:
                    self._since[partition] = request_id
                self._sent[partition] = part
                self._forgotten.pop(partition, None)
                self._synced[partition] = part.durable
        self._urgent = bool(self._changed)
        if self._out and not wanted:
            return False
        if not self._sent:
            self._rest(ctx)
            return False
        forgotten = list(self._forgotten)
        self._forgotten = {}
        self._out.append(request_id)
        fetch = Fetch(
            request_id,
            self.me,
            broker_epoch,
            self.directory_id,
            self._session,
            self._sequence,
            0 if self._changed or self._session == 0 else self.wait_ms,  # at once if more may have to be listed
            wanted,
            forgotten,
        )
        self._sequence += 1
        ctx.send(to, fetch)
        ctx.set_timer(FetcherTimer(self.leader), self.wait_ms + (self.retry_ms << min(self._overdue, MAX_DOUBLINGS)))
        return True

    def on_timer(self, timer: FetcherTimer | RestTimer, ctx: Context) -> None:
        """An overdue answer is given up, and with it the session; who has rested need not wait for a parked one."""
        if isinstance(timer, RestTimer):
            self._urgent = self._rested(ctx.now) or self._urgent
            if self._resting:
                self._rest(ctx)
        elif self._out:
            self._overdue += 1
            self.restart()

    def answered(self, answer: Fetched, ctx: Context) -> list[FetchedPartition]:
        """The partitions of an answer to a request that is out; a stale or refused answer has none."""
        if answer.id not in self._out:
            return [part for part in answer.partitions if self._takes_any(part.partition)]
        self._out.remove(answer.id)
        self._overdue = 0
        if answer.error is not ErrorCode.NONE:
            self.restart()
            if answer.error not in (ErrorCode.FETCH_SESSION_ID_NOT_FOUND, ErrorCode.INVALID_FETCH_SESSION_EPOCH):
                self._resting = {partition: Millis(ctx.now + self.retry_ms) for partition in self.copies}
                self._rest(ctx)
            return []
        self._session = answer.session
        return [part for part in answer.partitions if self._asks_still(part.partition, answer.id)]

    def _asks_still(self, partition: Partition, request_id: int) -> bool:
        """Whether that request asked for the same as the last one: it is taken into the log that it asked for."""
        asked = partition in self._sent and self._since[partition] <= request_id
        return asked or self._takes_any(partition)

    def _takes_any(self, partition: Partition) -> bool:
        return partition in self.copies and bug("answers-of-other-epochs")

    def dropped(self, partition: Partition, ctx: Context, *, rest: bool) -> None:
        """The leader has dropped this partition from the session: list it again, at once or after a rest."""
        self._sent.pop(partition, None)
        if rest:
            before = self._refused.get(partition, 0)
            self._refused[partition] = before + 1
            self._resting[partition] = Millis(ctx.now + min(self.retry_ms, FIRST_REST_MS << min(before, 16)))
            self._rest(ctx)
        else:
            self._urgent = True
        self._changed[partition] = None

    def pause(self, partition: Partition, until: Millis) -> None:
        """Fetch it no more until then; the leader is not to answer it from what it was told last."""
        if self._sent.pop(partition, None) is not None:
            self._forgotten[partition] = None
        self._changed.pop(partition, None)
        self._resting[partition] = until

    def tell_synced(self, to: Address, broker_epoch: int, moved: Iterable[Partition], ctx: Context) -> None:
        """Durable offsets have moved."""
        parts = []
        for partition in moved:
            copying = self.copies.get(partition)
            if copying is None:
                continue
            self._changed[partition] = None
            sent = self._sent.get(partition)
            if sent is None or copying.log.durable_start != sent.log_start:
                self._urgent = True  # it begins anew, or somebody may be waiting for a deletion
            durable = copying.log.durable_end
            if self._out and partition in self._sent and durable > self._synced.get(partition, -1):
                self._synced[partition] = durable
                parts.append(SyncedPartition(partition, copying.epoch, durable))
        if parts:
            ctx.send(to, Synced(self.me, broker_epoch, self.directory_id, parts))

    def _rested(self, now: Millis) -> bool:
        """List again whose rest is over; whether there are any."""
        rested = [partition for partition, until in self._resting.items() if until <= now]
        for partition in rested:
            del self._resting[partition]
            self._changed[partition] = None
        return bool(rested)

    def _rest(self, ctx: Context) -> None:
        until = min(self._resting.values(), default=Millis(ctx.now + self.retry_ms))
        ctx.set_timer(RestTimer(self.leader), max(0, until - ctx.now))
