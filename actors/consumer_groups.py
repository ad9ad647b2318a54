"""What a coordinator decides about a group of the heartbeat protocol: on a draft, whose differences are then written.

A group has two epochs. The *group epoch* rises whenever what its members want changes: one joins, leaves or subscribes
to something else, or topics come, grow and go. The *assignment epoch* is the group epoch that the newest assignment was
made for; the assignment gives each member a target. A member reaches it by itself, heartbeat by heartbeat
(`reconciliation`).

The assignment is made here and at once by `uniform` or `range`. With the assignor at the leader (`AT_LEADER`), as in
the first Kafka, the leader, which is the oldest member, is given the members and the topics in an answer to its
heartbeat, and brings the plan in its next one; meanwhile everybody keeps what it has. A leader that plans nonsense, or
nothing within `PLAN_MS`, is replaced by the next oldest member; when all have been tried, `uniform` does it for once.

Each decision is tried on a copy. What differs from the state afterwards is what has to be written, so nothing changes
unless it was written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from .assignors import ASSIGNORS, Applicant, Shares, plan_problem, uniform
from .bugs import bug
from .envelope import Partition, TopicName
from .errors import ErrorCode
from .group_decisions import Refused
from .group_messages import AT_LEADER, JOINING, LEAVING_FOR_A_WHILE, UNIFORM, Plan, PlanMember, PlanTask
from .group_records import Entry, GroupKey, GroupValue, Member, MemberKey, MemberState, grouped, partitions_of
from .group_state import ConsumerGroup, Group
from .group_topics import Topics
from .kernel import Millis
from .messages import GroupHeartbeat
from .reconciliation import reconcile
from .topic_patterns import matching, pattern_problem

MAX_MEMBER_BYTES = 64 << 10
"""What a member may say of itself: names, expression and metadata."""

REBALANCE_MS = 60_000
"""How long a member may take to give something up if it does not say so."""

MAX_REBALANCE_MS = 3_600_000

PLAN_MS = 5_000
"""How long the leader may take to plan."""

FIRST_EPOCH = 1


class Said(NamedTuple):
    """What a member's newest heartbeat says: what it owns (None: as before), and its epoch."""

    owned: frozenset[Partition] | None
    epoch: int


