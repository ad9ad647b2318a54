"""Conversations of the consumer with a cluster that does what a test says."""

from __future__ import annotations

from typing import Any, cast

from client_world import ClientWorld
from test_consumer_under_loss import Shelf

from barnabas.actors.client_commands import (
    Assign,
    Assignment,
    AssignTopics,
    Failure,
    LookUp,
    Pause,
    Resume,
    Seek,
    Start,
    Took,
    Why,
)
from barnabas.actors.consumer import ConsumerActor
from barnabas.actors.consumer_outlet import ConsumerSettings, Reset
from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_consumer import GroupConsumerActor
from barnabas.actors.group_member import MemberSettings
from barnabas.actors.group_reading import GroupSettings
from barnabas.actors.kernel import Message, Payload
from barnabas.actors.messages import (
    EARLIEST,
    LATEST,
    Consume,
    Consumed,
    ConsumedPartition,
    FindOffsets,
    FoundOffset,
    OffsetsFound,
    Partition,
)
from barnabas.storage.records import Record, encode_batch


def reading(start: Start, partitions: int = 1, **options: object) -> tuple[ClientWorld, Shelf, ConsumerActor]:
    world, shelf = ClientWorld(), Shelf()
    world.create("t", partitions)
    world.append("t", [b"0", b"1", b"2"])
    consumer = ConsumerActor(["b1", "b2", "b3"], shelf, ConsumerSettings(**options))  # type: ignore[arg-type]
    world.start(consumer)
    world.run(50)
    world.tell(Assign([Assignment("t", index, start, 1) for index in range(partitions)]))
    return world, shelf, consumer


def once(answer: ErrorCode) -> tuple[list[int], object]:
    """Refuse the first `Consume` with this error."""
    seen: list[int] = []

    def refuse(message: Message) -> Message | None:
        if isinstance(message, Consume) and not seen:
            seen.append(message.id)
            return Consumed(message.id, [ConsumedPartition(p.partition, answer, 3, 0) for p in message.partitions])
        return None

    return seen, refuse


def test_records_before_the_offset_asked_for_are_skipped() -> None:
    world, shelf, _ = reading(Start(1))
    world.run(20)
    assert shelf.values == {0: [b"1", b"2"]}


def test_latest_begins_at_the_high_watermark() -> None:
    world, shelf, _ = reading(Start(LATEST))
    world.run(20)
    assert shelf.position == {0: 3}
    world.append("t", [b"3"])
    world.run(50)
    assert shelf.values == {0: [b"3"]}


def test_a_time_begins_with_the_first_record_at_or_after_it() -> None:
    world, shelf, _ = reading(Start(LATEST, 30))
    world.append("t", [b"3"])
    world.run(50)
    assert shelf.values == {0: [b"3"]}


def test_one_request_per_leader_and_one_ahead() -> None:
    world, _, _ = reading(Start(EARLIEST), 6)
    world.run(40)
    assert {str(to) for to, _ in world.requests(Consume)} == {"b1/broker", "b2/broker", "b3/broker"}
    last = [message for to, message in world.requests(Consume) if to == "b1/broker"][-1]
    assert {wanted.partition.index: wanted.offset for wanted in last.partitions} == {0: 3, 3: 0}


def test_a_full_budget_asks_for_nothing_until_room_is_given_back() -> None:
    world, shelf, _ = reading(Start(EARLIEST), prefetch_bytes=10)
    world.run(20)
    asked = len(world.requests(Consume))
    world.append("t", [b"3"])
    world.run(2_000)
    assert len(world.requests(Consume)) == asked
    world.tell(Took(shelf.chunks[0].size))
    world.run(50)
    assert shelf.values == {0: [b"0", b"1", b"2", b"3"]}


def test_what_waits_at_an_old_leader_is_asked_of_the_new_one_at_once() -> None:
    world, shelf, _ = reading(Start(EARLIEST), max_wait_ms=60_000)
    world.run(50)
    world.down = {"b1"}
    world.lead("t", 0, 2)
    world.append("t", [b"3"])
    world.run(20)
    assert shelf.values == {0: [b"0", b"1", b"2", b"3"]}


def test_offset_not_available_never_resets_a_position() -> None:
    world, shelf, _ = reading(Start(2), reset=Reset.EARLIEST)
    _, world.refuse = once(ErrorCode.OFFSET_NOT_AVAILABLE)  # type: ignore[assignment]
    world.run(200)
    assert shelf.values == {0: [b"2"]}
    assert not world.requests(FindOffsets)


def test_out_of_range_is_an_error_that_names_what_there_is() -> None:
    world, shelf, _ = reading(Start(9))
    world.run(100)
    ((_, _, _, failure),) = shelf.failures
    assert failure.why is Why.OUT_OF_RANGE
    assert "offset 9 of t-0" in failure.sentence
    assert "0 to 3" in failure.sentence


def test_out_of_range_is_reset_by_policy() -> None:
    for reset, values in ((Reset.EARLIEST, [b"0", b"1", b"2", b"3"]), (Reset.LATEST, [b"3"])):
        world, shelf, _ = reading(Start(9), reset=reset)
        world.run(100)
        world.append("t", [b"3"])
        world.run(100)
        assert shelf.values == {0: values}


def test_a_wrong_checksum_is_asked_again_and_then_given_up() -> None:
    world, shelf, _ = reading(Start(EARLIEST))
    bad = bytearray(encode_batch([Record(None, b"x", (), 1)]))
    bad[-2] ^= 1

    def refuse(message: Message) -> Message | None:
        if not isinstance(message, Consume):
            return None
        wanted = message.partitions[0].partition
        return Consumed(message.id, [ConsumedPartition(wanted, ErrorCode.NONE, 3, 0, Payload(bytes(bad)))])

    world.refuse = refuse
    world.run(3_000)
    assert shelf.failures[0][3].why is Why.CORRUPT
    assert shelf.values == {}


