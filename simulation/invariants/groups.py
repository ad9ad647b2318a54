"""Groups and their coordinators: G1-G9, and that every coordinator gets to know what it must (GL1, GL2).

G1 a coordinator has each partition with one member at most. G2 no two clients that are members believe to own one
partition. G3 a target gives every partition that members want to exactly one of them, who wants it. G4 member epochs
only rise, and who has reached an epoch owns nothing that is meant for others. G5 only who is a member now commits. G6
whoever asks is told the newest acknowledged commit, or a later one. G7 offsets are forgotten only of groups without
members. G8 groups and what members say have an end. G9 what is committed was delivered to some member.
GL2 a coordinator that leads has read its partition; GL1 is the workload's business (`converged`).

What a coordinator has in memory may be ahead of what is committed, never of what is written, so these hold for it at
every moment; what clients are told is held against what was acknowledged before.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ...actors.classic_checks import MAX_MEMBER_BYTES as MAX_CLASSIC_BYTES
from ...actors.consumer_groups import MAX_MEMBER_BYTES
from ...actors.errors import ErrorCode
from ...actors.group_consumer import GroupConsumerActor
from ...actors.group_messages import JOINING
from ...actors.group_records import Member, MemberState, OffsetValue
from ...actors.group_shard import GroupShard
from ...actors.group_state import ConsumerGroup, Group
from ...actors.internal_topics import INTERNAL_TOPICS
from ...actors.messages import (
    CommitOffsets,
    Envelope,
    FetchOffsets,
    GroupHeartbeat,
    GroupHeartbeatDone,
    OffsetsCommitted,
    OffsetsFetched,
    Partition,
)
from ...cluster.world import Host, World
from ..oracle import Checker
from ..views import coordinator_of, looking_at, shards_of

if TYPE_CHECKING:
    from ..run import Simulation

STALE_US = 4_000_000
"""How old the answer of a replaced coordinator may be to who asks for its term: a lease, as for partitions."""

Seen = tuple[str, Partition, int]  # host, partition, leader epoch


class _Commit(NamedTuple):
    """An offset as it was written: where in the log, and in which term."""

    end: int
    epoch: int
    value: OffsetValue


class _Acked(NamedTuple):
    """The newest acknowledged commit of a partition."""

    end: int
    epoch: int
    at_us: int


class _Question(NamedTuple):
    """A question for offsets, as it arrived, and what had been acknowledged that it must be told at least."""

    group: str
    partitions: frozenset[Partition] | None  # None: all
    acked: Mapping[Partition, _Acked]


class GroupsChecker(Checker):
    """Watches coordinators, members, and what they say to each other."""

    clients_too = True
    looks_at = frozenset(("groups", "consumer"))
    says = (OffsetsCommitted, OffsetsFetched, GroupHeartbeatDone)
    hears = (CommitOffsets, FetchOffsets, GroupHeartbeat)

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self._looked: dict[Seen, tuple[int, bool]] = {}  # how far it was looked at, and whether it was loaded
        self._terms: dict[Partition, int] = {}  # the newest leader epoch in which a coordinator has read everything
        self._commits: dict[tuple[str, Partition], list[_Commit]] = {}  # in terms that were not over
        self._offsets: dict[tuple[Seen, str], dict[Partition, OffsetValue]] = {}  # as last seen
        self._acked: dict[str, dict[Partition, list[_Acked]]] = {}  # each newer than the one before
        self._asked: dict[tuple[str, int, str, int], _Question] = {}  # client, its life, broker, id
        self._committing: dict[tuple[str, int, str, int], tuple[CommitOffsets, str]] = {}  # and why it must not
        self._joining: dict[tuple[str, str], None] = {}  # members whose newest heartbeat says that they join
        self._told: dict[tuple[str, str], int] = {}  # the newest member epoch that each was told
        self._believed: dict[str, tuple[int, str, int, tuple[Partition, ...]]] = {}  # by client: life, id, epoch, owned

    def acknowledged(self, group: str) -> int:
        """The end of the newest commit of a group that anybody was told of, in its log."""
        return max((acked[-1].end for acked in self._acked.get(group, {}).values()), default=0)

    # --- What is said ---

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        body = envelope.body
        place = (envelope.sender, int(envelope.incarnation), target, getattr(body, "id", -1))
        if type(body) is CommitOffsets:
            if self._committing.get(place, (body, "new"))[1]:  # it may be said again, and be right by then
                self._committing[place] = (body, self._stale(world.hosts[target], body))
        elif type(body) is FetchOffsets:
            wanted = None if body.partitions is None else frozenset(Partition(*each) for each in body.partitions)
            self._asked[place] = _Question(body.group, wanted, self._due(body, world.now))
        elif type(body) is GroupHeartbeat and body.member_epoch == JOINING:
            self._joining[body.group, body.member] = None

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        body = envelope.body
        if type(body) is OffsetsCommitted:
            asked = self._committing.get(self._place(source, to, envelope, body.id))
            if asked is not None:
                self._committed(world, source, body, *asked)
        elif type(body) is OffsetsFetched and body.error is ErrorCode.NONE:
            question = self._asked.get(self._place(source, to, envelope, body.id))
            if question is not None:
                self._fetched(world, source, body, question)
        elif type(body) is GroupHeartbeatDone and body.error is ErrorCode.NONE and body.member_epoch > JOINING:
            self._member_told(to, envelope, body)

    @staticmethod
    def _place(source: str, to: str, envelope: Envelope, request: int) -> tuple[str, int, str, int]:
        client = f"{to.removeprefix('@').partition('#')[0]}/{envelope.to}"
        return client, int(envelope.to_incarnation), source, request

    # --- G5, G9: commits ---

    def _stale(self, host: Host, request: CommitOffsets) -> str:
        """Why this commit must not count, as the group is now at whoever it was sent to; empty if it may."""
        for shard in shards_of(host).values():
            group = shard.groups.get(request.group)
            live = shard.classic.live(request.group)
            if live is not None and live.members:
                member = live.members.get(request.member)
                if member is None or request.epoch != live.generation:
                    return f"generation {live.generation} of {sorted(live.members)}"
                replaced = bool(request.instance) and live.static.get(request.instance) != request.member
                return "its static name is another one's" if replaced else ""
            if group is not None and group.consumer is not None and group.consumer.members:
                known = group.consumer.members.get(request.member)
                if known is None or known.epoch != request.epoch:
                    return f"{request.member} is {known}"
                return ""
            if group is not None:
                return "nobody is in it" if request.epoch >= 0 else ""
        return ""

    def _committed(self, world: World, source: str, answer: OffsetsCommitted, request: CommitOffsets, why: str) -> None:
        if why:
            self.premise("G5")
        if answer.error is not ErrorCode.NONE:
            return
        what = f"{source} took a commit of {request.member or 'nobody'} in epoch {request.epoch} of {request.group}"
        if why:
            self.violated("G5", f"{what}: {why}")
        shard = self._coordinates(world.hosts[source], request.group)
        epoch = -1 if shard is None else shard.log.leader_epoch
        acked = self._acked.setdefault(request.group, {})
        refused = {Partition(*outcome.partition) for outcome in answer.partitions if outcome.error}
        for new in request.offsets:
            partition = Partition(*new.partition)
            if partition in refused:
                continue
            known = self._commits.get((request.group, partition), [])
            same = [each for each in known if (each.value.offset, each.value.metadata) == (new.offset, new.metadata)]
            if not same:
                self.violated("G6", f"{what}, and has not written {new}")
            # It may have been asked for and written several times. A copy above what is committed may rightly be lost,
            # and an answer proves no more than that one is committed: the last of those must last.
            committed = [each for each in same if shard is not None and each.end <= shard.log.hw]
            newest = (committed or same)[-1]
            before = acked.setdefault(partition, [])
            if not before or newest.end > before[-1].end:
                before.append(_Acked(newest.end, epoch, world.now))
                while len(before) > 1 and world.now - before[1].at_us > STALE_US:
                    del before[0]

    # --- G6: what is told ---

    def _due(self, request: FetchOffsets, now: int) -> dict[Partition, _Acked]:
        """The newest acknowledged commits. If it asks for a term that is over, it may be answered by a coordinator
        that does not know that yet, and for a while miss what was acknowledged by its successors.
        """
        due = {}
        for partition, acked in self._acked.get(request.group, {}).items():
            for each in reversed(acked):
                if request.leader_epoch >= each.epoch or now - each.at_us >= STALE_US:
                    due[partition] = each
                    break
        return due

    def _fetched(self, world: World, source: str, answer: OffsetsFetched, question: _Question) -> None:
        told = {Partition(*kept.partition): kept for kept in answer.offsets}
        for partition, acked in question.acked.items():
            if question.partitions is not None and partition not in question.partitions:
                continue
            if partition not in told and self.run.workloads["groups"].settings["retention_ms"]:
                continue  # it may have been forgotten
            self.premise("G6")
            kept = told.get(partition)
            what = f"{source} told {kept} of {question.group} ({partition.index}), acknowledged is {acked}"
            if kept is None or kept.offset < 0:
                if not self.run.workloads["groups"].settings["retention_ms"]:
                    self.violated("G6", what)
                continue
            known = self._commits.get((question.group, partition), [])
            same = [each for each in known if (each.value.offset, each.value.metadata) == (kept.offset, kept.metadata)]
            if not same or same[-1].end < acked.end:
                self.violated("G6", what)

    # --- G4: epochs ---

    def _member_told(self, to: str, envelope: Envelope, answer: GroupHeartbeatDone) -> None:
        place = (to.removeprefix("@").partition("#")[0], answer.member)
        self.premise("G4")
        before = self._told.get(place, -1)
        joined = any(member == answer.member for _, member in self._joining)
        if answer.member_epoch < before and not joined:
            self.violated("G4", f"{answer.member} was told epoch {answer.member_epoch} after {before}")
        self._told[place] = answer.member_epoch

    # --- What there is ---

    def handled(self, world: World, host: Host) -> None:
        if "groups" not in self.run.workloads:
            return
        changed: dict[str, None] = {}
        for partition, shard in shards_of(host).items():
            seen = (host.name, partition, shard.log.leader_epoch)
            now = (shard.log.end, shard.log.loaded)
            if self._looked.get(seen) == now or not shard.log.loaded:
                continue
            fresh = not self._looked.get(seen, (0, False))[1]
            self._looked[seen] = now
            self._terms[partition] = max(self._terms.get(partition, -1), shard.log.leader_epoch)
            for group in list(shard.groups.values()):
                self._look(shard, group, seen, looking_at(host, partition), fresh=fresh)
                changed[group.name] = None
            self._gone(shard, seen)
        consumer = host.node.actors.get("consumer") if host.node is not None else None
        if isinstance(consumer, GroupConsumerActor) and self._client(host, consumer):
            changed[consumer.reading.member.link.group] = None
        for name in changed:
            self._owners(world, name)

    def _look(self, shard: GroupShard, group: Group, seen: Seen, looking: Collection[str], *, fresh: bool) -> None:
        self._offsets_of(shard, group, seen, fresh=fresh)
        limit = shard.settings.max_members
        live = shard.classic.live(group.name)
        if live is not None:
            self._bounded(group.name, len(live.members) + len(live.promised), limit)
            for classic in live.members.values():
                size = sum(len(each.metadata) for each in classic.protocols)
                if size > MAX_CLASSIC_BYTES:
                    self.violated("G8", f"{classic.member} of {group.name} says {size} bytes of itself")
        if group.consumer is not None:
            self._bounded(group.name, len(group.consumer.members), limit)
            self._members(shard, group.name, group.consumer, looking)

    def _bounded(self, name: str, size: int, limit: int) -> None:
        if size >= limit:
            self.premise("G8")
        if size > limit:
            self.violated("G8", f"group {name} has {size} members, allowed are {limit}")

    def _members(self, shard: GroupShard, name: str, state: ConsumerGroup, looking: Collection[str]) -> None:
        """G1, G3, G4 and G8 of a group of the heartbeat protocol."""
        value = state.value
        owners: dict[Partition, str] = {}
        targets: dict[Partition, str] = {}
        for member_id, member in state.members.items():
            self.premise("G1")
            for partition in sorted(member.assigned | member.revoking):
                other = owners.setdefault(partition, member_id)
                if other != member_id:
                    self.violated("G1", f"{partition.index} of {name} is with {other} and {member_id}")
            for partition in sorted(member.target):
                other = targets.setdefault(partition, member_id)
                if other != member_id:
                    self.violated("G3", f"{partition.index} of {name} is meant for {other} and {member_id}")
            at_target = member.epoch == value.assignment_epoch and member.state is not MemberState.UNREVOKED
            if at_target and not member.assigned <= member.target:
                self.violated("G4", f"{member_id} of {name} has reached its epoch with what is not its: {member}")
            unlike = at_target and member.assigned != member.target
            if member.state is MemberState.STABLE and (member.revoking or unlike):
                self.violated("G4", f"{member_id} of {name} is stable, and {member}")
            size = sum(map(len, (*member.topics, member.pattern, member.metadata)))
            if size > MAX_MEMBER_BYTES:
                self.violated("G8", f"{member_id} of {name} says {size} bytes of itself")
        if value.epoch == value.assignment_epoch:
            self._target(shard, name, state, targets, looking)

    def _target(
        self,
        shard: GroupShard,
        name: str,
        state: ConsumerGroup,
        targets: Mapping[Partition, str],
        looking: Collection[str],
    ) -> None:
        """G3: everything that anybody wants is meant for one who wants it."""
        if not state.members or name in looking:
            return  # topics have moved, and it is about to look at that
        self.premise("G3")
        topics = shard.topics
        wanted: dict[str, dict[Partition, None]] = {}
        for member_id, member in state.members.items():
            names = [topic for topic in topics.by_name if self._wants(member, topic)]
            wanted[member_id] = {
                Partition(topics.by_name[topic].id, index): None
                for topic in names
                for index in range(topics.by_name[topic].partitions)
            }
        for partition, member_id in targets.items():
            if partition.topic in topics.by_id and partition not in wanted[member_id]:
                self.violated("G3", f"{partition.index} of {name} is meant for {member_id}, which does not want it")
        missing = [partition for each in wanted.values() for partition in each if partition not in targets]
        if missing:
            self.violated("G3", f"{missing[0].index} of {name} is meant for nobody: {state.value}")

    @staticmethod
    def _wants(member: Member, topic: str) -> bool:
        if topic in member.topics:
            return True
        return bool(member.pattern) and topic not in INTERNAL_TOPICS and re.fullmatch(member.pattern, topic) is not None

    # --- G7, G9: offsets ---

    def _offsets_of(self, shard: GroupShard, group: Group, seen: Seen, *, fresh: bool) -> None:
        """What a coordinator writes while another one has read everything in a newer term is in no log that lasts: the
        next leader had its log before that, and a later one has what that one wrote. If that wrote nothing, and the
        late record is in the log of a leader after it all the same, it is seen when that one is first looked at.
        """
        before = self._offsets.get((seen, group.name), {})
        self._offsets[seen, group.name] = dict(group.offsets)
        for partition, value in group.offsets.items():
            if before.get(partition) == value:
                continue
            commits = self._commits.setdefault((group.name, partition), [])
            if fresh and any(each.value == value for each in commits):
                continue  # read, not written
            if shard.log.leader_epoch == self._terms[shard.log.partition]:
                if shard.members(group.name):
                    self._once(group.name, partition, value, commits)
                commits.append(_Commit(shard.log.end, shard.log.leader_epoch, value))
            if group.name == "g":
                self._delivered(shard, group.name, partition, value)
        gone = [partition for partition in before if partition not in group.offsets]
        if gone and not fresh:
            self._forgotten(shard, group.name, gone)

    def _once(self, name: str, partition: Partition, value: OffsetValue, commits: list[_Commit]) -> None:
        """What a member has committed counts once: the notes that stand beside an offset are all different."""
        same = [each for each in commits if (each.value.offset, each.value.metadata) == (value.offset, value.metadata)]
        acked = self._acked.get(name, {}).get(partition)
        if value.metadata and same and acked and same[-1].end < acked[-1].end:
            self.violated("G6", f"{value} of {partition.index} is committed in {name} once more, since was {acked[-1]}")

    def _gone(self, shard: GroupShard, seen: Seen) -> None:
        """Groups that are no more."""
        for place in [place for place in self._offsets if place[0] == seen and place[1] not in shard.groups]:
            gone = list(self._offsets.pop(place))
            if gone:
                self._forgotten(shard, place[1], gone)

    def _forgotten(self, shard: GroupShard, name: str, partitions: list[Partition]) -> None:
        self.premise("G7")
        members = shard.members(name)
        if members:
            self.violated("G7", f"{len(partitions)} offsets of {name} were forgotten, which has {members} members")

    def _delivered(self, shard: GroupShard, name: str, partition: Partition, value: OffsetValue) -> None:
        """G9: everything below was given to some member before it was committed."""
        workload = self.run.workloads.get("groups")
        ranges = getattr(workload, "delivered", {}).get((shard.topics.name(partition.topic), partition.index), [])
        self.premise("G9")
        low, high = ranges[0] if ranges else (0, 0)
        if value.offset > 0 and not (low <= 0 and value.offset <= high):
            self.violated("G9", f"{value.offset} of {partition.index} is committed in {name}, delivered was {ranges}")

    # --- G2: what clients believe ---

    def _client(self, host: Host, consumer: GroupConsumerActor) -> bool:
        """Whether a member believes something else than before."""
        member = consumer.reading.member
        now = (host.life, member.member, member.epoch, tuple(member.owned))
        before = self._believed.get(host.name)
        self._believed[host.name] = now
        if before is not None and before[:2] == now[:2] and JOINING < member.epoch < before[2]:
            self.violated("G4", f"{host.name} went back from member epoch {before[2]} to {member.epoch}")
        return before != now

    def _owners(self, world: World, name: str) -> None:
        found = coordinator_of(world, name)
        group = None if found is None else found.shard.groups.get(name)
        if group is None or group.consumer is None:
            return
        owners: dict[Partition, str] = {}
        for host in world.hosts.values():
            consumer = host.node.actors.get("consumer") if host.node is not None else None
            if not isinstance(consumer, GroupConsumerActor):
                continue
            member = consumer.reading.member
            if member.member not in group.consumer.members or member.epoch <= JOINING:
                continue
            self.premise("G2")
            for partition in member.owned:
                other = owners.setdefault(partition, host.name)
                if other != host.name:
                    what = f"{other} and {host.name} are in {name} and both own {partition.index}"
                    self.violated("G2", f"{what}: {group.consumer.members}")

    # --- The last look ---

    def at_rest(self, world: World) -> None:
        """GL2: whoever leads has read its partition, and answers."""
        for host in world.hosts.values():
            for partition, shard in shards_of(host).items():
                self.premise("GL2")
                if not shard.log.loaded:
                    self.violated("GL2", f"{host.name} leads {partition.index} and has not read it")

    @staticmethod
    def _coordinates(host: Host, group: str) -> GroupShard | None:
        return next((shard for shard in shards_of(host).values() if group in shard.groups), None)
