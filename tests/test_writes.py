"""What becomes of a `Produce`: every refusal and its words, and when it is acknowledged."""

from __future__ import annotations

import pytest
from logs import P0, batch, content, flush
from serving import ASKER, Serving

from barnabas.actors import writes
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Payload
from barnabas.actors.messages import Partition, Produce, ProduceBatch, Produced, ProducedBatch
from barnabas.actors.writes import AckTimer, Writes
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, encode_batch


class Bench(Serving):
    """A leader, and a producer in front of it."""

    def __init__(self, words: str = "", *, isr: tuple[int, ...] = (1,), min_insync: int = 1) -> None:
        super().__init__(words, isr=isr, min_insync=min_insync)
        self.writes = Writes(self.find, self.where, self.on_appended, self.on_repeated)

    def send(self, data: bytes | bytearray, acks: int = 1, partition: Partition = P0, timeout_ms: int = 1_000) -> None:
        request = Produce(1, acks, timeout_ms, [ProduceBatch(partition, -1, Payload(bytes(data)))])
        self.writes.produce(ASKER, request, self.ctx)

    def produce(self, data: bytes | bytearray, acks: int = 1, partition: Partition = P0) -> ProducedBatch | None:
        """The answer to one batch, or None if there is none yet."""
        self.send(data, acks, partition)
        told = self.ctx.take(Produced)
        return told[0].batches[0] if told else None

    def commit(self) -> None:
        flush(self.replica.log)
        self.replica.hw = self.replica.log.end
        self.writes.acks.release(P0, self.replica.hw, 0, 0)
        self.writes.acks.speak(self.ctx)


def refusal(answer: ProducedBatch | None) -> tuple[ErrorCode, str]:
    assert answer is not None
    return answer.error, answer.reason


# --- Acknowledgements ---


def test_acks_1_is_answered_once_written() -> None:
    answer = Bench("a").produce(batch("b"))
    assert answer is not None
    assert (answer.error, answer.base_offset) == (ErrorCode.NONE, 1)


def test_acks_0_is_never_answered() -> None:
    bench = Bench()
    assert bench.produce(batch("a"), acks=0) is None
    assert content(bench.replica.log) == "a"


def test_acks_0_is_not_even_refused() -> None:
    bench = Bench()
    bench.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER
    assert bench.produce(batch("a"), acks=0) is None


def test_acks_all_waits_for_the_high_watermark() -> None:
    bench = Bench()
    assert bench.produce(batch("a"), acks=-1) is None
    bench.commit()
    [answer] = bench.ctx.take(Produced)
    assert answer.batches[0].base_offset == 0


def test_acks_all_waits_no_longer_than_the_producer_allows() -> None:
    bench = Bench()
    bench.send(batch("a"), acks=-1, timeout_ms=150)
    for _ in range(2):
        assert bench.ctx.timers.pop(AckTimer())
        bench.ctx.sleep(100)
        bench.writes.on_timer(bench.ctx)
        bench.writes.acks.speak(bench.ctx)
    [answer] = bench.ctx.take(Produced)
    assert answer.batches[0].error is ErrorCode.REQUEST_TIMED_OUT
    assert AckTimer() not in bench.ctx.timers
    assert content(bench.replica.log) == "a"


def test_one_request_may_be_answered_in_parts() -> None:
    bench = Bench()
    parts = [ProduceBatch(Partition(P0.topic, 9), -1, Payload(batch("x"))), ProduceBatch(P0, -1, Payload(batch("a")))]
    bench.writes.produce(ASKER, Produce(5, -1, 1_000, parts), bench.ctx)
    [first] = bench.ctx.take(Produced)
    assert [part.error for part in first.batches] == [ErrorCode.UNKNOWN_TOPIC_ID]
    bench.commit()
    [second] = bench.ctx.take(Produced)
    assert (second.id, second.batches[0].error) == (5, ErrorCode.NONE)


def test_replication_hears_of_what_was_appended_and_of_nothing_else() -> None:
    bench = Bench()
    bench.produce(batch("a"))
    bench.produce(b"nonsense")
    assert bench.appended == [P0]


# --- Refusals ---


def test_who_does_not_lead_says_who_does() -> None:
    bench = Bench()
    bench.refusal = ErrorCode.NOT_LEADER_OR_FOLLOWER
    answer = bench.produce(batch("a"))
    assert answer is not None
    assert (answer.error, answer.leader, answer.leader_epoch) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, 2, 7)


def test_acks_2_do_not_exist() -> None:
    assert refusal(Bench().produce(batch("a"), acks=2))[0] is ErrorCode.INVALID_REQUIRED_ACKS


def test_acks_all_is_refused_below_min_insync() -> None:
    bench = Bench(min_insync=2)
    assert refusal(bench.produce(batch("a"), acks=-1)) == (
        ErrorCode.NOT_ENOUGH_REPLICAS,
        "1 replicas are in sync, acks=all needs 2",
    )
    assert bench.replica.log.end == 0


def test_acks_1_is_taken_below_min_insync() -> None:
    assert refusal(Bench(min_insync=2).produce(batch("a"))) == (ErrorCode.NONE, "")


