"""The conversation of the heartbeat protocol, at the coordinator of one partition's groups, for one term.

What a group is, is in the log (`group_state`), and what becomes of it is decided elsewhere (`consumer_groups`). Here is
what only this coordinator knows, and the next one does not need: heartbeats that wait, who was heard of when and on
which connection, and what was told to whom.

A heartbeat waits until its member has something to learn, or its time is over. Whenever a group changes, all members
whose heartbeats wait are moved on at once, as if each had just spoken: so a rebalance takes as many exchanges as it
has steps, and no interval.

A member is out when nothing was heard of it for the session timeout; when its connection has closed and it has not
come back on another one within its grace; when it was asked to give something up and has not said that it did for its
rebalance timeout; or when it says so. A timer that is late tells of a pause here: first what has queued up is heard.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import msgspec

from .consumer_groups import PLAN_MS, Draft, Said, names_of
from .deadlines import Deadlines
from .envelope import Partition
from .errors import ErrorCode
from .group_decisions import Decision, Desk, Refused, check_name, refusal
from .group_events import GroupAssigned, GroupSettled, MemberGone, MemberJoined, PlanRefused
from .group_messages import (
    AT_LEADER,
    COORDINATORS_GRACE,
    JOINING,
    LEAVING,
    LEAVING_FOR_A_WHILE,
    UNIFORM,
    GroupReply,
)
from .group_offsets import Order
from .group_records import MemberState, grouped, partitions_of
from .group_settings import GroupSettings
from .group_state import ConsumerGroup, Group
from .kernel import Address, Context, Event, Millis
from .messages import GroupHeartbeat, GroupHeartbeatDone
from .presence import Place, Presence

AGAIN_MS = 1_000
"""When to put a member out again if that could not be written."""

MAX_NAME = 255
"""Characters of a member's id or static name."""


class Waiting(msgspec.Struct, frozen=True):
    """A heartbeat that is not answered yet."""

    sender: Address
    request: GroupHeartbeat
    said: Said


class _Told(msgspec.Struct, frozen=True):
    """What the newest answer to a member said."""

    sequence: int
    epoch: int
    assigned: frozenset[Partition]
    task: int  # the group epoch that it was asked to plan; -1: none


