"""The beginning of a log: what has expired, what goes, and what a crash leaves."""

from __future__ import annotations

from random import Random

from barnabas.storage.disk import DiskFull
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, encode_batch, iter_headers
from barnabas.storage.recovery import RecoverLog
from barnabas.storage.settings import LogSettings
from barnabas.storage.verify import verify_log

NAME, TOPIC_ID, HOUR = "orders-0", bytes(range(16)), 3_600_000
ONE_EACH = LogSettings(segment_bytes=1, index_interval=1)


def new_log(*timestamps: int, settings: LogSettings = ONE_EACH, seed: int = 1) -> tuple[MemoryDisk, Log]:
    """A log with one record per segment, all of it durable."""
    disk = MemoryDisk(Random(seed))
    log = Log.open(disk, NAME, TOPIC_ID, settings, None)
    for timestamp in timestamps:
        append(log, timestamp)
    flush(disk, log)
    return disk, log


def append(log: Log, timestamp: int) -> None:
    log.append(bytearray(encode_batch([Record(None, b"v", (), timestamp)])), 0, max(0, timestamp))


def flush(disk: MemoryDisk, log: Log) -> None:
    """As many flushes as there is work for."""
    while disk.dirty():
        flushing = disk.start_flush()
        flushing.run()
        log.synced(disk.finish_flush(flushing))


def test_segments_are_too_old_when_their_newest_record_is() -> None:
    _, log = new_log(HOUR, 3 * HOUR, 2 * HOUR, 9 * HOUR)
    assert log.expired_before(4 * HOUR, 2 * HOUR, -1) == 1
    assert log.expired_before(5 * HOUR + 1, 2 * HOUR, -1) == 3
    assert log.expired_before(5 * HOUR + 1, -1, -1) == 0


def test_the_oldest_segments_are_too_many_when_the_log_is_larger_than_it_may_be_without_them() -> None:
    _, log = new_log(1, 2, 3, 4)
    size = log.segments[0].size
    assert log.expired_before(5, -1, 3 * size) == 1
    assert log.expired_before(5, -1, 3 * size + 1) == 0
    assert log.expired_before(5, -1, 0) == 3  # the active one stays


def test_a_record_from_the_future_does_not_keep_its_segment_for_ever() -> None:
    _, log = new_log(HOUR, 1_000_000 * HOUR, HOUR)
    assert log.expired_before(10 * HOUR, 2 * HOUR, -1) == 1  # first seen now: it was not written later
    assert log.expired_before(12 * HOUR, 2 * HOUR, -1) == 1
    assert log.expired_before(12 * HOUR + 1, 2 * HOUR, -1) == 3


def test_neither_do_records_without_a_time() -> None:
    _, log = new_log(-1, HOUR)
    assert log.expired_before(10 * HOUR, 2 * HOUR, -1) == 0
    assert log.expired_before(13 * HOUR, 2 * HOUR, -1) == 2


def test_a_clock_that_was_behind_for_a_while_makes_nothing_old() -> None:
    _, log = new_log(100 * HOUR, 100 * HOUR)
    assert log.expired_before(HOUR, 2 * HOUR, -1) == 0
    assert log.expired_before(101 * HOUR, 2 * HOUR, -1) == 0


def test_an_active_segment_that_has_expired_is_rolled_and_goes_too() -> None:
    disk, log = new_log(HOUR, HOUR)
    assert log.expired_before(9 * HOUR, HOUR, -1) == log.end == 2
    log.roll()
    log.delete_segments_before(2)
    flush(disk, log)
    assert (log.start, log.end, log.size_bytes) == (2, 2, 0)
    assert log.settled
    assert log.expired_before(9 * HOUR, HOUR, -1) == 2
    append(log, 9 * HOUR)
    assert log.end == 3


def test_a_log_whose_records_are_all_deleted_knows_in_which_epoch_it_came_to_its_end() -> None:
    disk = MemoryDisk(Random(1))
    log = Log.open(disk, NAME, TOPIC_ID, ONE_EACH, None)
    log.append(bytearray(encode_batch([Record(None, b"v", (), HOUR)])), 3, HOUR)
    flush(disk, log)
    log.roll()
    log.delete_segments_before(1)
    flush(disk, log)
    for point in (1, 0):  # the recovery point is written once a second
        found = RecoverLog(NAME, recovery_point=point, log_start=0).run(disk)
        assert (found.start, found.end, found.epochs, found.last_epoch) == (1, 1, (), 3)
    log = Log.open(disk, NAME, TOPIC_ID, ONE_EACH, found)
    log.assign_epoch(5)  # a leader begins, and writes nothing
    flush(disk, log)
    assert RecoverLog(NAME, recovery_point=1).run(disk).last_epoch == 5


