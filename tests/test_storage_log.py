"""The log against a list: appends, truncations, crashes and retention, on the disk that is meaner than reality."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.storage.disk import DiskFull
from barnabas.storage.epochs import EpochEntry
from barnabas.storage.log import Appended, CorruptLog, Log, LogSettings, OffsetOutOfRange
from barnabas.storage.memory import Killed, MemoryDisk
from barnabas.storage.producers import Check, ProducerStates
from barnabas.storage.records import InvalidBatch, Record, decode_batch, encode_batch, iter_headers
from barnabas.storage.recovery import Recovered, RecoverLog
from barnabas.storage.verify import verify_log

TOPIC_ID = bytes(range(16))
NAME = "orders-0"
SMALL = LogSettings(segment_bytes=700, index_interval=150, tail_cache_bytes=300, snapshot_interval=400)


def batch(count: int, text: str = "x", timestamp: int = 1000, pid: int = -1, sequence: int = -1) -> bytearray:
    records = [Record(None, f"{text}{number}".encode(), (), timestamp) for number in range(count)]
    epoch = 0 if pid >= 0 else -1
    return bytearray(encode_batch(records, producer_id=pid, producer_epoch=epoch, base_sequence=sequence))


def flush(disk: MemoryDisk, log: Log | None = None) -> None:
    if not disk.dirty():
        return
    flushing = disk.start_flush()
    flushing.run()
    generation = disk.finish_flush(flushing)
    if log is not None:
        log.synced(generation)


def fresh(settings: LogSettings = SMALL) -> tuple[MemoryDisk, Log]:
    disk = MemoryDisk(Random(1))
    return disk, Log.open(disk, NAME, TOPIC_ID, settings, None)


def recover(disk: MemoryDisk, point: int | None, *, clean: bool = False, settings: LogSettings = SMALL) -> Recovered:
    return RecoverLog(directory=NAME, recovery_point=point, clean=clean, settings=settings).run(disk)


def reopen(disk: MemoryDisk, point: int | None, *, clean: bool = False, settings: LogSettings = SMALL) -> Log:
    return Log.open(disk, NAME, TOPIC_ID, settings, recover(disk, point, clean=clean, settings=settings))


def everything(log: Log, max_bytes: int = 400) -> bytes:
    parts: list[bytes] = []
    offset = log.start
    while offset < log.end:
        data = bytes(log.read(offset, max_bytes, limit=log.end))
        assert data, f"nothing at {offset} of {log.end}"
        parts.append(data)
        offset = list(iter_headers(data))[-1][1].next_offset
    return bytes(b"".join(parts))


def values(log: Log) -> list[bytes | None]:
    data = everything(log)
    return [
        record.value
        for position, header in iter_headers(data)
        for record in decode_batch(data[position : position + header.size])
    ]


def test_a_new_log_has_a_topic_id_and_no_segment() -> None:
    disk, log = fresh()
    assert disk.list(NAME) == ["partition.metadata"]
    assert disk.read(f"{NAME}/partition.metadata", 0, 100) == b"version: 0\ntopic_id: AAECAwQFBgcICQoLDA0ODw"
    assert (log.start, log.end, log.last_epoch, log.recovery_point) == (0, 0, -1, 0)
    assert log.read(0, 100, limit=0) == b""


def test_a_directory_of_another_topic_is_refused() -> None:
    disk, _ = fresh()
    with pytest.raises(ValueError, match="topic id"):
        Log.open(disk, NAME, bytes(16), SMALL, recover(disk, 0))


def test_an_appended_batch_is_read_with_its_offset_and_epoch_and_is_durable_after_a_flush() -> None:
    disk, log = fresh()
    assert log.append(batch(3), 5, 0) == Appended(0, 2, disk.written, len(batch(3)))
    log.append(batch(2), 5, 0)
    assert [header[1].leader_epoch for header in iter_headers(everything(log))] == [5, 5]
    assert log.durable_end == 0
    flush(disk, log)
    assert (log.durable_end, log.recovery_point, log.epochs.entries) == (5, 5, [EpochEntry(5, 0)])


def test_reads_give_whole_batches_below_the_limit_and_at_least_one() -> None:
    _, log = fresh()
    size = len(batch(2))
    for _ in range(10):
        log.append(batch(2), 1, 0)
    for offset in (0, 7, 19):
        assert len(log.read(offset, 0, limit=20)) == size
        assert len(log.read(offset, 0, limit=20, min_one=False)) == 0
    assert len(log.read(0, 3 * size + 1, limit=20)) == 3 * size
    assert len(log.read(1, 10000, limit=4)) == 2 * size
    assert len(log.read(1, 10000, limit=3)) == size
    assert log.read(3, 10000, limit=3) == b""
    assert log.read(20, 10000, limit=20) == b""
    with pytest.raises(OffsetOutOfRange):
        log.read(21, 100, limit=20)


@pytest.mark.parametrize("cached", [0, 100_000])
def test_a_read_says_where_it_ended(cached: int) -> None:
    _, log = fresh(LogSettings(tail_cache_bytes=cached))
    size = len(batch(2))
    for _ in range(10):
        log.append(batch(2), 1, 0)
    for offset, room, limit, end in ((0, 0, 20, 2), (7, 3 * size, 20, 12), (1, 10_000, 5, 4), (6, 10_000, 20, 20)):
        log.read(offset, room, limit=limit)
        assert log.read_to == end
    assert log.bytes_in == 10 * size


def test_a_batch_larger_than_the_window_is_read_from_disk() -> None:
    _, log = fresh(LogSettings(tail_cache_bytes=0))
    log.append(batch(1), 1, 0)
    log.append(bytearray(encode_batch([Record(None, bytes(100_000))])), 1, 0)
    log.append(batch(1), 1, 0)
    assert len(log.read(1, 10, limit=3)) > 100_000
    assert len(log.read(2, 10, limit=3)) == len(batch(1))


def test_a_replica_takes_what_the_leader_serves_and_becomes_equal() -> None:
    _, leader = fresh()
    for epoch in (1, 1, 4, 4, 9):
        leader.append(batch(3, str(epoch)), epoch, 0)
    disk, follower = fresh(LogSettings(segment_bytes=300))
    follower.append_replica(leader.read(0, 10000, limit=leader.end))
    while follower.end < leader.end:
        follower.append_replica(leader.read(follower.end, 1, limit=leader.end))
    assert everything(follower) == everything(leader)
    assert follower.epochs.entries == leader.epochs.entries
    assert verify_log(disk, NAME) == []


def test_a_replica_refuses_every_damaged_byte_and_remains_as_it_was() -> None:
    _, leader = fresh()
    leader.append(batch(1), 3, 0)
    leader.append(batch(2), 3, 0)
    good = bytes(leader.read(0, 10000, limit=3))
    _, follower = fresh()
    size = len(batch(1))
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x40
        if position % size in range(12, 16) or position - size in range(12, 16):
            continue  # an epoch is checked against the leader's, not here
        with pytest.raises(InvalidBatch):
            follower.append_replica(bad)
        assert (follower.end, follower.epochs.entries) == (0, [])
    with pytest.raises(InvalidBatch):
        follower.append_replica(good[size:])
    with pytest.raises(InvalidBatch):
        follower.append_replica(b"")
    follower.append_replica(good)
    with pytest.raises(InvalidBatch):
        follower.append_replica(good)
    assert everything(follower) == good


def test_an_empty_epoch_of_a_former_leader_gives_way_to_what_really_followed() -> None:
    _, log = fresh()
    log.append(batch(1), 1, 0)
    log.assign_epoch(7)
    assert log.assign_epoch(7) is None
    data = bytearray(batch(1))
    _, other = fresh()
    other.append(batch(1), 1, 0)
    other.append(data, 6, 0)
    log.append_replica(other.read(1, 1000, limit=2))
    assert log.epochs.entries == [EpochEntry(1, 0), EpochEntry(6, 1)]


def test_truncating_at_the_end_prunes_an_empty_epoch() -> None:
    _, log = fresh()
    log.append(batch(2), 1, 0)
    log.assign_epoch(4)
    log.truncate_to(2)
    assert (log.end, log.last_epoch) == (2, 1)


def test_truncating_inside_of_a_batch_removes_all_of_it() -> None:
    _, log = fresh()
    log.append(batch(2, "a"), 1, 0)
    log.append(batch(4, "b"), 2, 0)
    log.truncate_to(4)
    assert (log.end, log.epochs.entries) == (2, [EpochEntry(1, 0)])
    log.append(batch(1, "c"), 3, 0)
    assert values(log) == [b"a0", b"a1", b"c0"]


def test_a_full_disk_changes_nothing_and_writing_goes_on_later() -> None:
    disk, log = fresh()
    log.append(batch(1), 1, 0)
    disk.full = disk.usage()
    before = everything(log), log.epochs.entries, log.producers.encode(0)
    for epoch in (1, 2):
        with pytest.raises(DiskFull):
            log.append(batch(1, pid=3, sequence=0), epoch, 0)
    assert before == (everything(log), log.epochs.entries, log.producers.encode(0))
    disk.full = None
    assert log.append(batch(1), 2, 0).base_offset == 1
    assert verify_log(disk, NAME) == []


def test_indexes_and_snapshots_may_find_no_room() -> None:
    disk, log = fresh(LogSettings(segment_bytes=400, index_interval=10, tail_cache_bytes=0))
    for _ in range(3):
        log.append(batch(1), 1, 0)
    disk.full = disk.usage() + len(batch(1))
    log.roll()
    disk.full = None
    for number in range(40):
        log.append(batch(1, str(number)), 1, 0)
    assert len(values(log)) == 43
    flush(disk, log)
    disk.crash()
    assert len(values(reopen(disk, log.recovery_point))) == 43


def test_a_reset_log_begins_at_its_offset_also_after_a_restart() -> None:
    disk, log = fresh()
    for _ in range(20):
        log.append(batch(2), 1, 0)
    flush(disk, log)
    generation = log.reset_to(1000)
    assert (log.start, log.end, log.recovery_point) == (1000, 1000, 0)
    flush(disk, log)
    assert generation <= disk.synced
    assert log.recovery_point == 1000
    disk.crash()
    log = reopen(disk, 1000)
    assert (log.start, log.end) == (1000, 1000)
    assert log.append(batch(1), 2, 0).base_offset == 1000


@pytest.mark.parametrize("durability", ["fsync", "os"])
def test_old_segments_go_one_by_one_and_what_is_left_is_always_a_chain(durability: str) -> None:
    for seed in range(100):
        disk = MemoryDisk(Random(seed))
        settings = LogSettings(segment_bytes=300, index_interval=60, durability="os" if durability == "os" else "fsync")
        log = Log.open(disk, NAME, TOPIC_ID, settings, None)
        for number in range(20):
            log.append(batch(2, pid=number % 3, sequence=number // 3 * 2, timestamp=number), 1, 0)
        log.flush()
        flush(disk, log)
        assert log.expired_before(10**9, 10**6, -1) == 40
        log.roll()
        log.flush()
        for _ in range(Random(seed).randint(0, 12)):
            log.delete_segments_before(40)
            if seed % 3:
                flush(disk, log)
        disk.power_loss()
        again = reopen(disk, log.recovery_point, settings=settings)
        assert again.end == 40
        assert again.start <= log.start
        assert again.producers == log.producers
        assert verify_log(disk, NAME) == []


def test_the_start_moves_inside_of_a_batch() -> None:
    disk, log = fresh()
    for epoch in (1, 2, 3):
        log.append(batch(4), epoch, 0)
    log.advance_start(6)
    assert log.epochs.entries == [EpochEntry(2, 6), EpochEntry(3, 8)]
    with pytest.raises(OffsetOutOfRange):
        log.read(5, 100, limit=12)
    assert [header.base_offset for _, header in iter_headers(log.read(6, 1000, limit=12))] == [4, 8]
    flush(disk, log)
    disk.crash()
    recovered = RecoverLog(directory=NAME, recovery_point=12, log_start=6, settings=SMALL).run(disk)
    again = Log.open(disk, NAME, TOPIC_ID, SMALL, recovered)
    assert (again.start, again.epochs.entries) == (6, log.epochs.entries)
    assert [header.base_offset for _, header in iter_headers(again.read(6, 1000, limit=12))] == [4, 8]


def test_offsets_by_time() -> None:
    disk, log = fresh()
    for number in range(30):
        records = [Record(None, b"v", (), 1000 + 10 * number + step) for step in range(3)]
        log.append(bytearray(encode_batch(records)), 1, 0)
    for again in (log, reopen(disk, 0)):
        assert again.offset_for_time(0, limit=90) == (0, 1000)
        assert again.offset_for_time(1102, limit=90) == (32, 1102)
        assert again.offset_for_time(1105, limit=90) == (33, 1110)
        assert again.offset_for_time(1105, limit=33) is None
        assert again.offset_for_time(2000, limit=90) is None


def test_a_changed_byte_on_disk_is_never_served() -> None:
    disk, log = fresh(LogSettings(segment_bytes=10**6, index_interval=60, tail_cache_bytes=0))
    for epoch in (3, 3, 4):
        log.append(batch(2), epoch, 0)
    path, good = f"{NAME}/{0:020d}.log", everything(log)
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        disk.truncate(path, 0)
        disk.append(path, bad)
        with pytest.raises(CorruptLog):
            everything(log, max_bytes=10000)


def test_a_clean_stop_needs_no_scan() -> None:
    disk, log = fresh()
    for number in range(30):
        log.append(batch(2, pid=7, sequence=2 * number), 1 + number // 10, 0)
    generation = log.close_clean()
    flush(disk, log)
    assert generation <= disk.synced
    assert log.recovery_point == 60
    disk.crash()
    again = reopen(disk, 60, clean=True)
    assert (again.end, again.recovery_point, again.epochs.entries) == (60, 60, log.epochs.entries)
    assert again.producers == log.producers
    assert everything(again) == everything(log)
    assert not disk.dirty()


class Model:
    """What the log must be: its batches, and how far they are durable."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int, bytes]] = []  # base, next, bytes
        self.end = 0

    def truncate(self, offset: int) -> None:
        while self.batches and self.batches[-1][1] > offset:
            self.batches.pop()
        self.end = self.batches[-1][1] if self.batches else 0


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("append"), st.integers(1, 5)),
        st.tuples(st.just("truncate"), st.integers(0, 30)),
        st.tuples(st.just("epoch"), st.integers(1, 3)),
        st.tuples(st.just("flush"), st.integers(0, 1)),
        st.tuples(st.just("checkpoint"), st.just(0)),
        st.tuples(st.just("crash"), st.just(0)),
        st.tuples(st.just("power"), st.just(0)),
        st.tuples(st.just("clean"), st.just(0)),
    ),
    max_size=60,
)


