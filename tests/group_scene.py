"""A coordinator of groups, the log that its broker keeps for it, and whoever speaks to it: all in one place.

Everything is written at once, and committed at once unless `held` says otherwise. `crash` and `begin` make another
coordinator out of what was committed. Members speak by `beat`, which follows the rules of the protocol: its sequence
counts, and it says what it was assigned last.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from recording import Recording

from barnabas.actors.coordinator_log_messages import (
    AppendRecords,
    Committed,
    LeaseRenewed,
    RecordsAppended,
    TermBegan,
    TermEnded,
    TopicsMoved,
)
from barnabas.actors.envelope import RouteGone
from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_messages import GroupReply, GroupRequest, TopicPartitions
from barnabas.actors.group_records import partitions_of
from barnabas.actors.group_settings import GroupSettings
from barnabas.actors.group_shard import GroupShard
from barnabas.actors.group_state import Group
from barnabas.actors.groups import Groups
from barnabas.actors.internal_topics import GROUP_OFFSETS
from barnabas.actors.kernel import Address, Message, Millis, Payload
from barnabas.actors.messages import (
    CommitOffsets,
    Consume,
    Consumed,
    ConsumedPartition,
    FetchOffsets,
    GroupHeartbeat,
    GroupHeartbeatDone,
    OffsetsCommitted,
    OffsetsFetched,
    Partition,
    TopicId,
    TopicName,
)
from barnabas.actors.offset_messages import NewOffset
from barnabas.storage.records import iter_headers, patch

R = TypeVar("R", bound=GroupReply)
M = TypeVar("M", bound=Message)

HOME = Partition(TopicId("OFFSETS"), 0)
ORDERS = TopicName(TopicId("ORDERS"), "orders", 6)
PENS = TopicName(TopicId("PENS"), "pens", 4)
BROKER = Address("b1/broker")


class Scene:
    """See above. `answers` are the replies to anybody, newest last, with their addressees."""

    def __init__(self, settings: GroupSettings | None = None, topics: Sequence[TopicName] = (ORDERS, PENS)) -> None:
        self.settings = settings or GroupSettings()
        self.topics = {topic.id: topic for topic in topics}
        self.batches: list[tuple[int, int, bytes]] = []  # base, next, bytes
        self.hw = 0
        self.epoch = 0
        self.held = False  # nothing is committed
        self.refuses = ErrorCode.NONE  # how the broker answers instead of writing
        self.answers: list[tuple[Address, Message]] = []
        self.ctx = Recording("b1/groups")
        self.groups = Groups(self.settings)
        self.members: dict[str, Member] = {}
        self.begin()

    @property
    def end(self) -> int:
        return self.batches[-1][1] if self.batches else 0

    @property
    def shard(self) -> GroupShard:
        return self.groups.shards[HOME]

    def group(self, name: str = "g") -> Group:
        return self.shard.groups[name]

    # --- The broker ---

    def begin(self) -> None:
        """A new coordinator begins a term on what there is."""
        self.groups = Groups(self.settings)
        self.ctx.timers.clear()
        self.epoch += 1
        home = TopicName(HOME.topic, GROUP_OFFSETS, 1)
        self.hear(TopicsMoved(1, True, [home, *self.topics.values()], []))
        self.lease()
        self.hear(TermBegan(GROUP_OFFSETS, HOME, self.epoch, 0, self.end))
        self.commit()

    def crash(self) -> None:
        """The coordinator is gone, and with it what was not committed."""
        self.batches = [batch for batch in self.batches if batch[1] <= self.hw]

    def lose(self) -> None:
        """The broker does not lead any more."""
        self.hear(TermEnded(HOME, self.epoch))

    def lease(self, ms: int = 1 << 40) -> None:
        self.hear(LeaseRenewed(Millis(self.ctx.now + ms)))

    def commit(self) -> None:
        """Everything that was written is committed."""
        if self.hw != self.end or not self.batches:
            self.hw = self.end
        self.hear(Committed(HOME, self.epoch, self.hw))

    def move(self, *topics: TopicName, deleted: Iterable[TopicName] = ()) -> None:
        """Topics come, grow and go."""
        self.topics.update({topic.id: topic for topic in topics})
        for topic in deleted:
            del self.topics[topic.id]
        self.hear(TopicsMoved(2, False, list(topics), [topic.id for topic in deleted]))
        self.sleep(1)

    def hear(self, message: Message, sender: str = BROKER) -> None:
        self.groups.on_message(Address(sender), message, self.ctx)
        self._pump()

    def sleep(self, ms: int) -> None:
        """Time passes, in steps, so that what timers ask for is answered in time."""
        end = self.ctx.now + ms
        while True:
            due = [at for at in self.ctx.timers.values() if at <= end]
            self.ctx.sleep(max(0, min(due, default=end) - self.ctx.now), self.groups)
            self._pump()
            if not due:
                return

    def _pump(self) -> None:
        while self.ctx.sent:
            to, message = self.ctx.sent.pop(0)
            if to != BROKER:
                self.answers.append((to, message))
                continue
            match message:
                case AppendRecords():
                    self._append(message)
                case Consume():
                    self._consume(message)
                case _:
                    raise AssertionError(f"the broker was sent {message!r}")

    def _append(self, request: AppendRecords) -> None:
        answer = RecordsAppended(request.id, HOME, request.leader_epoch, self.refuses, reason="as the test wants")
        if self.refuses is ErrorCode.NONE:
            data = bytearray(request.batch.data)
            base = self.end
            patch(data, base, request.leader_epoch)
            [(_, header)] = iter_headers(data)
            self.batches.append((base, header.next_offset, bytes(data)))
            answer = RecordsAppended(request.id, HOME, request.leader_epoch, ErrorCode.NONE, base, header.next_offset)
        self.groups.on_message(BROKER, answer, self.ctx)
        if not self.held:
            self.hw = self.end
            self.groups.on_message(BROKER, Committed(HOME, self.epoch, self.hw), self.ctx)

    def _consume(self, request: Consume) -> None:
        wanted = request.partitions[0]
        data = b""
        for base, following, batch in self.batches:
            if following > wanted.offset and following <= self.hw and (not data or base >= wanted.offset):
                data += batch
                if len(data) > 300:
                    break
        hw = self.hw if self.hw >= self.shard.log.end else -1
        part = ConsumedPartition(HOME, ErrorCode.NONE, hw, 0, Payload(data) if data else None)
        self.groups.on_message(BROKER, Consumed(request.id, [part]), self.ctx)

    # --- Whoever speaks to it ---

    def ask(self, request: GroupRequest, kind: type[R], sender: str = "@c/client") -> R:
        """Say something, and get the answer, which must come at once."""
        before = len(self.answers)
        self.hear(request, sender)
        found = [answer for to, answer in self.answers[before:] if to == sender]
        assert found, f"no answer to {request!r}"
        answer = found[-1]
        assert isinstance(answer, kind)
        return answer

    def ask_any(self, request: Message, kind: type[M]) -> M:
        """The same for what is not said about one group."""
        before = len(self.answers)
        self.hear(request, "@c/client")
        [answer] = [answer for _, answer in self.answers[before:]]
        assert isinstance(answer, kind)
        return answer

    def newest(self, sender: str, kind: type[R]) -> R | None:
        """The newest answer to a sender; None if there is none."""
        found = [answer for to, answer in self.answers if to == sender and isinstance(answer, kind)]
        return found[-1] if found else None

    def close(self, route: str) -> None:
        """A connection closes."""
        self.hear(RouteGone(route))

    def commit_offset(self, offset: int, topic: TopicName = ORDERS, index: int = 0, **said: object) -> OffsetsCommitted:
        fields = {"member": "", "epoch": -1, "offsets": [NewOffset(Partition(topic.id, index), offset)], **said}
        return self.ask(CommitOffsets(1, "g", -1, **fields), OffsetsCommitted)  # type: ignore[arg-type]

    def offset(self, topic: TopicName = ORDERS, index: int = 0, group: str = "g") -> int:
        asked = FetchOffsets(1, group, -1, [Partition(topic.id, index)])
        return self.ask(asked, OffsetsFetched).offsets[0].offset

    def member(self, name: str, *topics: str, **said: object) -> Member:
        """Somebody who joins."""
        member = self.members[name] = Member(self, name, topics, said)
        member.beat(member_epoch=0)
        return member


class Member:
    """A member as the protocol wants it: `owned` is what it believes to own."""

    def __init__(self, scene: Scene, name: str, topics: Sequence[str], said: dict[str, object]) -> None:
        self.scene = scene
        self.name = name
        self.sender = f"@{name}/client"
        self.group = str(said.pop("group", "g"))
        self.topics = list(topics)
        self.said = said
        self.epoch = 0
        self.sequence = 0
        self.sent: object = 0  # the sequence of its newest heartbeat
        self.heard = -1
        self.owned: frozenset[Partition] = frozenset()
        self.waits = 1_000
        self.last: GroupHeartbeatDone | None = None

    def beat(self, **said: object) -> GroupHeartbeatDone | None:
        """Send a heartbeat. The answer if it came at once."""
        scene = self.scene
        self.sequence += 1
        before = len(scene.answers)
        owned = _grouped(self.owned)
        fields = {
            "member_epoch": self.epoch,
            "sequence": self.sequence,
            "heard": self.heard,
            "wait_ms": self.waits,
            "topics": self.topics,
            "owned": owned,
            "leader_epoch": scene.epoch,
            **self.said,
            **said,
        }
        epoch = fields.pop("leader_epoch")
        self.sent = fields["sequence"]
        request = GroupHeartbeat(self.sequence, self.group, epoch, self.name, **fields)  # type: ignore[arg-type]
        scene.hear(request, self.sender)
        return self.hear(before)

    def hear(self, since: int = 0) -> GroupHeartbeatDone | None:
        """Take the newest answer to the newest heartbeat, if there is one: the epoch, and what it owns from now on."""
        self.last = None
        for to, answer in self.scene.answers[since:]:
            if to == self.sender and isinstance(answer, GroupHeartbeatDone) and answer.sequence == self.sent:
                self.last = answer
        if self.last is not None:
            self.heard = self.last.sequence
            if self.last.error is ErrorCode.NONE:
                self.epoch = self.last.member_epoch
                if self.last.assigned is not None:
                    self.owned = partitions_of(self.last.assigned)
        return self.last

    def owns(self, topic: TopicName = ORDERS) -> list[int]:
        return sorted(index for topic_id, index in self.owned if topic_id == topic.id)


def _grouped(partitions: Iterable[Partition]) -> list[TopicPartitions]:
    shares: dict[TopicId, list[int]] = {}
    for topic, index in sorted(partitions):
        shares.setdefault(topic, []).append(index)
    return [TopicPartitions(topic, indexes) for topic, indexes in shares.items()]


def everything(*members: Member) -> list[int]:
    """The partitions of `orders` that these own, each as often as it is owned."""
    return sorted(index for member in members for index in member.owns())


def settle(*members: Member) -> None:
    """Everybody speaks and listens until nothing moves any more."""
    for _ in range(50):
        before = [(member.epoch, member.owned) for member in members]
        for member in members:
            if member.hear() is not None or member.last is None:
                member.beat()
        if [(member.epoch, member.owned) for member in members] == before:
            return
    raise AssertionError("it does not settle")
