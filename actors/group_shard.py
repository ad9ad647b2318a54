"""The coordinator of one partition's groups, for one term: its state, its conversations, and how decisions are written.

Requests come one after the other. While a decision is on its way to the log, the next request waits (for a moment: the
broker in the same node answers within the turn), so everything is decided on a state that has all before it. See
`shard` for why nothing is said too early, and why nothing needs to be taken back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial

from .classic_checks import check_commit
from .classic_groups import ClassicGroups
from .coordinator_log_messages import TermBegan
from .deadlines import Deadlines
from .errors import ErrorCode
from .group_admin import delete_group, describe, listing, state_of
from .group_admin_messages import GroupListing
from .group_decisions import Decision, Refused, check_name, no_longer, refusal
from .group_expiry import Expiry
from .group_heartbeats import Heartbeats
from .group_messages import GroupReply, GroupRequest
from .group_offsets import Order, check_committer, commit, delete, fetch, of_topics
from .group_records import encode_entries
from .group_settings import GroupSettings
from .group_state import Group, GroupStates
from .group_topics import Topics
from .kernel import Address, Context, Event, Millis
from .messages import (
    ClassicHeartbeat,
    CommitOffsets,
    DeleteGroup,
    DeleteOffsets,
    DescribeGroup,
    FetchOffsets,
    GroupHeartbeat,
    JoinGroup,
    LeaveGroup,
    SyncGroup,
)
from .shard import Parked, Shard

LOOK_AGAIN_MS = 1_000
"""When to look again at the topics of a group if what followed from them could not be written."""

MAX_REMEMBERED = 1_000
"""Changes from outside that are remembered by one partition's coordinator."""

MAX_PARKED = 10_000
"""Answers that wait for their commit at one partition's coordinator; one more request is told to come again."""

UNLEASED = "This broker has lost touch with the controllers."

_REFUSALS = {
    ErrorCode.NOT_ENOUGH_REPLICAS: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.KAFKA_STORAGE_ERROR: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.MESSAGE_TOO_LARGE: ErrorCode.INVALID_REQUEST,
}
"""What it means for whoever asked that its records cannot be written now; otherwise: NOT_COORDINATOR."""


