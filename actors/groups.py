"""The coordinators of groups at one broker's node: an actor beside the broker, and a client of its logs.

This actor is a router. Each partition of `__consumer_offsets` that the broker leads has a `GroupShard` here, from the
beginning of its term to the end; a group's name tells which one is its. Which terms there are, how far their logs are
committed, what topics there are and how long the broker may serve, the broker says (`coordinator_logs`).

    no shard            NOT_COORDINATOR: look who leads the partition
    being read          COORDINATOR_LOAD_IN_PROGRESS: ask again
    without a lease     NOT_COORDINATOR: this broker may have been replaced and not know it (D4)

A broker that was paused finds its lease over before it looks at anything that has queued up meanwhile. When the lease
is back in the same term, every member has a whole session again: nobody could be heard.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from .bugs import bug
from .coordinator_log_messages import (
    Committed,
    LeaseRenewed,
    RecordsAppended,
    TermBegan,
    TermEnded,
    TopicsMoved,
)
from .envelope import RouteGone
from .errors import ErrorCode
from .group_decisions import refusal
from .group_events import CoordinatorFailed, CoordinatorLeft, CoordinatorLoaded
from .group_messages import GroupRequest
from .group_records import Unreadable
from .group_settings import GroupSettings
from .group_shard import UNLEASED, GroupShard
from .group_topics import Topics
from .internal_topics import GROUP_OFFSETS, partition_of
from .kernel import Actor, Address, Context, Message, Millis, Timer, node_of
from .messages import Consumed, GroupsListed, ListGroups, Partition
from .shard import LoadTimer

LATE_MS = 100
"""A timer that fires so much later tells of a pause: what has queued up is heard before anybody is put out."""

LOOK_MS = 250
"""Between two looks at what is to be done while this broker has no lease."""

TURN_MEMBERS = 200
"""Members of groups that are looked at in one turn when topics have moved."""


class DeadlineTimer(Timer, frozen=True):
    """A deadline may have come."""


class TopicsTimer(Timer, frozen=True):
    """More groups are to be looked at because topics have moved."""


class Groups(Actor):
    """See the module's essay."""

    def __init__(self, settings: GroupSettings | None = None) -> None:
        self.settings = settings or GroupSettings()
        self.topics = Topics()
        self.shards: dict[Partition, GroupShard] = {}
        self._lease_until = Millis(-1)
        self._to_look_at: deque[tuple[Partition, int, str]] = deque()  # partition, epoch, group
        self._due: Millis | None = None  # when the deadline timer is set for

    # --- Inputs ---

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case GroupRequest():
                self._serve(sender, message, ctx)
            case RecordsAppended():
                shard = self._shard(message.partition, message.leader_epoch)
                if shard is not None:
                    shard.log.on_appended(message, ctx)
            case Committed():
                self._committed(message, ctx)
            case Consumed() if node_of(sender) == node_of(ctx.me):  # others may say that too
                self._read(message, ctx)
            case ListGroups():
                ctx.send(sender, self._list(message, ctx))
            case LeaseRenewed():
                self._leased(message.until, ctx)
            case TermBegan() if message.topic == GROUP_OFFSETS:
                self._begin(message, ctx)
            case TermEnded():
                self._end(message, ctx)
            case TopicsMoved():
                self._topics_moved(message, ctx)
            case RouteGone():
                for shard in self.shards.values():
                    shard.route_gone(message.route, ctx)
            case _:
                return
        self._set_timer(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        match timer:
            case DeadlineTimer():
                self._on_deadline(ctx)
            case LoadTimer(partition, epoch):
                shard = self._shard(Partition(*partition), epoch)
                if shard is not None:
                    shard.log.on_timer(ctx)
            case TopicsTimer():
                self._look_at_topics(ctx)
            case _:
                return
        self._set_timer(ctx)

    # --- Requests ---

    def _serve(self, sender: Address, request: GroupRequest, ctx: Context) -> None:
        topic = self.topics.by_name.get(GROUP_OFFSETS)
        shard = None
        if topic is not None:
            shard = self.shards.get(Partition(topic.id, partition_of(request.group, topic.partitions)))
        if shard is None:
            reason = f"This broker does not coordinate group {request.group}: look who does."
            ctx.send(sender, refusal(request, ErrorCode.NOT_COORDINATOR, reason))
        elif not self._has_lease(ctx):
            ctx.send(sender, refusal(request, ErrorCode.NOT_COORDINATOR, UNLEASED))
        elif shard.unreadable:
            ctx.send(sender, refusal(request, ErrorCode.COORDINATOR_NOT_AVAILABLE, shard.unreadable))
        elif not shard.log.loaded:
            reason = "The group is being read: ask again."
            ctx.send(sender, refusal(request, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, reason))
        else:
            shard.serve(sender, request, ctx)

    def _list(self, request: ListGroups, ctx: Context) -> GroupsListed:
        if not self._has_lease(ctx):
            return GroupsListed(request.id, ErrorCode.NOT_COORDINATOR, reason=UNLEASED)
        if any(not shard.log.loaded for shard in self.shards.values()):
            reason = "Some groups are being read: ask again."
            return GroupsListed(request.id, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, reason=reason)
        found = [listed for shard in self.shards.values() for listed in shard.listings()]
        states, kinds = {state.lower() for state in request.states}, {kind.lower() for kind in request.kinds}
        chosen = [
            listed
            for listed in found
            if (not states or listed.state.lower() in states) and (not kinds or listed.kind in kinds)
        ]
        return GroupsListed(request.id, ErrorCode.NONE, sorted(chosen, key=lambda listed: listed.group))

    def _has_lease(self, ctx: Context) -> bool:
        return ctx.now < self._lease_until or bug("coordinator-without-lease")

    def _has_room(self) -> bool:
        return sum(len(shard.groups) for shard in self.shards.values()) < self.settings.max_groups

    # --- Terms ---

    def _shard(self, partition: Partition, epoch: int) -> GroupShard | None:
        """The shard of exactly this term."""
        shard = self.shards.get(partition)
        return shard if shard is not None and shard.log.leader_epoch == epoch else None

    def _begin(self, term: TermBegan, ctx: Context) -> None:
        self._drop(term.partition, "it leads in a later epoch", ctx)
        shard = self.shards[term.partition] = GroupShard(term, self.topics, self.settings, self._has_room)
        shard.log.begin(ctx)

    def _end(self, term: TermEnded, ctx: Context) -> None:
        if self._shard(term.partition, term.leader_epoch) is not None:
            self._drop(term.partition, "another broker leads it", ctx)

    def _drop(self, partition: Partition, cause: str, ctx: Context) -> None:
        shard = self.shards.pop(partition, None)
        if shard is None:
            return
        unanswered = shard.drop(ctx)
        ctx.emit(
            CoordinatorLeft(
                partition=f"{GROUP_OFFSETS}-{partition.index}",
                epoch=shard.log.leader_epoch,
                groups=len(shard.groups),
                unanswered=unanswered,
                cause=cause,
            )
        )

    def _read(self, answer: Consumed, ctx: Context) -> None:
        shard = self.shards.get(Partition(*answer.partitions[0].partition)) if answer.partitions else None
        if shard is None or shard.unreadable:
            return
        before = shard.log.loaded
        try:
            shard.log.on_consumed(answer, ctx)
        except Unreadable as error:
            shard.unreadable = f"{error}: this broker's program is older than the one that wrote it"
            name = f"{GROUP_OFFSETS}-{shard.log.partition.index}"
            ctx.emit(CoordinatorFailed(partition=name, epoch=shard.log.leader_epoch, cause=shard.unreadable))
        if shard.log.loaded and not before:
            self._loaded(shard, ctx)

    def _committed(self, news: Committed, ctx: Context) -> None:
        shard = self._shard(news.partition, news.leader_epoch)
        if shard is None:
            return
        before = shard.log.loaded
        shard.committed(news.hw, self._has_lease(ctx), ctx)
        if shard.log.loaded and not before:
            self._loaded(shard, ctx)

    def _loaded(self, shard: GroupShard, ctx: Context) -> None:
        shard.loaded(ctx)
        groups = shard.groups.values()
        ctx.emit(
            CoordinatorLoaded(
                partition=f"{GROUP_OFFSETS}-{shard.log.partition.index}",
                epoch=shard.log.leader_epoch,
                groups=len(groups),
                members=sum(group.size for group in groups),
                offsets=sum(len(group.offsets) for group in groups),
                cause="it has read everything that was committed before",
            )
        )
        self._look_later(shard, shard.groups, ctx)

    def _leased(self, until: Millis, ctx: Context) -> None:
        lapsed = ctx.now >= self._lease_until
        self._lease_until = max(self._lease_until, until)
        if lapsed and self._has_lease(ctx):
            for shard in self.shards.values():
                if shard.log.loaded:
                    shard.heard_again(ctx)

    # --- Topics ---

    def _topics_moved(self, news: TopicsMoved, ctx: Context) -> None:
        before = {topic_id: topic.name for topic_id, topic in self.topics.by_id.items()}
        gone = self.topics.moved(news)
        names = {topic.name for topic in news.topics} | {before[topic_id] for topic_id in gone if topic_id in before}
        for shard in self.shards.values():
            if shard.log.loaded:
                self._look_later(shard, shard.concerned(names), ctx)

    def looking_at(self, partition: Partition) -> set[str]:
        """The groups of a partition that are still to be looked at because topics have moved."""
        shard = self.shards.get(partition)
        later = set() if shard is None else shard.looking
        return later | {name for place, _, name in self._to_look_at if place == partition}

    def _look_later(self, shard: GroupShard, names: Iterable[str], ctx: Context) -> None:
        self._to_look_at += [(shard.log.partition, shard.log.leader_epoch, name) for name in names]
        if self._to_look_at:
            ctx.set_timer(TopicsTimer(), 0)

    def _look_at_topics(self, ctx: Context) -> None:
        """A few groups at a time: each may get a new assignment."""
        left = TURN_MEMBERS
        while self._to_look_at and left > 0:
            partition, epoch, name = self._to_look_at.popleft()
            shard = self._shard(partition, epoch)
            if shard is None:
                continue
            group = shard.groups.get(name)
            left -= 1 if group is None else 1 + group.size
            if self._has_lease(ctx):
                shard.topics_moved(name, ctx)
            else:
                self._to_look_at.append((partition, epoch, name))
        if self._to_look_at:
            ctx.set_timer(TopicsTimer(), 0 if self._has_lease(ctx) else LOOK_MS)

    # --- Deadlines ---

    def _on_deadline(self, ctx: Context) -> None:
        due, self._due = self._due, None
        late = due is not None and ctx.now - due > LATE_MS
        if not self._has_lease(ctx):
            self._due = Millis(ctx.now + LOOK_MS)
            ctx.set_timer(DeadlineTimer(), LOOK_MS)
            return
        for shard in list(self.shards.values()):
            if shard.log.loaded:
                shard.on_time(late, ctx)

    def _set_timer(self, ctx: Context) -> None:
        """One timer for all deadlines; it may ring too early, never too late."""
        found = (shard.next_deadline() for shard in self.shards.values() if shard.log.loaded)
        at = min((at for at in found if at is not None), default=None)
        if at is None:
            return
        at = Millis(max(at, ctx.now + 1))
        if self._due is None or at < self._due:
            self._due = at
            ctx.set_timer(DeadlineTimer(), at - ctx.now)