@settings(max_examples=400, deadline=None)
@given(ACTIONS, st.integers(0, 10**6), st.sampled_from(["fsync", "os"]))
def test_the_log_is_the_list_that_was_appended(actions: list[tuple[str, int]], seed: int, durability: str) -> None:
    """After each step: what is read, the epochs, and the producer states are those of the list.

    After a power loss: a prefix of some history that contains everything below the recovery point.
    """
    disk = MemoryDisk(Random(seed))
    options = LogSettings(
        segment_bytes=700,
        index_interval=150,
        tail_cache_bytes=300,
        snapshot_interval=400,
        durability="os" if durability == "os" else "fsync",
    )
    log = Log.open(disk, NAME, TOPIC_ID, options, None)
    model, epoch, point, number = Model(), 1, 0, 0
    for action, argument in actions:
        restarted = False
        if action == "append":
            sequence = {pid: state.last_sequence + 1 for pid, state in log.producers.states.items()}
            pid = number % 3
            data = batch(argument, f"{number}-", 1000 + number, pid, sequence.get(pid, 0))
            number += 1
            appended = log.append(data, epoch, 0)
            assert appended.base_offset == model.end
            model.batches.append((model.end, model.end + argument, bytes(data)))
            model.end += argument
        elif action == "truncate":
            offset = max(0, model.end - argument)
            point = min(point, log.truncation_end(offset))
            log.truncate_to(offset)
            model.truncate(offset)
            epoch += 1
        elif action == "epoch":
            epoch += argument
        elif action == "flush":
            log.flush() if argument else None
            flush(disk, log)
        elif action == "checkpoint":
            point = log.recovery_point
        elif action == "clean":
            log.close_clean()
            flush(disk, log)
            point = log.recovery_point
            assert point == model.end
            disk.crash()
            log, restarted = reopen(disk, point, clean=True, settings=options), True
            assert log.end == model.end
        elif action == "crash":
            disk.crash()
            log, restarted = reopen(disk, point, settings=options), True
            assert log.end == model.end
        else:
            durable = log.recovery_point
            disk.power_loss()
            log, restarted = reopen(disk, point, settings=options), True
            assert log.end >= min(durable, model.end)
            kept = [entry for entry in model.batches if entry[1] <= durable]
            assert everything(log)[: sum(len(entry[2]) for entry in kept)] == b"".join(entry[2] for entry in kept)
            found = everything(log)
            model.batches = [
                (header.base_offset, header.next_offset, found[at : at + header.size])
                for at, header in iter_headers(found)
            ]
            model.end = log.end
        assert log.end == model.end
        assert log.recovery_point >= point
        expected = b"".join(entry[2] for entry in model.batches)
        assert everything(log) == expected
        states = ProducerStates()
        epochs: list[EpochEntry] = []
        for _, header in iter_headers(expected):
            states.apply(header)
            if not epochs or epochs[-1].epoch != header.leader_epoch:
                epochs.append(EpochEntry(header.leader_epoch, header.base_offset))
        assert log.producers == states
        assert log.epochs.entries == epochs
        epoch = max(epoch, log.last_epoch)
        if restarted:
            findings = [finding for finding in verify_log(disk, NAME) if "began at" not in finding.sentence]
            assert findings == []
    assert all(log.producers.check(header).check is not Check.NEW for header in list(log.batches_from(log.start))[-3:])


@pytest.mark.parametrize("cut", [lambda log: log.truncate_to(4), lambda log: log.reset_to(4)], ids=["cut", "reset"])
def test_a_log_that_dies_while_it_is_cut_calls_nothing_durable_that_may_be_gone(cut: Callable[[Log], object]) -> None:
    settings = LogSettings(segment_bytes=200, index_interval=60)
    for writes in range(30):
        disk, log = fresh(settings)
        for number in range(12):
            log.append(batch(2, str(number)), 1, 0)
        flush(disk, log)
        assert (log.recovery_point, len(log.segments)) == (24, 6)
        disk.dies_in = writes
        try:
            cut(log)
        except Killed:
            assert log.recovery_point <= 4, writes
        else:
            break
    assert writes > 3
