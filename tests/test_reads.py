"""What consumers get: committed records only, now or when there are some."""

from __future__ import annotations

from logs import P0, WALL_MS, batch, grow, state, values
from serving import ASKER, Serving

from barnabas.actors import reads
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Millis
from barnabas.actors.messages import (
    EARLIEST,
    LATEST,
    Consume,
    Consumed,
    ConsumedPartition,
    ConsumePartition,
    FindOffsets,
    FoundOffset,
    OffsetQuery,
    OffsetsFound,
    Partition,
)
from barnabas.actors.reads import Reads, ReadTimer
from barnabas.storage.memory import MemoryDisk


class Bench(Serving):
    """A leader, and a consumer in front of it."""

    def __init__(self, words: str = "", *, hw: int | None = None) -> None:
        super().__init__(words)
        if hw is not None:
            self.replica.hw = hw
        self.reads = Reads(self.find, self.where, self.on_damage)

    def ask(self, offset: int = 0, *, wait: int = 0, min_bytes: int = 1, max_bytes: int = 1 << 20) -> None:
        part = ConsumePartition(P0, 0, offset, max_bytes)
        self.reads.consume(ASKER, Consume(1, wait, min_bytes, max_bytes, [part]), self.ctx)

    def answer(self) -> ConsumedPartition | None:
        told = self.ctx.take(Consumed)
        assert len(told) <= 1
        return told[0].partitions[0] if told else None

    def read(self, offset: int = 0, max_bytes: int = 1 << 20) -> str:
        self.ask(offset, max_bytes=max_bytes)
        part = self.answer()
        assert part is not None and part.error is ErrorCode.NONE
        return "" if part.records is None else values(part.records.data)

    def error(self, offset: int = 0) -> ErrorCode:
        self.ask(offset)
        part = self.answer()
        assert part is not None
        return part.error

    def commit(self, word: str) -> None:
        self.replica.log.append(batch(word), 0, WALL_MS)
        self.replica.hw = self.replica.log.end
        self.reads.committed(P0)
        self.reads.speak(self.ctx)

    def offset(self, timestamp: int) -> FoundOffset:
        self.reads.find_offsets(ASKER, FindOffsets(1, [OffsetQuery(P0, 0, timestamp)]), self.ctx)
        [found] = self.ctx.take(OffsetsFound)
        return found.offsets[0]


# --- Reading ---


def test_committed_records_are_served() -> None:
    assert Bench("abc").read(1) == "bc"


def test_what_is_not_committed_is_not() -> None:
    assert Bench("abc", hw=2).read() == "ab"


def test_an_answer_says_the_high_watermark_and_who_leads() -> None:
    bench = Bench("abc")
    bench.ask()
    part = bench.answer()
    assert part is not None
    assert (part.hw, part.log_start, part.leader, part.leader_epoch) == (3, 0, 1, 0)


def test_a_new_leader_hides_a_high_watermark_that_might_seem_to_go_back() -> None:
    """KIP-207."""
    bench = Bench("abc", hw=2)
    bench.replica.lead(1, state(isr=(1,), epoch=1), Millis(0))
    bench.ask()
    part = bench.answer()
    assert part is not None
    assert part.hw == -1
    assert bench.offset(LATEST).error is ErrorCode.OFFSET_NOT_AVAILABLE


def test_bytes_are_bounded_but_one_batch_is_always_given() -> None:
    bench = Bench("abc")
    size = len(batch("a"))
    assert bench.read(max_bytes=2 * size) == "ab"
    assert bench.read(max_bytes=1) == "a"


def test_offsets_outside_the_log_are_out_of_range() -> None:
    bench = Bench("abc")
    bench.replica.log.advance_start(1)
    assert bench.error(0) is ErrorCode.OFFSET_OUT_OF_RANGE
    assert bench.error(4) is ErrorCode.OFFSET_OUT_OF_RANGE
    assert bench.error(3) is ErrorCode.NONE


def test_who_does_not_lead_says_who_does() -> None:
    bench = Bench("abc")
    bench.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER
    bench.ask(wait=500)
    part = bench.answer()
    assert part is not None
    assert (part.error, part.leader, part.leader_epoch) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, 2, 7)