def test_a_log_that_has_records_says_the_epoch_of_the_last_one() -> None:
    disk, log = new_log(HOUR)
    log.assign_epoch(5)
    flush(disk, log)
    assert RecoverLog(NAME, recovery_point=1).run(disk).last_epoch == 0


def test_a_lazy_log_is_trimmed_as_far_as_it_is_durable() -> None:
    disk, log = new_log(settings=LogSettings(segment_bytes=1, index_interval=1, durability="os"))
    for timestamp in range(4):
        append(log, timestamp)
    flush(disk, log)  # rolling asked for it
    assert (log.durable_end, log.recovery_point) == (4, 3)
    log.delete_segments_before(2)
    flush(disk, log)
    assert (log.start, len(log.segments)) == (2, 2)


def test_a_start_is_durable_with_the_next_flush() -> None:
    disk, log = new_log(1, 2, 3)
    log.advance_start(2)
    assert (log.start, log.durable_start, log.settled) == (2, 0, False)
    flush(disk, log)
    assert (log.durable_start, log.settled) == (2, True)
    disk.crash()
    recovered = RecoverLog(NAME, recovery_point=3, settings=ONE_EACH).run(disk)
    log = Log.open(disk, NAME, TOPIC_ID, ONE_EACH, recovered)
    assert (log.start, log.durable_start) == (2, 0)  # it may be no further than the page cache
    flush(disk, log)
    assert log.durable_start == 2


def test_a_disk_without_room_for_the_new_start_changes_nothing() -> None:
    disk, log = new_log(1, 2, 3)
    disk.full = disk.usage()
    try:
        log.delete_segments_before(2)
        raise AssertionError("there was room")
    except DiskFull:
        assert (log.start, len(log.segments)) == (0, 3)
    disk.full = None
    log.delete_segments_before(2)
    flush(disk, log)
    assert (log.start, len(log.segments)) == (2, 1)


def test_an_empty_log_that_begins_inside_of_a_batch_takes_that_batch() -> None:
    _, leader = new_log(settings=LogSettings())
    records = [Record(None, bytes([number]), (), 1) for number in range(6)]
    leader.append(bytearray(encode_batch(records)), 3, 0)
    leader.advance_start(4)
    data = leader.read(4, 1 << 20, limit=6)
    disk, log = new_log(settings=LogSettings())
    log.reset_to(4)
    log.append_replica(data)
    flush(disk, log)
    for again in (False, True):
        if again:
            disk.crash()
            recovered = RecoverLog(NAME, recovery_point=6).run(disk)
            log = Log.open(disk, NAME, TOPIC_ID, LogSettings(), recovered)
        assert (log.start, log.end, log.epochs.entries) == (4, 6, leader.epochs.entries)
        assert log.read(5, 1 << 20, limit=6) == data
    assert verify_log(disk, NAME) == []


def test_whatever_a_crash_leaves_is_a_log_that_begins_at_the_old_start_or_at_a_later_one() -> None:
    """Retention and truncation at any moment, on the disk that is meaner than reality."""
    for seed in range(300):
        random = Random(seed)
        disk, log = new_log(*range(random.randint(1, 12)), seed=seed)
        asked = point = 0
        for _ in range(random.randint(1, 8)):
            match random.randrange(4):
                case 0:
                    append(log, 99)
                case 1:
                    asked = max(asked, min(log.recovery_point, log.start + random.randint(0, 4)))
                    log.delete_segments_before(asked)
                case 2:
                    flushing = disk.start_flush()
                    flushing.run()
                    log.synced(disk.finish_flush(flushing))
                case 3:
                    point = log.recovery_point
        durable, start = log.recovery_point, log.durable_start
        disk.power_loss()
        recovered = RecoverLog(NAME, recovery_point=point, settings=ONE_EACH).run(disk)
        assert recovered.corrupt is None, seed
        again = Log.open(disk, NAME, TOPIC_ID, ONE_EACH, recovered)
        assert start <= again.start <= max(asked, start), seed
        assert again.end >= durable, seed
        offsets = [header.base_offset for header in again.batches_from(again.start)]
        assert offsets == list(range(again.start, again.end)), seed
        data = again.read(again.start, 1 << 20, limit=again.end)
        assert all(header.count == 1 for _, header in iter_headers(data))
        assert verify_log(disk, NAME) == [], seed


