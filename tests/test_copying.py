"""The follower's half: divergence first, cuts only above a durable recovery point, records only as continuation."""

from __future__ import annotations

import pytest
from logs import P0, WALL_MS, batch, content, flush, grow, new_log

from barnabas.actors.copying import Copying
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Payload
from barnabas.actors.messages import FetchedPartition
from barnabas.storage.disk import Generation
from barnabas.storage.log import Log
from barnabas.storage.records import InvalidBatch


class Points:
    """A recovery point that is lowered durably by `generation`; None: it is low enough."""

    def __init__(self, generation: int | None = None) -> None:
        self.generation = generation
        self.asked: list[int] = []

    def lower(self, offset: int) -> Generation | None:
        self.asked.append(offset)
        return None if self.generation is None else Generation(self.generation)


def copying(words: str, epoch: int = 1, *, hw: int = 0, points: Points | None = None) -> Copying:
    log = new_log()
    grow(log, words, 0)
    return Copying(P0, log, epoch, hw, (points or Points()).lower)


def answer(records: bytes | None = None, hw: int = 0) -> FetchedPartition:
    return FetchedPartition(P0, ErrorCode.NONE, 1, hw, 0, records=None if records is None else Payload(records))


def from_leader(words: str, epoch: int, offset: int) -> bytes:
    log = new_log()
    grow(log, words[:offset], 0)
    grow(log, words[offset:], epoch)
    return bytes(log.read(offset, 1 << 20, limit=log.end))


def test_it_asks_from_its_end_with_its_last_epoch() -> None:
    copy = copying("ab", hw=1)
    wanted = copy.wanted()
    assert wanted is not None
    assert (wanted.offset, wanted.last_epoch, wanted.durable, wanted.hw, wanted.leader_epoch) == (2, 0, 0, 1, 1)


def test_an_empty_log_has_no_last_epoch() -> None:
    wanted = copying("").wanted()
    assert wanted is not None
    assert (wanted.offset, wanted.last_epoch) == (0, -1)


def test_what_is_durable_is_said() -> None:
    copy = copying("ab")
    flush(copy.log)
    wanted = copy.wanted()
    assert wanted is not None
    assert wanted.durable == 2


def test_the_high_watermark_is_never_beyond_the_own_log() -> None:
    assert copying("ab", hw=9).hw == 2


def test_records_are_appended_and_the_high_watermark_follows() -> None:
    copy = copying("a")
    copy.take(answer(from_leader("abc", 1, 1), hw=2))
    assert (content(copy.log), copy.hw) == ("abc", 2)


def test_a_high_watermark_beyond_the_own_log_is_cut_to_it() -> None:
    copy = copying("a")
    copy.take(answer(None, hw=5))
    assert copy.hw == 1


def test_the_high_watermark_never_goes_back() -> None:
    copy = copying("ab", hw=2)
    copy.take(answer(None, hw=1))
    assert copy.hw == 2


def test_an_empty_answer_keeps_the_last_epoch() -> None:
    """KAFKA-15510."""
    copy = copying("ab")
    copy.take(answer(None))
    wanted = copy.wanted()
    assert wanted is not None
    assert wanted.last_epoch == 0


def test_records_that_do_not_continue_the_log_are_refused_before_anything_is_written() -> None:
    copy = copying("a")
    with pytest.raises(InvalidBatch):
        copy.take(answer(from_leader("abc", 1, 2), hw=3))
    assert (content(copy.log), copy.hw) == ("a", 0)


def test_records_that_it_has_already_are_no_fault_and_say_nothing() -> None:
    """It asked a second time, of something else, before it had the first answer. It rested 250 ms once, for that."""
    copy = copying("ab")
    assert copy.take(answer(from_leader("abc", 1, 0), hw=3)) == 0
    assert (content(copy.log), copy.hw) == ("ab", 0)


def test_damaged_records_are_refused() -> None:
    copy = copying("a")
    records = bytearray(from_leader("abc", 1, 1))
    records[-1] ^= 1
    with pytest.raises(InvalidBatch, match="CRC"):
        copy.take(answer(bytes(records)))
    assert content(copy.log) == "a"


# --- Divergence ---


def test_it_cuts_to_the_leaders_end_of_the_epoch() -> None:
    copy = copying("abc")
    copy.diverged(0, 1)
    assert (content(copy.log), copy.truncated) == ("a", 2)


def test_it_cuts_to_its_own_end_of_the_epoch_if_that_is_smaller() -> None:
    copy = copying("ab", epoch=3)
    grow(copy.log, "xy", 1)
    copy.diverged(0, 3)
    assert content(copy.log) == "ab"


def test_a_cut_takes_the_high_watermark_along() -> None:
    copy = copying("abc", hw=3)
    copy.diverged(0, 1)
    assert copy.hw == 1


def test_an_empty_last_epoch_is_pruned_though_no_record_goes() -> None:
    """KAFKA-10706."""
    copy = copying("ab", epoch=3)
    copy.log.assign_epoch(2)
    copy.diverged(0, 2)
    assert (copy.log.last_epoch, content(copy.log), copy.truncated) == (0, "ab", 0)


def test_nothing_in_common_means_to_begin_anew() -> None:
    copy = copying("ab")
    copy.diverged(-1, 0)
    assert (copy.log.end, copy.log.last_epoch) == (0, -1)


# --- Cutting ---


def test_a_cut_below_the_recovery_point_waits_until_that_is_lowered_durably() -> None:
    points = Points(7)
    copy = copying("abc", points=points)
    copy.diverged(0, 1)
    assert (content(copy.log), copy.wanted(), points.asked) == ("abc", None, [1])
    assert not copy.synced(Generation(6))
    assert copy.synced(Generation(7))
    assert content(copy.log) == "a"
    assert copy.wanted() is not None


def test_the_cut_is_made_once() -> None:
    copy = copying("abc", points=Points(7))
    copy.diverged(0, 1)
    assert copy.synced(Generation(7))
    assert not copy.synced(Generation(8))


def test_the_recovery_point_falls_to_the_start_of_the_batch_that_is_cut() -> None:
    points = Points()
    log: Log = new_log()
    from_two = bytearray()
    grow(log, "a", 0)
    source = new_log()
    grow(source, "a", 0)
    from_two += batch_of_two(source)
    log.append_replica(bytes(from_two))
    Copying(P0, log, 1, 0, points.lower).diverged(0, 2)
    assert points.asked == [1]
    assert log.end == 1


def batch_of_two(log: Log) -> bytes:
    log.append(batch("b", "c"), 0, WALL_MS)
    return bytes(log.read(1, 1 << 20, limit=log.end))


def test_a_reset_begins_at_the_leaders_start_with_the_high_watermark() -> None:
    """KAFKA-9491."""
    copy = copying("ab", hw=1)
    copy.reset(10)
    assert (copy.log.start, copy.log.end, copy.hw) == (10, 10, 10)


def test_a_reset_waits_for_the_recovery_point_too() -> None:
    points = Points(3)
    copy = copying("ab", points=points)
    copy.reset(10)
    assert (points.asked, copy.log.end) == ([0], 2)
    assert copy.synced(Generation(3))
    assert (copy.log.start, copy.log.end) == (10, 10)