def test_damage_is_told_and_nothing_is_served() -> None:
    bench = Bench("abc")
    bench.replica.log._tail.clear()
    disk = bench.ctx.disk
    assert isinstance(disk, MemoryDisk)
    disk.corrupt(f"orders-0/{0:020d}.log", len(batch("a")) - 1, 0)
    assert bench.error() is ErrorCode.KAFKA_STORAGE_ERROR
    assert len(bench.damaged) == 1


# --- Waiting ---


def test_a_read_at_the_end_waits_for_records() -> None:
    bench = Bench("a")
    bench.ask(1, wait=500)
    assert bench.answer() is None
    bench.commit("b")
    part = bench.answer()
    assert part is not None and part.records is not None
    assert values(part.records.data) == "b"
    assert bench.ctx.timers == {}


def test_it_waits_no_longer_than_it_says() -> None:
    bench = Bench("a")
    bench.ask(1, wait=500)
    [(timer, due)] = bench.ctx.timers.items()
    assert due == bench.ctx.now + 500
    assert isinstance(timer, ReadTimer)
    bench.reads.on_timer(timer.number, bench.ctx)
    part = bench.answer()
    assert part is not None
    assert (part.error, part.records) == (ErrorCode.NONE, None)


def test_it_is_answered_once() -> None:
    bench = Bench("a")
    bench.ask(1, wait=500)
    bench.commit("b")
    bench.answer()
    bench.commit("c")
    bench.reads.on_timer(1, bench.ctx)
    assert bench.answer() is None


def test_it_waits_for_as_many_bytes_as_it_wants() -> None:
    bench = Bench()
    bench.ask(wait=500, min_bytes=len(batch("a")) + 1)
    bench.commit("a")
    assert bench.answer() is None
    bench.commit("b")
    part = bench.answer()
    assert part is not None and part.records is not None
    assert values(part.records.data) == "ab"


def test_records_that_are_not_committed_wake_nobody() -> None:
    bench = Bench("a")
    bench.ask(1, wait=500)
    grow(bench.replica.log, "b", 0)
    bench.reads.committed(P0)
    bench.reads.speak(bench.ctx)
    assert bench.answer() is None


def test_a_lost_leadership_ends_the_wait() -> None:
    bench = Bench("a")
    bench.ask(1, wait=500)
    bench.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER
    bench.reads.committed(P0)
    bench.reads.speak(bench.ctx)
    part = bench.answer()
    assert part is not None
    assert part.error is ErrorCode.NOT_LEADER_OR_FOLLOWER


def test_one_bad_partition_answers_the_whole_request() -> None:
    bench = Bench("a")
    parts = [ConsumePartition(P0, 0, 1, 100), ConsumePartition(Partition(P0.topic, 9), 0, 0, 100)]
    bench.reads.consume(ASKER, Consume(1, 500, 1, 1000, parts), bench.ctx)
    [answer] = bench.ctx.take(Consumed)
    assert [part.error for part in answer.partitions] == [ErrorCode.NONE, ErrorCode.UNKNOWN_TOPIC_ID]


def test_no_read_waits_longer_than_half_a_minute() -> None:
    bench = Bench("a")
    bench.ask(1, wait=10_000_000)
    assert list(bench.ctx.timers.values()) == [bench.ctx.now + reads.MAX_WAIT_MS]


# --- Offsets ---


def test_the_earliest_offset_is_the_start_of_the_log() -> None:
    bench = Bench("abc")
    bench.replica.log.advance_start(1)
    assert bench.offset(EARLIEST).offset == 1


def test_the_latest_offset_is_the_high_watermark() -> None:
    assert Bench("abc", hw=2).offset(LATEST).offset == 2


def test_an_offset_is_found_by_time() -> None:
    found = Bench("abc").offset(WALL_MS - 5)
    assert (found.error, found.offset, found.timestamp) == (ErrorCode.NONE, 0, WALL_MS)


def test_no_record_that_late_is_no_error() -> None:
    found = Bench("abc").offset(WALL_MS + 1)
    assert (found.error, found.offset) == (ErrorCode.NONE, -1)


def test_records_that_are_not_committed_are_not_found_by_time() -> None:
    assert Bench("a", hw=0).offset(WALL_MS).offset == -1