def test_a_copy_that_begins_later_knows_the_producers_that_wrote_before() -> None:
    """Else a write that is repeated, after it was deleted, would be taken for a new one by a leader that began anew."""
    disk, leader = new_log(settings=LogSettings())
    for pid, sequence in ((7, 0), (8, 0), (8, 2), (7, 2), (9, 0)):
        records = [Record(None, b"v", (), 1)] * 2
        data = encode_batch(records, producer_id=pid, producer_epoch=0, base_sequence=sequence)
        leader.append(bytearray(data), 1, 0)
    for start in (4, 5):  # where a batch begins, and inside of one
        leader.advance_start(start)
        disk, log = new_log(settings=LogSettings())
        log.reset_to(start, producers=leader.producers.before(start, 10))
        assert sorted(log.producers.states) == [7, 8]
        for again in range(3):
            if again:
                flush(disk, log)
                disk.power_loss()
                recovered = RecoverLog(NAME, recovery_point=log.recovery_point).run(disk)
                log = Log.open(disk, NAME, TOPIC_ID, LogSettings(), recovered)
                assert (log.start, recovered.corrupt) == (start, None)
            if again == 1:
                log.append_replica(leader.read(start, 1 << 20, limit=leader.end))
        assert log.producers == leader.producers
        assert verify_log(disk, NAME) == []


def test_a_log_knows_who_wrote_what_has_been_deleted_also_if_its_recovery_point_was_written_down_before() -> None:
    """Seeds 10010 and 10030: else a write that comes again, after it was deleted and after a kill, is taken for new."""
    for seed in range(40):
        disk, log = new_log(seed=seed)
        for sequence in range(6):
            write(log, 7, sequence)
            flush(disk, log)
        write(log, 8, 0)
        log.advance_start(log.end - seed % 3)
        log.roll()
        for _ in range(seed % 5):
            flush(disk, log)
            log.delete_segments_before(log.end - seed % 3)
        for die in (disk.crash, disk.power_loss):
            die()
            for point in (log.recovery_point, 2, None):
                recovered = RecoverLog(NAME, recovery_point=point, settings=ONE_EACH).run(disk)
                assert recovered.corrupt is None
                assert recovered.producers.states[7].last_sequence == 5, (seed, point)
                if die == disk.crash:
                    assert recovered.producers == log.producers, (seed, point)


def test_a_copy_that_began_anew_knows_the_producers_before_its_recovery_point_is_written_down() -> None:
    _, leader = new_log()
    for sequence in range(3):
        write(leader, 7, sequence)
    disk, log = new_log()
    log.reset_to(3, producers=leader.producers.before(3, 10))
    for die in (disk.crash, disk.power_loss):
        flush(disk, log)
        die()
        recovered = RecoverLog(NAME, recovery_point=0, settings=ONE_EACH).run(disk)
        assert (recovered.start, recovered.producers) == (3, leader.producers)


def test_a_snapshot_of_producers_that_found_no_room_is_made_up_for_before_its_segment_goes() -> None:
    disk, log = new_log(settings=LogSettings(segment_bytes=1, index_interval=1, durability="os"))
    for sequence in range(3):
        write(log, 7, sequence)
    disk.full = 0
    log.roll()
    disk.full = None
    assert log.snapshots == [1, 2]
    write(log, 8, 0)
    log.flush()
    flush(disk, log)
    log.delete_segments_before(3)
    flush(disk, log)
    assert log.start == log.segments[0].base == 3
    disk.crash()
    assert RecoverLog(NAME, recovery_point=2, settings=ONE_EACH).run(disk).producers == log.producers


def write(log: Log, pid: int, sequence: int) -> None:
    """One record of an idempotent producer."""
    data = encode_batch([Record(None, b"v", (), 1)], producer_id=pid, producer_epoch=0, base_sequence=sequence)
    log.append(bytearray(data), 1, 1)


def test_only_the_producers_that_wrote_last_are_told() -> None:
    _, log = new_log(settings=LogSettings())
    for pid in range(20):
        data = encode_batch([Record(None, b"v")], producer_id=pid, producer_epoch=0, base_sequence=0)
        log.append(bytearray(data), 1, 0)
    known = log.producers.before(15, 4)
    assert (sorted(known.states), known.forgotten) == ([11, 12, 13, 14], True)
    assert not log.producers.before(15, 15).forgotten