class Heartbeats:
    """See the module's essay."""

    def __init__(self, desk: Desk, settings: GroupSettings) -> None:
        self.settings = settings
        self.session_ms = settings.session_ms
        self._desk = desk
        self._topics = desk.topics
        self._presence = Presence()
        self._revocations: Deadlines[Place] = Deadlines()
        self._waits: Deadlines[Place] = Deadlines()
        self._plans: Deadlines[str] = Deadlines()
        self._waiting: dict[str, dict[str, Waiting]] = {}
        self._told: dict[Place, _Told] = {}
        self._failed: dict[str, tuple[int, list[str]]] = {}  # by group: an epoch, and who did not plan it
        self._order = Order()

    # --- A heartbeat comes ---

    def on_request(self, group: Group, sender: Address, request: GroupHeartbeat, ctx: Context) -> None:
        """A member speaks. Raises Refused."""
        check_name(request.group)
        if not request.member and request.member_epoch == JOINING:
            request = msgspec.structs.replace(request, member=_new_member(ctx))
        self._check(request)
        if self._order.late((request.group, request.member), request.sequence):
            return
        if request.member_epoch < JOINING:
            self._leave(group, sender, request, ctx)
            return
        waiting = Waiting(sender, request, _said(request))
        if self._idle(group, waiting):
            self._touch(group, waiting, ctx)
            self._unanswered(group, request.member)
            if request.wait_ms > 0:
                self._wait(group, waiting, ctx)
            else:
                assert group.consumer is not None, "only members are idle"
                answer = self._answer(group, group.consumer, waiting, ctx)
                self._desk.write(group.name, Decision(replies=[(sender, answer)]), ctx, None)
            return
        draft = Draft(group, self._topics, ctx.wall, self.settings.max_members)
        namesake = draft.state.static.get(request.instance, "") if request.instance else ""
        draft.beat(request, gone=self._presence.gone((group.name, namesake)))
        self._touch(group, waiting, ctx)
        if namesake and namesake != request.member:
            self._forget((group.name, namesake))
        if request.plan is not None:
            self._plan(draft, request, ctx)
        self._unanswered(group, request.member)
        self._conclude(group, draft, ctx, waiting)

    @staticmethod
    def _check(request: GroupHeartbeat) -> None:
        if request.member_epoch < LEAVING_FOR_A_WHILE:
            reason = f"A member epoch is {LEAVING_FOR_A_WHILE} or more, not {request.member_epoch}."
            raise Refused(ErrorCode.INVALID_REQUEST, reason)
        if not request.member or max(len(request.member), len(request.instance)) > MAX_NAME:
            reason = f"A member has an id of 1 to {MAX_NAME} characters, and a static name of no more."
            raise Refused(ErrorCode.INVALID_REQUEST, reason)
        if request.member_epoch == LEAVING_FOR_A_WHILE and not request.instance:
            raise Refused(ErrorCode.INVALID_REQUEST, "Only a static member, which has a name, leaves for a while.")

    def _idle(self, group: Group, waiting: Waiting) -> bool:
        """Whether nothing is new on either side: then nothing needs to be decided."""
        request, said = waiting.request, waiting.said
        member = None if group.consumer is None else group.consumer.members.get(request.member)
        if member is None or group.consumer is None or request.plan is not None:
            return False
        value = group.consumer.value
        settled = member.state is MemberState.STABLE and member.epoch == value.assignment_epoch == value.epoch
        return (
            settled
            and said.epoch == member.epoch
            and (said.owned == member.assigned or (said.owned is None and self._heard(group.name, request) is not None))
            and (request.topics is None or tuple(sorted(set(request.topics))) == member.topics)
            and request.pattern in (None, member.pattern)
            and request.assignor in (None, member.assignor)
            and request.metadata in (b"", member.metadata)
            and request.rebalance_timeout_ms in (-1, member.rebalance_timeout_ms)
        )

    def _touch(self, group: Group, waiting: Waiting, ctx: Context) -> None:
        """The member lives, and speaks on this connection."""
        place = (group.name, waiting.request.member)
        self._presence.heard(place, waiting.sender, Millis(ctx.now + self.session_ms))

    def _plan(self, draft: Draft, request: GroupHeartbeat, ctx: Context) -> None:
        """The leader brings a plan. One for another epoch is too late, and no fault."""
        value = draft.state.value
        assert request.plan is not None
        wanted = request.member == value.leader and draft.task() is not None
        if not wanted or request.plan.group_epoch != value.epoch:
            return
        problem = draft.planned(request.plan)
        if problem is not None:
            self._fail_leader(draft, f"its plan is not a legal one: {problem}", ctx)

    def _fail_leader(self, draft: Draft, cause: str, ctx: Context) -> None:
        value = draft.state.value
        epoch, failed = self._failed.get(draft.name, (value.epoch, []))
        failed = [*failed, value.leader] if epoch == value.epoch else [value.leader]
        self._failed[draft.name] = (value.epoch, failed)
        successor = next((name for name in draft.state.members if name not in failed), UNIFORM)
        ctx.emit(
            PlanRefused(group=draft.name, epoch=value.epoch, member=value.leader, successor=successor, cause=cause)
        )

    # --- Waiting and answering ---

    def _wait(self, group: Group, waiting: Waiting, ctx: Context) -> None:
        place = (group.name, waiting.request.member)
        wait = min(waiting.request.wait_ms, self.session_ms // 3)
        self._waiting.setdefault(group.name, {})[waiting.request.member] = waiting
        self._waits.set(place, Millis(ctx.now + wait))

    def _unanswered(self, group: Group, member: str) -> None:
        """An earlier heartbeat of this member is not answered any more."""
        self._waiting.get(group.name, {}).pop(member, None)
        self._waits.drop((group.name, member))

    def _news(self, group: str, state: ConsumerGroup, waiting: Waiting) -> bool:
        """Whether a member has something to learn that it was not told yet, or did not hear."""
        request, said = waiting.request, waiting.said
        member = state.members[request.member]
        known = self._heard(group, request)
        now = (member.epoch, member.assigned)
        owned = known.assigned if said.owned is None and known is not None else said.owned  # None: that is not sure
        behind = member.epoch != request.member_epoch or owned != member.assigned
        if behind and (known is None or (known.epoch, known.assigned) != now):
            return True
        task = _task_of(state, request.member)
        return task >= 0 and (known is None or known.task != task)

    def _heard(self, group: str, request: GroupHeartbeat) -> _Told | None:
        """What this member was told and has heard; None: nothing, or the answer may be lost."""
        told = self._told.get((group, request.member))
        return told if told is not None and request.heard >= told.sequence else None

    def _answer(
        self, group: Group, state: ConsumerGroup, waiting: Waiting, ctx: Context, draft: Draft | None = None
    ) -> GroupReply:
        """What the member is now, in this state; `draft` is where that comes from, if it is not the present one."""
        request, said = waiting.request, waiting.said
        member = state.members[request.member]
        if said.owned is not None:
            shown = request.member_epoch == JOINING or said.owned != member.assigned
        else:
            known = self._heard(group.name, request)
            changed = known is None or (known.epoch, known.assigned) != (member.epoch, member.assigned)
            shown = changed or request.topics is not None
        task = None
        if _task_of(state, request.member) >= 0:
            task = (draft or Draft(group, self._topics, ctx.wall)).task()
        self._told[group.name, request.member] = _Told(
            request.sequence, member.epoch, member.assigned, -1 if task is None else task.group_epoch
        )
        return GroupHeartbeatDone(
            request.id,
            ErrorCode.NONE,
            "",
            member=request.member,
            member_epoch=member.epoch,
            heartbeat_ms=self.session_ms // 3,
            session_ms=self.session_ms,
            assigned=grouped(member.assigned) if shown else None,
            topics=list(names_of(self._topics, member.assigned)) if shown else [],
            task=task,
            sequence=request.sequence,
        )

    # --- A group changes ---

    def _leave(self, group: Group, sender: Address, request: GroupHeartbeat, ctx: Context) -> None:
        draft = Draft(group, self._topics, ctx.wall)
        member = draft.state.members.get(request.member)
        if member is None:
            raise draft.unknown(request)
        self._unanswered(group, request.member)
        if request.member_epoch == LEAVING:
            draft.remove([request.member], "left")
            self._forget((group.name, request.member))
        else:
            draft.leave_for_a_while(request.member, member)
        done = GroupHeartbeatDone(
            request.id,
            ErrorCode.NONE,
            "",
            member=request.member,
            member_epoch=request.member_epoch,
            sequence=request.sequence,
        )
        self._conclude(group, draft, ctx, replies=[(sender, done)])

    def topics_moved(self, group: Group, ctx: Context) -> None:
        """Topics came, grew or went: they may be this group's."""
        if group.consumer is not None and group.consumer.members:
            draft = Draft(group, self._topics, ctx.wall)
            if draft.topics_moved():
                self._conclude(group, draft, ctx)

    def _conclude(
        self,
        group: Group,
        draft: Draft,
        ctx: Context,
        fresh: Waiting | None = None,
        replies: Sequence[tuple[Address, GroupReply]] = (),
    ) -> None:
        """Write what has become of a group, and answer all whom it concerns."""
        epoch, failed = self._failed.get(group.name, (-1, []))
        draft.conclude(failed if epoch == draft.state.value.epoch and not draft.causes else ())
        waiting = dict(self._waiting.get(group.name, {}))
        if fresh is not None:
            waiting[fresh.request.member] = fresh
        draft.settle({name: each.said for name, each in waiting.items()})
        answers = list(replies)
        answered = []
        for name, each in waiting.items():
            if name not in draft.state.members:
                reason = f"{name} is no member of group {group.name} any more: join again."
                answers.append((each.sender, refusal(each.request, ErrorCode.UNKNOWN_MEMBER_ID, reason)))
            elif self._news(group.name, draft.state, each) or each.request.wait_ms <= 0:
                answers.append((each.sender, self._answer(group, draft.state, each, ctx, draft)))
            elif each is fresh:
                self._wait(group, each, ctx)
                continue
            else:
                continue
            answered.append(name)
        for name in answered:
            self._unanswered(group, name)
        if draft.causes:
            self._plans.drop(group.name)
        self._watch(group.name, draft.state, ctx)
        decision = Decision(draft.entries(), answers, _events(group, draft))
        self._desk.write(group.name, decision, ctx, lambda ctx: self._unwritten(group.name, answered, ctx))

    def _unwritten(self, name: str, answered: Iterable[str], ctx: Context) -> None:
        """What was to be told was not written, so it was not told; and who was to go is still there."""
        for member in answered:
            self._told.pop((name, member), None)
        self._desk.look_later(name, ctx)
        group = self._desk.groups.get(name)
        for member in group.consumer.members if group is not None and group.consumer is not None else ():
            if not self._presence.expected((name, member)):
                self._presence.expect((name, member), Millis(ctx.now + AGAIN_MS))

    def _watch(self, group: str, state: ConsumerGroup, ctx: Context) -> None:
        """Set the clocks for what must not take for ever."""
        for name, member in state.members.items():
            place = (group, name)
            if member.state is not MemberState.UNREVOKED:
                self._revocations.drop(place)
            elif self._revocations.at(place) is None:
                self._revocations.set(place, Millis(ctx.now + member.rebalance_timeout_ms))
        leader = state.value.leader
        if not leader or _task_of(state, leader) < 0:
            self._plans.drop(group)
            self._failed.pop(group, None)
        elif self._plans.at(group) is None:
            self._plans.set(group, Millis(ctx.now + PLAN_MS))

    # --- Time passes, connections close ---

    def next_deadline(self) -> Millis | None:
        """When `on_time` has something to do."""
        found = (self._presence.next(), self._revocations.next(), self._waits.next(), self._plans.next())
        return min((at for at in found if at is not None), default=None)

    def on_time(self, late: bool, ctx: Context) -> None:
        """Answer who has waited long enough, and put out who was silent for too long; not if this timer is late."""
        for name, member in self._waits.due(ctx.now):
            self._desk.when_free(partial(self._waited, name, member), ctx)
        if late:
            return
        silent: dict[str, dict[str, str]] = {}
        for name, member in self._presence.silent(ctx.now):
            how = "its connection closed" if self._presence.gone((name, member)) else "it sent no heartbeat"
            silent.setdefault(name, {})[member] = f"is out: {how}"
        for name, member in self._revocations.due(ctx.now):
            silent.setdefault(name, {})[member] = "is out: it did not give up its partitions in time"
        for name, members in silent.items():
            self._desk.when_free(partial(self._put_out, name, members), ctx)
        for name in self._plans.due(ctx.now):
            self._desk.when_free(partial(self._unplanned, name), ctx)

    def _waited(self, name: str, member: str, ctx: Context) -> None:
        """A heartbeat has waited long enough."""
        waiting = self._waiting.get(name, {}).pop(member, None)
        group = self._desk.groups.get(name)
        if waiting is None or group is None or group.consumer is None or member not in group.consumer.members:
            return
        answer = self._answer(group, group.consumer, waiting, ctx)
        self._desk.write(name, Decision(replies=[(waiting.sender, answer)]), ctx, None)

    def _unplanned(self, name: str, ctx: Context) -> None:
        """The leader has not planned in time."""
        group = self._desk.groups.get(name)
        if group is None or group.consumer is None:
            return
        draft = Draft(group, self._topics, ctx.wall)
        if draft.task() is not None:
            self._fail_leader(draft, f"it did not plan within {PLAN_MS} ms", ctx)
            self._conclude(group, draft, ctx)

    def _put_out(self, name: str, members: Mapping[str, str], ctx: Context) -> None:
        """These members are no more, for these reasons."""
        group = self._desk.groups.get(name)
        if group is None or group.consumer is None:
            return
        draft = Draft(group, self._topics, ctx.wall)
        for member, cause in members.items():
            draft.remove([member], cause)
            self._forget((name, member))
        if draft.causes:
            self._conclude(group, draft, ctx)

    def route_gone(self, route: str, ctx: Context) -> None:
        """A connection has closed. Who spoke on it has its grace to come back on another one."""
        self._presence.closed(route, self._grace, ctx.now)

    def _grace(self, place: Place) -> int | None:
        group = self._desk.groups.get(place[0])
        member = None if group is None or group.consumer is None else group.consumer.members.get(place[1])
        if member is None or member.epoch == LEAVING_FOR_A_WHILE or member.grace_ms is None:
            return None
        return self.settings.grace_ms if member.grace_ms == COORDINATORS_GRACE else member.grace_ms

    # --- Terms ---

    def loaded(self, groups: Iterable[Group], ctx: Context) -> None:
        """The groups were read (or the lease is back): nobody was heard yet, so all have a whole session."""
        for group in groups:
            if group.consumer is not None:
                for name in group.consumer.members:
                    self._presence.expect((group.name, name), Millis(ctx.now + self.session_ms))
                self._watch(group.name, group.consumer, ctx)

    def drop(self) -> list[tuple[Address, GroupHeartbeat]]:
        """The term is over. Take all heartbeats that wait."""
        waiting = [each for members in self._waiting.values() for each in members.values()]
        self._waiting.clear()
        return [(each.sender, each.request) for each in waiting]

    def _forget(self, place: Place) -> None:
        """This member is no more."""
        self._presence.forget(place)
        self._revocations.drop(place)
        self._told.pop(place, None)


def _said(request: GroupHeartbeat) -> Said:
    owned = None if request.owned is None else partitions_of(request.owned)
    if owned is None and request.member_epoch == JOINING:
        owned = frozenset()
    return Said(owned, request.member_epoch)


def _task_of(state: ConsumerGroup, member: str) -> int:
    """The group epoch that this member is to plan; -1: none."""
    value = state.value
    pending = value.assignor == AT_LEADER and value.epoch != value.assignment_epoch
    return value.epoch if pending and value.leader == member else -1


def _events(group: Group, draft: Draft) -> list[Event]:
    """What people are told of a decision."""
    before = group.consumer
    after = draft.state
    known = {} if before is None else before.members
    cause = "; ".join(draft.causes) or "its members have moved on"
    events: list[Event] = []
    count = len(known)
    for name in known:
        if name not in after.members:
            count -= 1
            why = draft.replaced.get(name) or next(
                (each for each in draft.causes if each.startswith(f"{name} ")), cause
            )
            events.append(MemberGone(group=group.name, member=name, members=count, cause=why))
    for name, member in after.members.items():
        if name not in known:
            count += 1
            events.append(
                MemberJoined(group=group.name, member=name, client=member.client_id, members=count, cause="it asked to")
            )
    value = after.value
    if after.members and (before is None or before.value.assignment_epoch != value.assignment_epoch):
        partitions = sum(len(member.target) for member in after.members.values())
        events.append(
            GroupAssigned(
                group=group.name,
                epoch=value.assignment_epoch,
                assignor=value.assignor,
                members=len(after.members),
                partitions=partitions,
                cause=cause,
            )
        )
    if after.members and stable(after) and not (before is not None and stable(before) and before.value == value):
        events.append(GroupSettled(group=group.name, epoch=value.epoch, members=len(after.members), cause=cause))
    return events


def stable(state: ConsumerGroup) -> bool:
    """Whether everybody has what it shall have."""
    value = state.value
    return value.epoch == value.assignment_epoch and all(
        member.state is MemberState.STABLE and member.epoch == value.epoch for member in state.members.values()
    )


def _new_member(ctx: Context) -> str:
    return urlsafe_b64encode(ctx.random.randbytes(16)).decode().rstrip("=")