def test_control_batches_are_passed_over() -> None:
    world, shelf, _ = reading(Start(EARLIEST))
    topic = world.topics["t"]
    marker = encode_batch([Record(b"\0\0\0\1", b"", (), 1)], base_offset=3, control=True, transactional=True)
    topic.logs[0].append(marker)
    topic.ends[0] = 4
    world.append("t", [b"4"])
    world.run(100)
    assert shelf.values == {0: [b"0", b"1", b"2", b"4"]}
    assert shelf.offsets_seen == {0: [0, 1, 2, 4]}


def test_a_seek_forgets_what_is_on_its_way() -> None:
    world, shelf, _ = reading(Start(EARLIEST))
    world.tell(Seek("t", 0, Start(2), 2))
    world.run(100)
    assert [chunk.generation for chunk in shelf.chunks] == [2]
    assert shelf.values == {0: [b"2"]}


def test_a_paused_partition_is_not_asked_for() -> None:
    world, shelf, _ = reading(Start(EARLIEST))
    world.tell(Pause([("t", 0)]))
    world.run(50)
    before = len(world.requests(Consume))
    world.append("t", [b"3"])
    world.run(2_000)
    assert len(world.requests(Consume)) == before
    world.tell(Resume([("t", 0)]))
    world.run(50)
    assert shelf.values[0][-1] == b"3"


def test_a_second_answer_to_one_request_is_ignored() -> None:
    world, shelf, _ = reading(Start(EARLIEST))
    world.double = 1.0
    world.run(200)
    assert shelf.values == {0: [b"0", b"1", b"2"]}


def test_partitions_that_are_added_are_read_from_their_beginning() -> None:
    world, shelf, consumer = reading(Start(EARLIEST))
    world.tell(AssignTopics(["new"], Start(LATEST)))
    world.run(100)
    world.create("new", 2)
    world.run(700)
    world.append("new", [b"n"], 1)
    world.run(100)
    assert shelf.values[1] == [b"n"]
    assert [place[:2] for place in consumer.describe().positions] == [("new", 0), ("new", 1)]


def test_a_partition_that_a_group_assigns_before_its_consumer_knows_of_it_is_read_all_the_same() -> None:
    """The coordinator knew sooner that the topic had grown. Who gave up left it unread for good (seed 8)."""

    class Member(Shelf):
        def committed(self, token: object, failure: Failure | None) -> None: ...

    world, shelf = ClientWorld(), Member()
    world.create("t", 1)
    member = MemberSettings("g")
    consumer = GroupConsumerActor(["b1"], cast(Any, shelf), ConsumerSettings(), GroupSettings(member, Start(EARLIEST)))
    world.start(consumer)
    world.run(50)
    consumer.assign([Assignment("t", 1, Start(EARLIEST), -1)], world.ctx)
    world.run(200)
    world.heartbeats = False  # nobody tells: it has to ask
    world.grow("t", 2)
    world.append("t", [b"n"], 1)
    world.run(500)
    assert shelf.values[1] == [b"n"]


def test_offsets_are_looked_up_until_the_leader_knows_them() -> None:
    world, shelf, _ = reading(Start(0))
    partition = Partition(world.topics["t"].id, 0)
    seen: list[int] = []

    def refuse(message: Message) -> Message | None:
        if isinstance(message, FindOffsets) and len(seen) < 2:
            seen.append(message.id)
            return OffsetsFound(message.id, [FoundOffset(partition, ErrorCode.OFFSET_NOT_AVAILABLE)])
        return None

    world.refuse = refuse
    world.tell(LookUp("q", [("t", 0, LATEST)], 5_000))
    world.run(500)
    assert shelf.answers["q"] == {("t", 0): (3, -1)}
    world.tell(LookUp("r", [("t", 7, LATEST)], 500))
    world.run(1_000)
    assert "no partition 7" in shelf.lookup_failures["r"].sentence


def test_whoever_asks_for_what_is_not_there_is_told_when_that_is_settled() -> None:
    world, shelf, _ = reading(Start(0))
    world.tell(LookUp("partition", [("t", 7, LATEST)], 600_000))
    world.tell(LookUp("topic", [("nothing", 0, LATEST)], 600_000))
    world.run(ConsumerSettings().topic_timeout_ms - 100)
    assert shelf.lookup_failures == {}
    world.run(600)
    assert "no partition 7" in shelf.lookup_failures["partition"].sentence
    assert "no topic nothing" in shelf.lookup_failures["topic"].sentence


def test_an_answer_from_before_a_seek_leaves_no_gap() -> None:
    world, shelf, _ = reading(Start(EARLIEST))
    world.run(20)
    world.delay = (20, 20)
    world.append("t", [b"3"])
    world.run(15)
    world.tell(Seek("t", 0, Start(0), 2))
    world.run(500)
    assert [chunk.generation for chunk in shelf.chunks] == [1, 2]
    assert shelf.values == {0: [b"0", b"1", b"2", b"0", b"1", b"2", b"3"]}


def test_whole_batches_before_the_position_are_skipped() -> None:
    world, shelf, _ = reading(Start(3))
    world.append("t", [b"3"])
    everything = Payload(b"".join(world.topics["t"].logs[0]))

    def refuse(message: Message) -> Message | None:
        if not isinstance(message, Consume) or message.partitions[0].offset > 3:
            return None
        return Consumed(
            message.id, [ConsumedPartition(message.partitions[0].partition, ErrorCode.NONE, 4, 0, everything)]
        )

    world.refuse = refuse
    world.run(100)
    assert shelf.values == {0: [b"3"]}
