"""The follower of the broadcast: whatever happens to frames and answers, it ends with the image of the log.

`Log` plays a controller: it decides, publishes and answers from a real image. The storm at the end loses, doubles and
reorders everything, and then lets things be quiet.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording import OneVoter, Recording

from barnabas.actors.kernel import Actor, Address, Incarnation, Message, Payload, Timer
from barnabas.actors.messages import (
    FetchMetadata,
    MetadataRange,
    MetadataSnapshot,
    MetadataUpdate,
    Partition,
    TopicId,
)
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_codec import decode_batches, encode_records
from barnabas.actors.metadata_follower import MAX_EARLY, MetadataFollower
from barnabas.actors.metadata_records import (
    BrokerRegistered,
    MetadataRecord,
    PartitionCreated,
    TopicCreated,
    TopicDeleted,
)
from barnabas.actors.metadata_service import MetadataSource

T = TopicId("T" * 22)


class Log:
    """A controller that knows everything at once."""

    def __init__(self) -> None:
        self.raft = OneVoter()
        self.image = MetadataImage()
        self.frames: list[MetadataUpdate] = []
        self.source = MetadataSource("cluster", self.image, self.raft)
        self.lead()

    def lead(self) -> None:
        self.raft.win(Recording())
        self._applied()

    def decide(self, *records: MetadataRecord) -> MetadataUpdate:
        self.raft.append(encode_records(records), Recording())
        return self._applied()

    def more(self) -> MetadataUpdate:
        """Any decision."""
        broker = self.image.end
        return self.decide(BrokerRegistered(broker, Incarnation(broker), "d", "e", "r" * 200))

    def heartbeat(self) -> MetadataUpdate:
        end = self.image.end
        return MetadataUpdate("cluster", 1, self.raft.epoch, end, end)

    def _applied(self) -> MetadataUpdate:
        before = self.image.end
        data = self.raft.read(before, 1 << 20)
        for first, _, records in decode_batches(data):
            self.image.apply(records, first)
        frame = MetadataUpdate("cluster", 1, self.raft.epoch, before, self.image.end, Payload(data))
        self.frames.append(frame)
        return frame


class Owner(Actor):
    """What the broker is to its follower."""

    def __init__(self, follower: MetadataFollower, ctx: Recording) -> None:
        self.follower, self.ctx = follower, ctx
        follower.start(ctx)

    def on_timer(self, timer: Timer, ctx: object) -> None:
        self.follower.on_timer(timer, self.ctx)

    def hear(self, message: Message) -> bool:
        match message:
            case MetadataUpdate():
                return self.follower.on_update(message, self.ctx)
            case MetadataRange():
                return self.follower.on_range(message, self.ctx)
            case MetadataSnapshot():
                return self.follower.on_snapshot(message, self.ctx)
            case _:
                raise AssertionError(message)

    def asked(self) -> list[FetchMetadata]:
        return self.ctx.take(FetchMetadata)

    def answer(self, log: Log) -> None:
        """Answer whatever is asked, until nothing is."""
        while asked := self.asked():
            for request in asked:
                self.hear(log.source.answer(request))


def following(log: Log) -> Owner:
    owner = Owner(MetadataFollower("cluster", {1: "c1", 2: "c2", 3: "c3"}), Recording())
    owner.answer(log)
    assert owner.follower.caught_up
    return owner


def test_a_follower_is_not_caught_up_before_a_controller_has_answered() -> None:
    owner = Owner(MetadataFollower("cluster", {1: "c1"}), Recording())
    assert not owner.follower.caught_up


def test_a_frame_that_continues_the_image_is_applied() -> None:
    log = Log()
    owner = following(log)
    assert owner.hear(log.more())
    assert owner.follower.image.state_hash() == log.image.state_hash()
    assert owner.asked() == []


def test_a_frame_heard_twice_is_applied_once() -> None:
    log = Log()
    owner = following(log)
    frame = log.more()
    assert owner.hear(frame)
    assert not owner.hear(frame)


def test_frames_in_the_wrong_order_are_applied_in_the_right_one() -> None:
    log = Log()
    owner = following(log)
    first, second, third = log.more(), log.more(), log.more()
    assert not owner.hear(third)
    assert not owner.hear(second)
    assert owner.hear(first)
    assert owner.follower.image.end == log.image.end


def test_a_gap_is_fetched_once_within_a_random_moment() -> None:
    log = Log()
    owner = following(log)
    log.more()
    owner.hear(log.more())
    owner.hear(log.more())
    assert owner.asked() == []
    owner.ctx.sleep(50, owner)
    [request] = owner.asked()
    owner.hear(log.source.answer(request))
    assert owner.follower.image.end == log.image.end


def test_the_last_frame_being_lost_is_noticed_at_the_next_heartbeat() -> None:
    log = Log()
    owner = following(log)
    log.more()
    owner.hear(log.heartbeat())
    assert not owner.follower.caught_up
    owner.ctx.sleep(50, owner)
    owner.answer(log)
    assert owner.follower.caught_up


def test_silence_is_a_gap() -> None:
    log = Log()
    owner = following(log)
    log.more()
    owner.ctx.sleep(550, owner)
    owner.answer(log)
    assert owner.follower.image.end == log.image.end


def test_frames_of_a_replaced_controller_are_ignored() -> None:
    log = Log()
    owner = following(log)
    stale = MetadataUpdate("cluster", 2, 0, log.image.end, log.image.end + 1, Payload(b"nonsense"))
    assert not owner.hear(stale)
    assert owner.follower.epoch == 1


def test_another_controller_that_goes_on_where_the_image_ends_is_believed() -> None:
    log = Log()
    owner = following(log)
    owner.hear(log.heartbeat())
    log.lead()
    assert owner.hear(log.frames[-1]), "only what is committed is broadcast, so the frame is true whoever says it"
    owner.ctx.sleep(50, owner)
    assert owner.asked() == []
    assert owner.follower.image.end == log.image.end


def test_a_question_to_a_controller_that_died_goes_to_the_next_at_once() -> None:
    log = Log()
    owner = following(log)
    owner.follower.refresh(owner.ctx)
    owner.ctx.sleep(50, owner)
    [(to, _)] = [(to, said) for to, said in owner.ctx.sent if isinstance(said, FetchMetadata)]
    owner.ctx.sent.clear()
    owner.follower.on_peer_gone(to.rpartition("/")[0], owner.ctx)
    [(other, _)] = [(to, said) for to, said in owner.ctx.sent if isinstance(said, FetchMetadata)]
    assert other != to


def test_frames_of_another_cluster_are_ignored() -> None:
    log = Log()
    owner = following(log)
    assert not owner.hear(MetadataUpdate("other", 1, 9, log.image.end, log.image.end + 1, Payload(b"")))
    assert owner.follower.epoch == 1


def test_a_damaged_frame_is_as_good_as_lost() -> None:
    log = Log()
    owner = following(log)
    frame = log.more()
    assert frame.records is not None
    data = bytearray(frame.records.data)
    data[-1] ^= 1
    damaged = MetadataUpdate("cluster", 1, 1, frame.previous, frame.offset, Payload(data))
    assert not owner.hear(damaged)
    owner.ctx.sleep(50, owner)
    owner.answer(log)
    assert owner.follower.image.end == log.image.end


def test_what_is_kept_is_bounded() -> None:
    log = Log()
    owner = following(log)
    log.more()
    frame = log.more()
    for n in range(MAX_EARLY + 10):
        owner.hear(MetadataUpdate("cluster", 1, 1, frame.previous + n, frame.offset + n, frame.records))
    assert len(owner.follower._early) <= MAX_EARLY


def test_an_unanswered_question_goes_to_the_next_controller() -> None:
    owner = Owner(MetadataFollower("cluster", {1: "c1", 2: "c2", 3: "c3"}), Recording())
    for _ in range(5):
        owner.ctx.sleep(300, owner)
    targets = {to for to, _ in owner.ctx.sent}
    assert targets == {Address(f"c{n}/controller") for n in (1, 2, 3)}


def test_the_active_controller_is_asked_first() -> None:
    log = Log()
    owner = following(log)
    owner.follower.refresh(owner.ctx)
    owner.ctx.sleep(50, owner)
    assert [to for to, _ in owner.ctx.sent] == [Address("c1/controller")]


def test_a_follower_below_the_start_of_the_log_loads_a_snapshot_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("barnabas.actors.metadata_service.PIECE", 1000)
    log = Log()
    for _ in range(20):
        log.more()
    log.raft.log_start = log.image.end
    owner = Owner(MetadataFollower("cluster", {1: "c1"}), Recording())
    [request] = owner.asked()
    owner.hear(log.source.answer(request))
    log.more()  # the snapshot stays the same while it is handed out
    owner.answer(log)
    assert owner.follower.image.state_hash() == log.image.state_hash()
    assert owner.follower.take_changed() is None


def test_the_owner_is_told_which_partitions_changed() -> None:
    log = Log()
    owner = following(log)
    assert owner.follower.take_changed() is None
    owner.hear(log.decide(TopicCreated(T, "orders"), PartitionCreated(Partition(T, 0), [1], [1], 1)))
    assert owner.follower.take_changed() == [Partition(T, 0)]
    owner.hear(log.decide(TopicDeleted(T)))
    assert owner.follower.take_changed() == [Partition(T, 0)]
    assert owner.follower.take_changed() == []


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 90))
def test_whatever_is_lost_doubled_or_late_the_image_converges(seed: int, loss: int) -> None:
    random = Random(seed)
    log = Log()
    owner = Owner(MetadataFollower("cluster", {1: "c1", 2: "c2"}), Recording(seed=seed))
    flying: list[Message] = []

    def step(lossy: bool) -> None:
        for message in [*log.frames, *(log.source.answer(request) for request in owner.asked())]:
            copies = 1 if not lossy else 0 if random.randrange(100) < loss else random.choice((1, 1, 2))
            flying.extend([message] * copies)
        log.frames.clear()
        if lossy:
            random.shuffle(flying)
        for _ in range(random.randint(0, len(flying)) if lossy else len(flying)):
            owner.hear(flying.pop(0))
        owner.ctx.sleep(random.randint(0, 100), owner)

    for _ in range(60):
        match random.randrange(12):
            case 0:
                log.lead()
            case 1 | 2:
                log.frames.append(log.heartbeat())
            case 3 if random.randrange(4) == 0:
                log.raft.log_start = log.image.end
            case _:
                log.more()
        step(lossy=True)
    for _ in range(30):
        step(lossy=False)
    assert owner.follower.caught_up
    assert owner.follower.image.state_hash() == log.image.state_hash()