class GroupShard:
    """See the module's essay. It is a `Desk` for its conversations."""

    def __init__(self, term: TermBegan, topics: Topics, settings: GroupSettings, room: Callable[[], bool]) -> None:
        self.topics = topics
        self.settings = settings
        self.states = GroupStates()
        self.log = Shard(term, self.states)
        self.unreadable = ""  # why its records cannot be read, or empty
        self.heartbeats = Heartbeats(self, settings)
        self.classic = ClassicGroups(self, settings)
        self.expiry = Expiry(self, settings)
        self._room = room  # whether this broker may take on another group
        self._order = Order()
        self._remembered: OrderedDict[tuple[type, str, int], GroupReply] = OrderedDict()  # what outsiders had changed
        self._looks: Deadlines[str] = Deadlines()  # when to look again at the topics of a group

    @property
    def groups(self) -> Mapping[str, Group]:
        return self.states.groups

    def members(self, group: str) -> int:
        live = self.classic.live(group)
        if live is not None:
            return len(live.members) + len(live.promised)
        stored = self.groups.get(group)
        return 0 if stored is None else stored.size

    # --- Requests ---

    def serve(self, sender: Address, request: GroupRequest, ctx: Context) -> None:
        """Answer a request, now or later. The term, its load and the lease were looked at."""
        if request.leader_epoch not in (-1, self.log.leader_epoch):
            behind = request.leader_epoch < self.log.leader_epoch
            error = ErrorCode.NOT_COORDINATOR if behind else ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
            reason = f"This coordinator is in epoch {self.log.leader_epoch}, the request in {request.leader_epoch}."
            ctx.send(sender, refusal(request, error, reason))
        elif self.log.parked >= MAX_PARKED:
            reason = f"{MAX_PARKED} answers wait for their commit: ask again."
            ctx.send(sender, refusal(request, ErrorCode.COORDINATOR_NOT_AVAILABLE, reason))
        else:
            self.when_free(partial(self._serve, sender, request), ctx)

    def _serve(self, sender: Address, request: GroupRequest, ctx: Context) -> None:
        group = self.groups.get(request.group) or Group(request.group)
        try:
            check_name(request.group)
            joins = isinstance(request, GroupHeartbeat | CommitOffsets | JoinGroup)
            if joins and not group.known and not self._room():
                reason = f"This broker coordinates {self.settings.max_groups} groups already: delete some."
                raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, reason)
            known = self._known(request)
            match request:
                case _ if known is not None:
                    self.log.answer(sender, known, ctx)
                case GroupHeartbeat():
                    self._beat(group, sender, request, ctx)
                case CommitOffsets():
                    self._commit(group, sender, request, ctx)
                case FetchOffsets():
                    self.write(group.name, fetch(group, sender, request), ctx, None)
                case JoinGroup() | SyncGroup() | ClassicHeartbeat() | LeaveGroup():
                    self.classic.serve(group, sender, request, ctx)
                case DeleteOffsets():
                    self._change(request, delete(self._seen(group), sender, request, self.topics), ctx)
                case DescribeGroup():
                    decision = describe(self._seen(group), self._state(group), sender, request)
                    self.write(group.name, decision, ctx, None)
                case DeleteGroup():
                    self._change(request, delete_group(group, self.members(group.name), sender, request), ctx)
                    self.classic.forget(group.name)
                case _:
                    raise Refused(ErrorCode.INVALID_REQUEST, f"{type(request).__name__} is not known here.")
        except Refused as refused:
            self.log.answer(sender, refusal(request, refused.error, refused.reason), ctx)

    def _beat(self, group: Group, sender: Address, request: GroupHeartbeat, ctx: Context) -> None:
        live = self.classic.live(group.name)
        if live is not None and (live.members or live.promised):
            reason = f"Group {group.name} is of the classic protocol; it can change when it has no members."
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, reason)
        self.classic.forget(group.name)
        self.heartbeats.on_request(group, sender, request, ctx)

    def _commit(self, group: Group, sender: Address, request: CommitOffsets, ctx: Context) -> None:
        live = self.classic.live(group.name)
        if live is not None and live.members:
            check_commit(live, request)
        else:
            check_committer(group, request)
        if self._order.late((request.group, request.member), request.sequence):
            return
        decision = commit(group, sender, request, self.topics, ctx.wall)
        if request.member:
            self.write(group.name, decision, ctx, None)
        else:
            self._change(request, decision, ctx)

    # --- Changes from outside ---

    def _known(self, request: GroupRequest) -> GroupReply | None:
        """What was answered to this very change before. An old copy of it must not be done again.

        Only for who names the term: its ids are drawn at random, so no two have the same.
        """
        named = request.leader_epoch >= 0 and not getattr(request, "member", "")
        return self._remembered.get((type(request), request.group, request.id)) if named else None

    def _change(self, request: GroupRequest, decision: Decision, ctx: Context) -> None:
        """Write what somebody wants who is in no group, and remember what was said to it for as long as the term."""
        place = (type(request), request.group, request.id)
        if decision.entries and request.leader_epoch >= 0:
            self._remembered[place] = decision.replies[0][1]
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        self.write(request.group, decision, ctx, lambda ctx: self._forget(place))

    def _forget(self, place: tuple[type, str, int]) -> None:
        self._remembered.pop(place, None)

    def _seen(self, group: Group) -> Group:
        """A group with what is going on in it, for people: in the classic protocol not all of that is written."""
        live = self.classic.live(group.name)
        if live is None:
            return group
        seen = Group(group.name)
        seen.offsets, seen.classic = group.offsets, live.value(0)
        return seen

    def _state(self, group: Group) -> str:
        live = self.classic.live(group.name)
        return state_of(group) if live is None else live.state.value

    # --- The desk ---

    def when_free(self, action: Callable[[Context], None], ctx: Context) -> None:
        if self.log.writing:
            self.log.later(action)
        else:
            action(ctx)

    @property
    def looking(self) -> set[str]:
        """The groups whose topics are to be looked at again."""
        return set(self._looks.keys())

    def look_later(self, group: str, ctx: Context) -> None:
        self._looks.set(group, Millis(ctx.now + LOOK_AGAIN_MS))

    def write(self, group: str, decision: Decision, ctx: Context, refused: Callable[[Context], None] | None) -> None:
        """Have the entries of a decision written; apply, and answer what may be answered then."""
        if not decision.entries:
            self._say(decision, ctx)
            return

        def written(error: ErrorCode, reason: str, ctx: Context) -> None:
            if error is ErrorCode.NONE:
                for entry in decision.entries:
                    self.states.apply(entry)
                self.expiry.changed(group, ctx)
                self._say(decision, ctx)
                return
            code = _REFUSALS.get(error, ErrorCode.NOT_COORDINATOR)
            for to, reply in decision.replies:
                ctx.send(to, no_longer(reply, code, f"It cannot be written now: {reason}."))
            if refused is not None:
                refused(ctx)

        self.log.append(encode_entries(decision.entries, ctx.wall), written, ctx)

    def _say(self, decision: Decision, ctx: Context) -> None:
        for event in decision.events:
            self.log.tell(event, ctx)
        for to, reply in decision.replies:
            self.log.answer(to, reply, ctx)

    def listings(self) -> list[GroupListing]:
        """A line for each group."""
        names = dict.fromkeys([*self.groups, *(live.name for live in self.classic.live_groups())])
        groups = [self.groups.get(name) or Group(name) for name in names]
        return [listing(self._seen(group), self._state(group)) for group in groups]

    # --- What happens to it ---

    def loaded(self, ctx: Context) -> None:
        """The state may be used."""
        self.heard_again(ctx)
        self.expiry.loaded(ctx)

    def heard_again(self, ctx: Context) -> None:
        """Nobody could be heard until now: every member has a whole session again."""
        self.heartbeats.loaded(self.groups.values(), ctx)
        self.classic.loaded(self.groups.values(), ctx)

    def route_gone(self, route: str, ctx: Context) -> None:
        """A connection has closed."""
        self.heartbeats.route_gone(route, ctx)
        self.classic.route_gone(route, ctx)

    def topics_moved(self, name: str, ctx: Context) -> None:
        """Topics came, grew or went: see whether that concerns this group."""
        self.when_free(partial(self._topics_moved, name), ctx)

    def _topics_moved(self, name: str, ctx: Context) -> None:
        group = self.groups.get(name)
        if group is None:
            return
        gone = {partition.topic for partition in group.offsets if partition.topic not in self.topics.by_id}
        if gone:
            self.write(name, Decision(of_topics(group, gone)), ctx, partial(self.look_later, name))
            self.when_free(partial(self._members_moved, name), ctx)
        else:
            self.heartbeats.topics_moved(group, ctx)

    def _members_moved(self, name: str, ctx: Context) -> None:
        group = self.groups.get(name)
        if group is not None:
            self.heartbeats.topics_moved(group, ctx)

    def concerned(self, names: set[str]) -> list[str]:
        """The groups that news of these topics may concern, and those with offsets of topics that are gone."""
        found = []
        for name, group in self.groups.items():
            members = group.consumer.members.values() if group.consumer is not None else ()
            reads = any(member.pattern or not names.isdisjoint(member.topics) for member in members)
            if reads or any(partition.topic not in self.topics.by_id for partition in group.offsets):
                found.append(name)
        return found

    def next_deadline(self) -> Millis | None:
        """When `on_time` has something to do."""
        classic, expiry = self.classic.next_deadline(), self.expiry.next_deadline()
        found = (self.heartbeats.next_deadline(), classic, expiry, self.log.patience, self._looks.next())
        return min((at for at in found if at is not None), default=None)

    def on_time(self, late: bool, ctx: Context) -> None:
        """Time has passed."""
        self.heartbeats.on_time(late, ctx)
        self.classic.on_time(late, ctx)
        self.expiry.on_time(ctx)
        for name in self._looks.due(ctx.now):
            self.topics_moved(name, ctx)
        for parked in self.log.impatient(ctx.now):
            reason = "Too few replicas are in sync: it may be committed later."
            self._instead(parked, ErrorCode.COORDINATOR_NOT_AVAILABLE, reason, ctx)

    def committed(self, hw: int, leased: bool, ctx: Context) -> None:
        """The high watermark has moved: say what waited for it, if this broker still may."""
        for parked in self.log.committed(hw):
            if isinstance(parked.what, Event):
                ctx.emit(parked.what)
            elif leased and parked.to is not None:
                ctx.send(parked.to, parked.what)
            else:
                self._instead(parked, ErrorCode.NOT_COORDINATOR, UNLEASED, ctx)

    def drop(self, ctx: Context) -> int:
        """The term is over: send all who wait elsewhere. Returns how many."""
        reason = "Another broker coordinates this group now."
        parked = self.log.drop()
        for each in parked:
            self._instead(each, ErrorCode.NOT_COORDINATOR, reason, ctx)
        waiting = [*self.heartbeats.drop(), *self.classic.drop()]
        for sender, request in waiting:
            ctx.send(sender, refusal(request, ErrorCode.NOT_COORDINATOR, reason))
        return len(parked) + len(waiting)

    @staticmethod
    def _instead(parked: Parked, error: ErrorCode, reason: str, ctx: Context) -> None:
        if parked.to is not None and isinstance(parked.what, GroupReply):
            ctx.send(parked.to, no_longer(parked.what, error, reason))
