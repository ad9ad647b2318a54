"""The conversation of the classic protocol, at the coordinator of one partition's groups, for one term.

`classic_group` has the states. Here are the requests, in Kafka's words and with Kafka's errors, and the clocks:

    session     a member that says nothing; one whose request waits here is alive as long as its connection is
    join        the others have joined, this one has not: the rebalance timeout puts it out
    sync        it has joined and does not sync (KAFKA-12890): the rebalance timeout puts it out, too
    promise     it was given an id and has not come back with it: a session timeout

A static member that comes back within its session is put in its own place; its predecessor, if it still speaks, is
FENCED_INSTANCE_ID. It rejoins without a rebalance while it wants what it wanted (KIP-345).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from msgspec.structs import replace

from .bugs import bug
from .classic_checks import (
    check_generation,
    check_join,
    check_room,
    fenced,
    inconsistent,
    leaver,
    member_of,
    new_member,
    rebalancing,
    unknown,
)
from .classic_group import Asked, ClassicGroup, ClassicState, LiveMember
from .classic_messages import MemberLeft
from .deadlines import Deadlines
from .errors import ErrorCode
from .group_decisions import Decision, Desk, Refused, check_name, refusal
from .group_events import GroupAssigned, MemberGone, MemberJoined
from .group_messages import COORDINATORS_GRACE, GroupReply, GroupRequest
from .group_records import ClassicKey, Entry
from .group_settings import GroupSettings
from .group_state import Group
from .kernel import Address, Context, Event, Millis, node_of
from .messages import (
    ClassicHeartbeat,
    ClassicHeartbeatDone,
    GroupJoined,
    GroupLeft,
    GroupSynced,
    JoinGroup,
    LeaveGroup,
    SyncGroup,
)
from .presence import Place, Presence


class ClassicGroups:
    """See the module's essay."""

    def __init__(self, desk: Desk, settings: GroupSettings) -> None:
        self._desk = desk
        self._settings = settings
        self._groups: dict[str, ClassicGroup] = {}
        self._presence = Presence()
        self._rounds: Deadlines[str] = Deadlines()  # until all have joined, or synced
        self._delayed: set[str] = set()  # new groups that wait a while for more members
        self._unsynced: dict[str, dict[str, None]] = {}  # who has not fetched its assignment of this generation

    def live(self, name: str) -> ClassicGroup | None:
        """The group as it is now; None if it is not of this protocol."""
        return self._groups.get(name)

    def live_groups(self) -> Iterable[ClassicGroup]:
        """All of them."""
        return self._groups.values()

    # --- Requests ---

    def serve(self, group: Group, sender: Address, request: GroupRequest, ctx: Context) -> None:
        """Answer, or let wait. Raises Refused."""
        check_name(request.group)
        match request:
            case JoinGroup():
                self._join(group, sender, request, ctx)
            case SyncGroup():
                self._sync(sender, request, ctx)
            case ClassicHeartbeat():
                self._beat(sender, request, ctx)
            case LeaveGroup():
                self._leave(sender, request, ctx)
            case _:
                raise AssertionError(f"{type(request).__name__} is not of this protocol")

    # --- Joining ---

    def _join(self, stored: Group, sender: Address, request: JoinGroup, ctx: Context) -> None:
        check_join(request, self._settings)
        group = self._groups.get(request.group)
        if stored.consumer is not None and stored.size:
            reason = f"Group {request.group} is of the heartbeat protocol; it can change when it has no members."
            raise Refused(ErrorCode.INCONSISTENT_GROUP_PROTOCOL, reason)
        if group is None:
            if request.member:
                raise unknown(request)
            group = self._groups[request.group] = ClassicGroup(request.group, stored.classic)
        if request.instance:
            self._join_static(group, sender, request, ctx)
        elif not request.member:
            self._join_new(group, sender, request, ctx)
        elif request.member in group.promised:
            self._admit(group, request.member, sender, request, ctx)
        else:
            self._rejoin(group, sender, request, ctx)

    def _join_new(self, group: ClassicGroup, sender: Address, request: JoinGroup, ctx: Context) -> None:
        name = new_member(request.client_id, ctx)
        check_room(group, self._settings)
        if not request.needs_id:
            self._admit(group, name, sender, request, ctx)
            return
        group.promised[name] = None
        self._presence.heard((group.name, name), sender, Millis(ctx.now + request.session_timeout_ms))
        reason = f"Join again as {name}."
        answer = GroupJoined(request.id, ErrorCode.MEMBER_ID_REQUIRED, reason, name)
        self._desk.write(group.name, Decision(replies=[(sender, answer)]), ctx, None)

    def _join_static(self, group: ClassicGroup, sender: Address, request: JoinGroup, ctx: Context) -> None:
        known = group.static.get(request.instance)
        if request.member:
            if known is None:
                raise unknown(request)
            if known != request.member:
                raise fenced(request.instance)
            self._rejoin(group, sender, request, ctx)
            return
        if known is None:
            check_room(group, self._settings)
            self._admit(group, new_member(request.client_id, ctx), sender, request, ctx)
            return
        self._replace(group, known, sender, request, ctx)

    def _admit(self, group: ClassicGroup, name: str, sender: Address, request: JoinGroup, ctx: Context) -> None:
        """A new member."""
        if not group.fits(request.protocol_type, request.protocols):
            self._tidy(group)
            raise inconsistent(group)
        if not group.members:
            group.protocol_type = request.protocol_type
        group.add(
            LiveMember(
                name,
                request.instance,
                request.client_id,
                request.host,
                request.rebalance_timeout_ms,
                request.session_timeout_ms,
                list(request.protocols),
                request.grace_ms,
            )
        )
        event = MemberJoined(
            group=group.name, member=name, client=request.client_id, members=len(group.members), cause="it asked to"
        )
        self._tell(group.name, [event], ctx)
        self._wait_for_others(group, name, sender, request, ctx)

    def _replace(self, group: ClassicGroup, known: str, sender: Address, request: JoinGroup, ctx: Context) -> None:
        """A static member is back under a new id. Whoever still speaks under the old one is fenced."""
        if not group.fits(request.protocol_type, request.protocols, without=known):
            raise inconsistent(group)
        new = new_member(request.client_id, ctx)
        old = group.members[known]
        for waiting in (old.joining, old.syncing):
            if waiting is not None:
                refused = fenced(request.instance)
                ctx.send(waiting.sender, refusal(waiting.request, refused.error, refused.reason))
        self._forget((group.name, known))
        member = group.rename(known, new)
        member.joining = member.syncing = None
        protocol = group.protocol
        same = member.metadata(protocol) == next((p.metadata for p in request.protocols if p.name == protocol), None)
        self._renew(member, request)
        if group.state is not ClassicState.STABLE or not same or group.elect_protocol() != protocol:
            self._wait_for_others(group, new, sender, request, ctx)
            return
        self._touch(group, new, sender, ctx)
        answer = self._joined(group, new, request)
        if group.leader == new:  # it need not assign; who does not know of that is told that another leads (KIP-814)
            leader = new if request.skips else known
            members = answer.members if request.skips else []
            answer = replace(answer, leader=leader, members=members, skip_assignment=request.skips)
        decision = Decision(self._entries(group, ctx), [(sender, answer)])
        self._desk.write(group.name, decision, ctx, partial(self._rebalance_later, group.name))

    def _rejoin(self, group: ClassicGroup, sender: Address, request: JoinGroup, ctx: Context) -> None:
        """A member joins that is one already: in a rebalance, or it missed the answer, or it wants something new."""
        member = group.members.get(request.member)
        if member is None:
            self._tidy(group)
            raise unknown(request)
        if not group.fits(request.protocol_type, request.protocols, without=request.member):
            raise inconsistent(group)
        same = {each.name: each.metadata for each in member.protocols} == {
            each.name: each.metadata for each in request.protocols
        }
        known = len(member.protocols) == 1 and member.metadata(group.protocol) == next(
            (each.metadata for each in request.protocols if each.name == group.protocol), None
        )
        leads = group.leader == request.member
        answered = (group.state is ClassicState.COMPLETING and same) or (
            group.state is ClassicState.STABLE and (same or known) and not leads
        )
        self._renew(member, request)
        if not answered:
            self._wait_for_others(group, request.member, sender, request, ctx)
            return
        self._touch(group, request.member, sender, ctx)
        answer = self._joined(group, request.member, request)
        self._desk.write(group.name, Decision(replies=[(sender, answer)]), ctx, None)

    @staticmethod
    def _renew(member: LiveMember, request: JoinGroup) -> None:
        member.protocols = list(request.protocols)
        member.rebalance_timeout_ms = request.rebalance_timeout_ms
        member.session_timeout_ms = request.session_timeout_ms
        member.client_id, member.host, member.grace_ms = request.client_id, request.host, request.grace_ms

    # --- Rounds ---

    def _wait_for_others(
        self, group: ClassicGroup, name: str, sender: Address, request: JoinGroup, ctx: Context
    ) -> None:
        member = group.members[name]
        if member.joining is not None and member.joining.sender != sender:
            older = member.joining
            reason = "The same member has joined on another connection."
            ctx.send(older.sender, refusal(older.request, ErrorCode.UNKNOWN_MEMBER_ID, reason))
        member.joining = Asked(sender, request)
        self._touch(group, name, sender, ctx)
        self._prepare(group, ctx)
        self._maybe_complete(group, ctx)

    def _prepare(self, group: ClassicGroup, ctx: Context) -> None:
        """Begin a rebalance, unless one is being prepared."""
        if group.state is ClassicState.PREPARING:
            return
        delay = self._settings.join_delay_ms if group.state is ClassicState.EMPTY else 0
        for member in group.members.values():
            if member.syncing is not None:
                asked, member.syncing = member.syncing, None
                self._expect(group, member, ctx)
                refused = rebalancing()
                ctx.send(asked.sender, refusal(asked.request, refused.error, refused.reason))
        group.state = ClassicState.PREPARING
        self._rounds.set(group.name, Millis(ctx.now + (delay or group.rebalance_timeout_ms)))
        if delay:
            self._delayed.add(group.name)

    def _maybe_complete(self, group: ClassicGroup, ctx: Context) -> None:
        """All have joined: go on."""
        if group.state is ClassicState.PREPARING and group.all_joined and group.name not in self._delayed:
            self._complete(group, ctx)

    def _complete(self, group: ClassicGroup, ctx: Context) -> None:
        """Go on with who has joined. Static members keep their places although they are away."""
        self._rounds.drop(group.name)
        self._delayed.discard(group.name)
        away = [name for name, member in group.members.items() if member.joining is None and not member.instance]
        self._remove(group, dict.fromkeys(away, "it did not join in time"), ctx)
        group.promised.clear()
        present = [name for name, member in group.members.items() if member.joining is not None]
        if group.members and not present:
            self._rounds.set(group.name, Millis(ctx.now + group.rebalance_timeout_ms))
            return  # only static members are left, and all of them are away: their sessions decide
        if group.leader not in present:
            group.leader = next(iter(present), "")
        group.next_generation()
        if group.state is ClassicState.EMPTY:
            self._desk.write(group.name, Decision(self._entries(group, ctx)), ctx, None)
            return
        replies: list[tuple[Address, GroupReply]] = []
        for name, member in group.members.items():
            if member.joining is None:
                continue
            asked, member.joining = member.joining, None
            assert isinstance(asked.request, JoinGroup), "who joins has asked to"
            replies.append((asked.sender, self._joined(group, name, asked.request)))
            self._expect(group, member, ctx)
        if not bug("no-sync-timer"):
            self._rounds.set(group.name, Millis(ctx.now + group.rebalance_timeout_ms))
        self._desk.write(group.name, Decision(replies=replies), ctx, None)

    def _joined(self, group: ClassicGroup, name: str, request: JoinGroup) -> GroupJoined:
        leads = group.leader == name
        return GroupJoined(
            request.id,
            ErrorCode.NONE,
            "",
            name,
            group.generation,
            group.protocol_type,
            group.protocol,
            group.leader,
            group.joined_members() if leads else [],
        )

    # --- Syncing ---

    def _sync(self, sender: Address, request: SyncGroup, ctx: Context) -> None:
        group = self._groups.get(request.group)
        member = member_of(group, request, request.member, request.instance)
        assert group is not None, "it has a member"
        check_generation(group, request.generation)
        if request.protocol_type and request.protocol_type != group.protocol_type:
            raise inconsistent(group)
        if request.protocol and request.protocol != group.protocol:
            raise inconsistent(group)
        self._touch(group, request.member, sender, ctx)
        match group.state:
            case ClassicState.PREPARING:
                raise rebalancing()
            case ClassicState.COMPLETING:
                member.syncing = Asked(sender, request)
                if group.leader == request.member:
                    self._assign(group, request, ctx)
            case ClassicState.STABLE:
                answer = self._synced(group, member, request)
                self._desk.write(group.name, Decision(replies=[(sender, answer)]), ctx, None)
            case ClassicState.EMPTY:
                raise unknown(request)

    def _assign(self, group: ClassicGroup, request: SyncGroup, ctx: Context) -> None:
        """The leader has assigned: write the generation, then tell everybody who has synced."""
        given = {each.member: each.assignment for each in request.assignments}
        for name, member in group.members.items():
            member.assignment = given.get(name, b"")
        group.state = ClassicState.STABLE
        missing = [name for name, member in group.members.items() if member.syncing is None]
        self._unsynced[group.name] = dict.fromkeys(missing)
        replies: list[tuple[Address, GroupReply]] = []
        for member in group.members.values():
            if member.syncing is not None:
                asked, member.syncing = member.syncing, None
                assert isinstance(asked.request, SyncGroup), "who syncs has asked to"
                self._expect(group, member, ctx)
                replies.append((asked.sender, self._synced(group, member, asked.request)))
        event = GroupAssigned(
            group=group.name,
            epoch=group.generation,
            assignor=group.protocol,
            members=len(group.members),
            partitions=-1,
            cause=f"{group.leader}, its leader, has assigned",
        )
        decision = Decision(self._entries(group, ctx), replies, [event])
        self._desk.write(group.name, decision, ctx, partial(self._rebalance_later, group.name))

    def _entries(self, group: ClassicGroup, ctx: Context) -> list[Entry]:
        """What is written of a group, now that it is of this protocol."""
        stored = self._desk.groups.get(group.name)
        other = [] if stored is None or stored.consumer is None else stored.kind_to_forget()
        return [*other, Entry(ClassicKey(group.name), group.value(ctx.wall))]

    def _rebalance_later(self, name: str, ctx: Context) -> None:
        """A generation could not be written: it never was."""
        group = self._groups.get(name)
        if group is not None and group.state is ClassicState.STABLE:
            self._prepare(group, ctx)
            self._maybe_complete(group, ctx)

    def _synced(self, group: ClassicGroup, member: LiveMember, request: SyncGroup) -> GroupReply:
        self._unsynced.get(group.name, {}).pop(member.member, None)
        if not self._unsynced.get(group.name) and group.state is ClassicState.STABLE:
            self._rounds.drop(group.name)
        return GroupSynced(request.id, ErrorCode.NONE, "", group.protocol_type, group.protocol, member.assignment)

    # --- Heartbeats, leaving ---

    def _beat(self, sender: Address, request: ClassicHeartbeat, ctx: Context) -> None:
        group = self._groups.get(request.group)
        member_of(group, request, request.member, request.instance)
        assert group is not None, "it has a member"
        check_generation(group, request.generation)
        self._touch(group, request.member, sender, ctx)
        if group.state is ClassicState.PREPARING:
            raise rebalancing()
        answer = ClassicHeartbeatDone(request.id, ErrorCode.NONE, "")
        self._desk.write(group.name, Decision(replies=[(sender, answer)]), ctx, None)

    def _leave(self, sender: Address, request: LeaveGroup, ctx: Context) -> None:
        group = self._groups.get(request.group)
        outcomes = []
        going: dict[str, str] = {}
        for leaving in request.members:
            name, error = leaver(group, leaving)
            outcomes.append(MemberLeft(leaving.member, leaving.instance, error))
            if group is not None and error is ErrorCode.NONE:
                going[name] = f"it left{f': {leaving.reason}' if leaving.reason else ''}"
        answer = GroupLeft(request.id, ErrorCode.NONE, "", outcomes)
        self._desk.write(request.group, Decision(replies=[(sender, answer)]), ctx, None)
        if group is not None and going:
            self._remove(group, going, ctx)
            self._moved(group, ctx)

    def _remove(self, group: ClassicGroup, members: dict[str, str], ctx: Context) -> None:
        events: list[Event] = []
        for name, cause in members.items():
            member = group.remove(name)
            self._forget((group.name, name))
            if member is None:
                continue
            for asked in (member.joining, member.syncing):
                if asked is not None:
                    refused = unknown(asked.request)
                    ctx.send(asked.sender, refusal(asked.request, refused.error, refused.reason))
            events.append(MemberGone(group=group.name, member=name, members=len(group.members), cause=cause))
        self._tell(group.name, events, ctx)

    def _moved(self, group: ClassicGroup, ctx: Context) -> None:
        """Members are gone: begin a rebalance, or see whether the one that goes on can be completed."""
        if group.state in (ClassicState.STABLE, ClassicState.COMPLETING):
            self._prepare(group, ctx)
        self._maybe_complete(group, ctx)
        self._tidy(group)

    def _tidy(self, group: ClassicGroup) -> None:
        """A group that nobody is in, and nothing is written of, does not exist."""
        stored = self._desk.groups.get(group.name)
        nothing = stored is None or stored.classic is None
        if nothing and not group.members and not group.promised and group.state is ClassicState.EMPTY:
            self._groups.pop(group.name, None)

    def _tell(self, name: str, events: list[Event], ctx: Context) -> None:
        if events:
            self._desk.write(name, Decision(events=events), ctx, None)

    # --- Time, connections ---

    def _touch(self, group: ClassicGroup, name: str, sender: Address, ctx: Context) -> None:
        until = Millis(ctx.now + group.members[name].session_timeout_ms)
        self._presence.heard((group.name, name), sender, until)

    def _expect(self, group: ClassicGroup, member: LiveMember, ctx: Context) -> None:
        """It has waited for us: its session begins now."""
        self._presence.expect((group.name, member.member), Millis(ctx.now + member.session_timeout_ms))

    def next_deadline(self) -> Millis | None:
        """When `on_time` has something to do."""
        found = (self._presence.next(), self._rounds.next())
        return min((at for at in found if at is not None), default=None)

    def on_time(self, late: bool, ctx: Context) -> None:
        """Put out who was silent for too long, and end what takes too long; not if this timer is late."""
        if late:
            return
        for name in self._rounds.due(ctx.now):
            self._desk.when_free(partial(self._round_over, name), ctx)
        for name, member in self._presence.silent(ctx.now):
            self._desk.when_free(partial(self._silent, name, member), ctx)

    def _round_over(self, name: str, ctx: Context) -> None:
        group = self._groups.get(name)
        if group is None:
            return
        if group.state is ClassicState.PREPARING:
            self._complete(group, ctx)
            self._tidy(group)
            return
        waiting = [member for member, each in group.members.items() if each.syncing is None]
        late = waiting if group.state is ClassicState.COMPLETING else [*self._unsynced.get(name, {})]
        late = [member for member in late if member in group.members]
        if late:
            self._remove(group, dict.fromkeys(late, "it joined and did not sync in time"), ctx)
            self._moved(group, ctx)

    def _silent(self, name: str, member: str, ctx: Context) -> None:
        group = self._groups.get(name)
        if group is None or (member not in group.members and member not in group.promised):
            return
        live = group.members.get(member)
        if live is not None and (live.joining is not None or live.syncing is not None):
            self._expect(group, live, ctx)  # it waits for us
            return
        cause = "its connection closed" if self._presence.gone((name, member)) else "it sent no heartbeat"
        self._remove(group, {member: cause}, ctx)
        self._moved(group, ctx)

    def route_gone(self, route: str, ctx: Context) -> None:
        """A connection has closed. What waited on it is lost; who spoke on it has its grace."""
        for name, member in self._presence.closed(route, self._grace, ctx.now):
            group = self._groups.get(name)
            live = None if group is None else group.members.get(member)
            if live is not None:
                live.joining = None if live.joining is None or _on(route, live.joining) else live.joining
                live.syncing = None if live.syncing is None or _on(route, live.syncing) else live.syncing

    def _grace(self, place: Place) -> int | None:
        group = self._groups.get(place[0])
        member = None if group is None else group.members.get(place[1])
        if member is None or member.grace_ms is None:
            return None
        return self._settings.grace_ms if member.grace_ms == COORDINATORS_GRACE else member.grace_ms

    # --- Terms ---

    def loaded(self, groups: Iterable[Group], ctx: Context) -> None:
        """The groups were read (or the lease is back): everybody has a whole session."""
        for stored in groups:
            if stored.classic is None:
                continue
            group = self._groups.get(stored.name)
            if group is None:
                group = self._groups[stored.name] = ClassicGroup(stored.name, stored.classic)
            for member in group.members.values():
                self._expect(group, member, ctx)

    def forget(self, name: str) -> None:
        """The group is of the other kind now, or deleted."""
        group = self._groups.pop(name, None)
        if group is not None:
            self._rounds.drop(name)
            for member in [*group.members, *group.promised]:
                self._forget((name, member))

    def drop(self) -> list[tuple[Address, GroupRequest]]:
        """The term is over. Take all requests that wait."""
        waiting: list[tuple[Address, GroupRequest]] = []
        for group in self._groups.values():
            for member in group.members.values():
                waiting += [asked for asked in (member.joining, member.syncing) if asked is not None]
        self._groups.clear()
        return waiting

    def _forget(self, place: Place) -> None:
        self._presence.forget(place)
        self._unsynced.get(place[0], {}).pop(place[1], None)


def _on(route: str, asked: Asked) -> bool:
    return node_of(asked.sender) == route