def test_a_disk_that_is_nearly_full_takes_no_user_records() -> None:
    bench = Bench()
    bench.ctx.disk.full = writes.RESERVE_BYTES  # type: ignore[attr-defined]
    error, reason = refusal(bench.produce(batch("a")))
    assert error is ErrorCode.KAFKA_STORAGE_ERROR
    assert reason == f"the broker's disk has under {writes.RESERVE_BYTES} B left"


def test_an_append_that_does_not_fit_is_refused_and_changes_no_producer(monkeypatch: pytest.MonkeyPatch) -> None:
    """KAFKA-6683: the state of a producer follows the log."""
    monkeypatch.setattr(writes, "RESERVE_BYTES", 100)
    bench = Bench()
    disk = bench.ctx.disk
    assert isinstance(disk, MemoryDisk)
    disk.full = disk.usage() + 100
    data = batch("a" * 500, pid=7, sequence=0)
    error, reason = refusal(bench.produce(data))
    assert error is ErrorCode.KAFKA_STORAGE_ERROR
    assert "orders-0" in reason
    disk.full = None
    answer = bench.produce(data)
    assert answer is not None
    assert (answer.error, answer.base_offset) == (ErrorCode.NONE, 0)


def test_a_wrong_crc_is_told_with_the_right_one() -> None:
    data = batch("a")
    data[-1] ^= 1
    error, reason = refusal(Bench().produce(data))
    assert error is ErrorCode.CORRUPT_MESSAGE
    assert "CRC" in reason


def test_an_old_format_is_refused() -> None:
    data = batch("a")
    data[16] = 1
    assert refusal(Bench().produce(data)) == (ErrorCode.UNSUPPORTED_FOR_MESSAGE_FORMAT, "expected magic 2, found 1")


def test_a_batch_that_is_too_large_is_refused() -> None:
    bench = Bench()
    bench.replica.max_message_bytes = 50
    error, reason = refusal(bench.produce(batch("abc")))
    assert error is ErrorCode.MESSAGE_TOO_LARGE
    assert reason.endswith("is larger than 50")


@pytest.mark.parametrize(
    "data",
    [b"", b"x" * 20, bytes(batch("a")) + bytes(batch("b")), bytes(batch("a"))[:-1]],
    ids=["nothing", "nonsense", "two batches", "cut off"],
)
def test_what_is_not_one_whole_batch_is_refused(data: bytes) -> None:
    error, reason = refusal(Bench().produce(data))
    assert error is ErrorCode.INVALID_RECORD
    assert reason


def test_control_batches_are_for_brokers_only() -> None:
    data = encode_batch([Record(b"k", b"v", (), 0)], control=True)
    error, reason = refusal(Bench().produce(data))
    assert (error, reason) == (ErrorCode.INVALID_RECORD, "control batches are written by brokers only")


def test_too_many_that_wait_are_refused_with_a_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writes, "MAX_PARKED_ACKS", 1)
    bench = Bench()
    assert bench.produce(batch("a"), acks=-1) is None
    error, reason = refusal(bench.produce(batch("b"), acks=-1))
    assert error is ErrorCode.THROTTLING_QUOTA_EXCEEDED
    assert reason == "1 batches wait for their acknowledgement already"
    assert content(bench.replica.log) == "a"


# --- Idempotence ---


def numbered(word: str, sequence: int, *, epoch: int = 0) -> bytearray:
    return batch(word, pid=7, epoch=epoch, sequence=sequence)


def test_a_duplicate_is_acknowledged_with_its_original_offset() -> None:
    bench = Bench("x")
    bench.produce(numbered("a", 0))
    bench.produce(numbered("b", 1))
    answer = bench.produce(numbered("a", 0))
    assert answer is not None
    assert (answer.error, answer.base_offset) == (ErrorCode.NONE, 1)
    assert content(bench.replica.log) == "xab"


def test_a_duplicate_with_acks_all_waits_for_the_commit_too() -> None:
    bench = Bench()
    bench.produce(numbered("a", 0), acks=-1)
    assert bench.produce(numbered("a", 0), acks=-1) is None
    bench.commit()
    assert [part.base_offset for answer in bench.ctx.take(Produced) for part in answer.batches] == [0, 0]


def test_a_gap_in_the_sequence_is_refused() -> None:
    bench = Bench()
    bench.produce(numbered("a", 0))
    assert refusal(bench.produce(numbered("c", 2))) == (
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        "producer 7 sent sequence 2, expected 1",
    )


def test_an_old_epoch_is_fenced() -> None:
    bench = Bench()
    bench.produce(numbered("a", 0, epoch=1))
    assert refusal(bench.produce(numbered("b", 0))) == (
        ErrorCode.INVALID_PRODUCER_EPOCH,
        "producer 7 sent epoch 0, its newest is 1",
    )


def test_who_has_no_number_is_never_a_duplicate() -> None:
    bench = Bench()
    bench.produce(batch("a"))
    bench.produce(batch("a"))
    assert content(bench.replica.log) == "aa"