class Draft:
    """A group as it might become. Methods raise Refused for what cannot be."""

    def __init__(self, group: Group, topics: Topics, wall: Millis, max_members: int = 1_000) -> None:
        self.name = group.name
        self._max_members = max_members
        self.topics = topics
        self._group = group
        self._before = group.consumer
        self._wall = wall
        first = GroupValue(FIRST_EPOCH, FIRST_EPOCH, UNIFORM, "", 0, wall)
        self.state = ConsumerGroup(first) if group.consumer is None else group.consumer.copy()
        self.causes: list[str] = []  # why the group epoch has risen
        self.replaced: dict[str, str] = {}  # static members whose place somebody has taken, and who

    # --- Members come, speak and go ---

    def beat(self, request: GroupHeartbeat, gone: bool) -> Member:
        """A member joins or lives. `gone`: the connection of whoever has the same static name has ended.

        Returns it as it is afterwards, not yet reconciled.
        """
        known = self.state.members.get(request.member)
        if request.member_epoch == JOINING:
            return self._subscribe(request, self._join(request, known, gone))
        if known is None:
            raise self.unknown(request)
        self._check_epoch(request, known)
        return self._subscribe(request, known)

    def unknown(self, request: GroupHeartbeat) -> Refused:
        """Why a member is none: it was put out, or somebody else has its static name now."""
        other = self.state.static.get(request.instance) if request.instance else None
        if other is not None:
            reason = f"{request.instance} is {other} in group {self.name} now: {request.member} was replaced."
            return Refused(ErrorCode.FENCED_INSTANCE_ID, reason)
        reason = f"{request.member} is no member of group {self.name}: join it with epoch 0."
        return Refused(ErrorCode.UNKNOWN_MEMBER_ID, reason)

    def _join(self, request: GroupHeartbeat, known: Member | None, gone: bool) -> Member:
        if request.topics is None and request.pattern is None and known is None:
            raise Refused(ErrorCode.INVALID_REQUEST, "A member that joins says which topics it wants to read.")
        namesake = self.state.static.get(request.instance) if request.instance else None
        if namesake is not None and namesake != request.member:
            return self._replace(request, namesake, gone)
        if known is not None:
            return replace(known, previous=JOINING)
        if len(self.state.members) >= self._max_members and not bug("unbounded-group"):
            reason = f"Group {self.name} has {self._max_members} members already."
            raise Refused(ErrorCode.GROUP_MAX_SIZE_REACHED, reason)
        joined = self.state.value.joined + 1
        self.state.value = replace(self.state.value, joined=joined)
        self.causes.append(f"{request.member} joined")
        nothing: frozenset[Partition] = frozenset()
        return Member(
            joined=joined,
            epoch=JOINING,
            previous=JOINING,
            state=MemberState.STABLE,
            assigned=nothing,
            revoking=nothing,
            target=nothing,
            topics=(),
            pattern="",
            assignor="",
            instance=request.instance,
            rack=request.rack,
            client_id=request.client_id,
            host=request.host,
            rebalance_timeout_ms=REBALANCE_MS,
            grace_ms=request.grace_ms,
            metadata=request.metadata,
        )

    def _replace(self, request: GroupHeartbeat, namesake: str, gone: bool) -> Member:
        """A static member comes back under another id, and gets what it had."""
        old = self.state.members[namesake]
        if old.epoch != LEAVING_FOR_A_WHILE and not gone:
            reason = f"{request.instance} is in group {self.name} already, as {namesake}, which has not left."
            raise Refused(ErrorCode.UNRELEASED_INSTANCE_ID, reason)
        self.state.remove(namesake)
        self.replaced[namesake] = f"{request.member} has taken its place as {request.instance}"
        if self.state.value.leader == namesake:
            self.state.value = replace(self.state.value, leader=request.member)
        return replace(
            old,
            epoch=JOINING,
            previous=JOINING,
            rack=request.rack,
            client_id=request.client_id,
            host=request.host,
            grace_ms=request.grace_ms,
        )

    def _check_epoch(self, request: GroupHeartbeat, member: Member) -> None:
        """The present epoch; or the one before, whose successor the member has not heard of, with nothing foreign."""
        if request.member_epoch == member.epoch:
            return
        owned = None if request.owned is None else partitions_of(request.owned)
        unheard = request.member_epoch == member.previous and owned is not None
        if not unheard or not (owned or frozenset()) <= member.assigned | member.revoking:
            reason = f"{request.member} is in member epoch {member.epoch}, not {request.member_epoch}: join again."
            raise Refused(ErrorCode.FENCED_MEMBER_EPOCH, reason)

    def _subscribe(self, request: GroupHeartbeat, member: Member) -> Member:
        topics = member.topics if request.topics is None else tuple(sorted(set(request.topics)))
        pattern = member.pattern if request.pattern is None else request.pattern
        assignor = member.assignor if request.assignor is None else request.assignor
        timeout = member.rebalance_timeout_ms
        if request.rebalance_timeout_ms >= 0:
            timeout = min(request.rebalance_timeout_ms, MAX_REBALANCE_MS)
        size = sum(map(len, (*topics, pattern, request.metadata, request.client_id, request.host, request.rack)))
        if size > MAX_MEMBER_BYTES:
            reason = f"What a member says of itself has at most {MAX_MEMBER_BYTES} bytes, this is {size}."
            raise Refused(ErrorCode.INVALID_REQUEST, reason)
        if assignor and assignor not in ASSIGNORS and assignor != AT_LEADER:
            reason = f"There is no assignor {assignor!r}; there are {', '.join([*ASSIGNORS, AT_LEADER])}."
            raise Refused(ErrorCode.UNSUPPORTED_ASSIGNOR, reason)
        if pattern and pattern != member.pattern:
            problem = pattern_problem(pattern)
            if problem is not None:
                raise Refused(ErrorCode.INVALID_REGULAR_EXPRESSION, problem)
        after = replace(
            member,
            topics=topics,
            pattern=pattern,
            assignor=assignor,
            rebalance_timeout_ms=timeout,
            metadata=request.metadata or member.metadata,
        )
        if not self.causes and (topics, pattern) != (member.topics, member.pattern):
            self.causes.append(f"{request.member} subscribed to something else")
        elif not self.causes and after.metadata != member.metadata:
            self.causes.append(f"{request.member} has something new to say to the leader")
        self.put(request.member, after)
        return after

    def put(self, name: str, member: Member) -> None:
        """A member is this now."""
        self.state.put(name, member)

    def leave_for_a_while(self, name: str, member: Member) -> None:
        """A static member keeps what it has until its session is over."""
        self.put(name, replace(member, epoch=LEAVING_FOR_A_WHILE))

    def remove(self, names: Iterable[str], cause: str) -> None:
        """Members are no more; what they had is free."""
        for name in names:
            if name in self.state.members:
                self.state.remove(name)
                self.causes.append(f"{name} {cause}")

    # --- Epochs and assignments ---

    def conclude(self, failed: Iterable[str] = ()) -> None:
        """Raise the group epoch if there was a cause, choose the leader, assign. `failed`: leaders that were tried."""
        state = self.state
        value = state.value
        assignor = self._assignor()
        if assignor != value.assignor and state.members and not self.causes:
            self.causes.append(f"the assignor is {assignor} now")
        if self.causes:
            value = replace(value, epoch=value.epoch + 1, assignor=assignor)
        leader = value.leader if value.leader in state.members else next(iter(state.members), "")
        if value.epoch > value.assignment_epoch and leader in failed:
            leader = next((name for name in state.members if name not in failed), "")
        empty = not state.members
        value = replace(value, leader=leader, stamp=(value.stamp or self._wall) if empty else 0)
        state.value = value
        if value.epoch == value.assignment_epoch:
            return
        if empty:
            state.value = replace(value, assignment_epoch=value.epoch)
        elif value.assignor != AT_LEADER:
            self._target(ASSIGNORS[value.assignor](self.applicants()))
        elif not leader:
            self._target(uniform(self.applicants()))
            state.value = replace(state.value, leader=next(iter(state.members)))

    def topics_moved(self) -> bool:
        """Topics came, grew or went. Whether that concerns the group: then its epoch rises."""
        wanted = {
            Partition(topic.id, index)
            for applicant in self.applicants()
            for topic in applicant.topics
            for index in range(topic.partitions)
        }
        assigned: set[Partition] = set()
        for member in self.state.members.values():
            assigned |= member.target
        value = self.state.value
        if wanted == assigned and value.epoch == value.assignment_epoch:
            return False
        if not wanted and not assigned:
            return False
        self.causes.append("the topics that it reads have changed")
        return True

    def planned(self, plan: Plan) -> str | None:
        """The leader's plan for this group epoch: take it, or say what is wrong with it."""
        shares = [(share.member, partitions_of(share.partitions)) for share in plan.shares]
        problem = plan_problem(shares, self.applicants())
        if problem is None:
            self._target({name: set(partitions) for name, partitions in shares})
        return problem

    def settle(self, said: Mapping[str, Said]) -> None:
        """Let these members move as far as they can, by what they said last; the oldest first."""
        epoch = self.state.value.assignment_epoch
        owners = self.state.owners
        moved = True
        while moved:
            moved = False
            for name in [name for name in self.state.members if name in said]:
                member = self.state.members[name]
                if member.epoch == LEAVING_FOR_A_WHILE:
                    continue
                after = reconcile(
                    member,
                    epoch,
                    said[name].owned,
                    said[name].epoch,
                    lambda partition, name=name: owners.get(partition, name) == name,  # type: ignore[misc]
                )
                if after is not member and after != member:
                    self.put(name, after)
                    moved = True

    def _target(self, shares: Shares) -> None:
        for name, member in list(self.state.members.items()):
            target = frozenset(shares.get(name, ()))
            if target != member.target:
                self.put(name, replace(member, target=target))
        self.state.value = replace(self.state.value, assignment_epoch=self.state.value.epoch)

    def _assignor(self) -> str:
        """What most members prefer; of equals the older one's."""
        preferred = Counter(member.assignor for member in self.state.members.values() if member.assignor)
        return preferred.most_common(1)[0][0] if preferred else UNIFORM

    # --- What is asked of it ---

    def applicants(self) -> list[Applicant]:
        """The members as an assignor sees them, the oldest first."""
        matched: dict[str, list[str]] = {}
        found: dict[tuple[tuple[str, ...], str], tuple[TopicName, ...]] = {}
        applicants = []
        for name, member in self.state.members.items():
            subscription = (member.topics, member.pattern)
            if subscription not in found:
                names = dict.fromkeys(member.topics)
                if member.pattern:
                    if member.pattern not in matched:
                        matched[member.pattern] = matching(member.pattern, self.topics.by_name)
                    names.update(dict.fromkeys(matched[member.pattern]))
                topics = [self.topics.by_name[each] for each in names if each in self.topics.by_name]
                found[subscription] = tuple(sorted(topics, key=lambda topic: topic.id))
            applicants.append(Applicant(name, member.instance, found[subscription], member.target))
        return applicants

    def task(self) -> PlanTask | None:
        """What the leader is asked to plan; None if there is nothing to plan."""
        value = self.state.value
        if value.assignor != AT_LEADER or value.epoch == value.assignment_epoch:
            return None
        applicants = self.applicants()
        members = []
        for applicant in applicants:
            member = self.state.members[applicant.name]
            owned = grouped(member.assigned | member.revoking)
            topics = [topic.id for topic in applicant.topics]
            members.append(PlanMember(applicant.name, member.instance, member.rack, topics, owned, member.metadata))
        read = {topic.id: topic for applicant in applicants for topic in applicant.topics}
        return PlanTask(value.epoch, members, [read[topic_id] for topic_id in sorted(read)])

    def entries(self) -> list[Entry]:
        """What must be written so that it becomes so."""
        before = self._before
        entries: list[Entry] = []
        if self._group.classic is not None:
            entries += self._group.kind_to_forget()  # an empty group of the other kind
        if before is None or before.value != self.state.value:
            entries.append(Entry(GroupKey(self.name), self.state.value))
        known = {} if before is None else before.members
        for name, member in self.state.members.items():
            if known.get(name) != member:
                entries.append(Entry(MemberKey(self.name, name), member))
        entries += [Entry(MemberKey(self.name, name), None) for name in known if name not in self.state.members]
        return entries


def names_of(topics: Topics, partitions: Iterable[Partition]) -> Sequence[TopicName]:
    """The names of the topics of some partitions, as far as they exist."""
    ids = dict.fromkeys(partition.topic for partition in sorted(partitions))
    return [topics.by_id[topic_id] for topic_id in ids if topic_id in topics.by_id]
