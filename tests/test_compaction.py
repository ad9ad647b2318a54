"""What stays of a log when only the last record of each key may: batch by batch, and whole logs with crashes.

`Keeper` cleans a log as a broker would, with every job at once; `picture` is what a reader ends with.
"""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.storage.cleaning import Cleaning, Plan, Stage
from barnabas.storage.compaction import Rules, clean
from barnabas.storage.disk import StorageError
from barnabas.storage.keys import keyless, name_of, spans
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.offset_map import ENTRY_BYTES, OffsetMap
from barnabas.storage.producers import ProducerStates
from barnabas.storage.records import (
    COMPRESSIONS,
    HEADER_SIZE,
    BatchHeader,
    InvalidBatch,
    Record,
    decode_batch,
    encode_batch,
    iter_headers,
    parse_header,
)
from barnabas.storage.recovery import RecoverLog
from barnabas.storage.settings import LogSettings
from barnabas.storage.verify import verify_log

NAME, TOPIC_ID = "states-0", bytes(range(16))
SMALL = LogSettings(segment_bytes=900, index_interval=100, tail_cache_bytes=200, snapshot_interval=500, compacted=True)
NOW = 1_000_000


def pairs(*items: tuple[str, str | None], timestamp: int = 5) -> list[Record]:
    """Records of key and value; None is a tombstone."""
    return [Record(k.encode(), None if v is None else v.encode(), (), timestamp + n) for n, (k, v) in enumerate(items)]


def batch(*items: tuple[str, str | None], base: int = 0, **options: int) -> memoryview:
    return memoryview(encode_batch(pairs(*items), base_offset=base, leader_epoch=3, **options))


def rules(**latest: int) -> Rules:
    names = {key.encode(): offset for key, offset in latest.items()}
    return Rules(names, 1000, frozenset(), {}, NOW, 100, purge_below=1000)


def cleaned(data: memoryview, by: Rules, *, needed: bool = False) -> tuple[bytes, int]:
    return clean(data, parse_header(data), by, needed=needed)


# --- One batch ---


def test_records_that_a_later_one_of_their_key_follows_go_and_the_others_keep_their_offsets() -> None:
    data = batch(("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"), base=10)
    kept, purged = cleaned(data, rules(a=12, b=99, c=13))
    assert [(record.key, record.offset, record.timestamp) for record in decode_batch(kept)] == [
        (b"a", 12, 7),
        (b"c", 13, 8),
    ]
    header = parse_header(kept)
    assert (header.base_offset, header.last_offset, header.count, header.leader_epoch) == (10, 13, 2, 3)
    assert (header.max_timestamp, purged) == (8, 0)


def test_a_batch_of_which_all_stays_is_not_touched() -> None:
    data = batch(("a", "1"), ("b", "2"))
    assert cleaned(data, rules(a=0)) == (bytes(data), 0)


@pytest.mark.parametrize("codec", COMPRESSIONS)
def test_a_compressed_batch_is_compressed_again_with_its_own_codec(codec: str) -> None:
    data = batch(("a", "1" * 100), ("b", "2" * 100), ("a", "3" * 100), compression=COMPRESSIONS[codec])
    kept, _ = cleaned(data, rules(a=2))
    assert parse_header(kept).compression == COMPRESSIONS[codec]
    assert [record.value for record in decode_batch(kept)] == [b"2" * 100, b"3" * 100]


def test_nothing_is_left_or_a_header_where_the_log_needs_it() -> None:
    data = batch(("a", "1"), base=7, compression=4)
    assert cleaned(data, rules(a=9)) == (b"", 0)
    kept, _ = cleaned(data, rules(a=9), needed=True)
    header = parse_header(kept)
    assert (len(kept), header.count, header.base_offset, header.next_offset, header.compression) == (61, 0, 7, 8, 0)
    assert decode_batch(kept) == []
    assert cleaned(memoryview(kept), rules(), needed=True) == (kept, 0)
    assert cleaned(memoryview(kept), rules()) == (b"", 0)


def test_what_a_producer_may_repeat_stays_as_a_header_with_its_newest_timestamp() -> None:
    data = batch(("a", "1"), ("a", "2"), ("b", "3"), producer_id=5, producer_epoch=1, base_sequence=40)
    dead = rules(a=9, b=9)
    for alive in (
        Rules(dead.latest, 1000, frozenset({0}), {}, NOW, 100, 1000),
        Rules(dead.latest, 1000, frozenset(), {5: (1, 42)}, NOW, 100, 1000),
    ):
        kept, _ = cleaned(data, alive)
        header, before = parse_header(kept), parse_header(data)
        for field in (
            "producer_id",
            "producer_epoch",
            "base_sequence",
            "last_sequence",
            "last_offset",
            "max_timestamp",
        ):
            assert getattr(header, field) == getattr(before, field)
        states, original = ProducerStates(), ProducerStates()
        states.apply(header)
        original.apply(before)
        assert states == original
    assert cleaned(data, dead) == (b"", 0)
    assert cleaned(data, Rules(dead.latest, 1000, frozenset(), {5: (2, 42)}, NOW, 100, 1000)) == (b"", 0)


def test_a_tombstone_gets_a_horizon_when_it_is_met_and_goes_when_that_is_over() -> None:
    data = batch(("a", None), ("b", "2"), base=20)
    kept, purged = cleaned(data, rules())
    header = parse_header(kept)
    assert (header.delete_horizon, purged) == (NOW + 100, 0)
    assert decode_batch(kept) == decode_batch(data)  # nobody else notices
    early = Rules({}, 1000, frozenset(), {}, NOW + 99, 100, 1000)
    assert cleaned(memoryview(kept), early) == (kept, 0)
    late = Rules({}, 1000, frozenset(), {}, NOW + 100, 100, 1000)
    rest, purged = cleaned(memoryview(kept), late)
    assert purged == 21
    assert [(record.key, record.timestamp) for record in decode_batch(rest)] == [(b"b", 6)]


def test_a_tombstone_stays_while_a_replica_does_not_have_it() -> None:
    kept, _ = cleaned(batch(("a", None), ("b", None), base=20), rules())
    late = Rules({}, 1000, frozenset(), {}, NOW + 100, 100, purge_below=21)
    rest, purged = cleaned(memoryview(kept), late)
    assert ([record.key for record in decode_batch(rest)], purged) == ([b"b"], 21)


def test_a_tombstone_beyond_the_map_gets_no_horizon() -> None:
    data = batch(("a", None), ("b", None), base=999)
    assert cleaned(data, rules()) == (bytes(data), 0)


def test_timestamps_are_the_same_whatever_the_base_says() -> None:
    records = [Record(b"k%d" % n, None, (("h", b"x"),), at) for n, at in enumerate((5, 10**12, 3, 2 * 10**12))]
    for codec in COMPRESSIONS.values():
        data = memoryview(encode_batch(records, base_offset=3, compression=codec))
        kept, _ = cleaned(data, rules())
        assert parse_header(kept).delete_horizon == NOW + 100
        assert decode_batch(kept) == decode_batch(data)


def test_a_record_without_a_key_is_kept() -> None:
    data = memoryview(encode_batch([Record(None, b"1"), Record(b"a", b"2"), Record(None, None)]))
    kept, _ = cleaned(data, rules(a=9))
    assert [(record.key, record.value) for record in decode_batch(kept)] == [(None, b"1"), (None, None)]
    assert keyless(data, parse_header(data)) == 0
    data = batch(("a", "1"), ("b", None))
    assert keyless(data, parse_header(data)) is None


def test_what_cannot_be_parsed_is_kept_and_markers_too() -> None:
    data = bytearray(batch(("a", "1"), ("b", "2")))
    data[HEADER_SIZE] = 0xFF
    assert cleaned(memoryview(data), rules(a=9, b=9)) == (bytes(data), 0)
    marker = memoryview(encode_batch([Record(b"\0\0\0\1", b"")], producer_id=3, producer_epoch=0, control=True))
    assert cleaned(marker, rules()) == (bytes(marker), 0)


def test_no_key_passes_for_the_digest_of_another() -> None:
    long = b"x" * 24
    assert name_of(long) != long
    assert name_of(name_of(long)) != name_of(long)
    assert name_of(b"x" * 23) == b"x" * 23


@given(st.binary(max_size=60), st.integers(0, 5))
def test_bytes_that_are_no_records_are_refused_and_nothing_else_happens(body: bytes, count: int) -> None:
    try:
        found = spans(body, count)
    except InvalidBatch:
        return
    assert len(found) == count
    assert b"".join(body[span.start : span.end] for span in found) == body


def test_a_key_in_the_map_costs_what_is_said() -> None:
    random = Random(1)
    keys = {size: [random.randbytes(size) for _ in range(30_000)] for size in (8, 23, 200)}
    for size, some in keys.items():
        tracemalloc.start()
        made = OffsetMap(1 << 30)
        for number, key in enumerate(some):
            made.add({bytes(bytearray(name_of(key))): 10**6 + number})
        used, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert used / len(some) <= ENTRY_BYTES, size


# --- Whole logs ---


class Keeper:
    """A log on a memory disk, and what a broker would do with it."""

    def __init__(self, seed: int = 1, options: LogSettings = SMALL) -> None:
        self.disk = MemoryDisk(Random(seed))
        self.options = options
        self.log = Log.open(self.disk, NAME, TOPIC_ID, options, None)
        self.cleaned = self.point = 0
        self.sequences: dict[int, int] = {}

    def write(self, *items: tuple[str, str | None], pid: int = -1, epoch: int = 0, codec: int = 0) -> None:
        sequence = self.sequences.get(pid, 0)
        self.sequences[pid] = sequence + len(items)
        data = encode_batch(
            pairs(*items, timestamp=self.log.end),
            producer_id=pid,
            producer_epoch=0 if pid >= 0 else -1,
            base_sequence=sequence if pid >= 0 else -1,
            compression=codec,
        )
        self.log.append(bytearray(data), epoch, self.log.end)

    def flush(self) -> None:
        """One flush."""
        if self.disk.dirty():
            flushing = self.disk.start_flush()
            flushing.run()
            self.log.synced(self.disk.finish_flush(flushing))

    def begin(self, **options: int) -> Cleaning:
        limit = min(self.log.recovery_point, self.log.segments[-1].base if self.log.segments else 0)
        given = {"now_ms": NOW, "delete_retention_ms": 100, "purge_below": limit, "slice_bytes": 200, **options}
        return Cleaning(self.log, Plan(self.cleaned, limit, **given))

    def step(self, cleaning: Cleaning) -> None:
        """One job, or one flush."""
        job = cleaning.job()
        if job is None:
            self.flush()
            cleaning.synced()
            return
        try:
            result = job.run(self.disk)
        except StorageError as error:
            cleaning.take(job, None, str(error))
        else:
            cleaning.take(job, result)

    def clean(self, **options: int) -> Cleaning:
        """All of it."""
        while self.disk.dirty():
            self.flush()
        cleaning = self.begin(**options)
        while not cleaning.over:
            self.step(cleaning)
        if cleaning.stage is Stage.DONE:
            self.cleaned = cleaning.cleaned_to
        return cleaning

    def restart(self, *, power: bool) -> None:
        """The process dies, or the power goes."""
        self.point = max(0, self.point)
        if power:
            self.disk.power_loss()
        else:
            self.disk.crash()
        recovered = RecoverLog(NAME, recovery_point=self.point, settings=self.options).run(self.disk)
        assert recovered.corrupt is None, recovered.corrupt
        self.log = Log.open(self.disk, NAME, TOPIC_ID, self.options, recovered)


def batches(log: Log) -> list[tuple[BatchHeader, bytes]]:
    found: list[tuple[BatchHeader, bytes]] = []
    offset = log.start
    while offset < log.end:
        data = bytes(log.read(offset, 300, limit=log.end))
        assert data, f"nothing at {offset} of {log.end}"
        for position, header in iter_headers(data):
            found.append((header, data[position : position + header.size]))
        offset = found[-1][0].next_offset
    return found


def records(log: Log) -> list[Record]:
    return [record for _, data in batches(log) for record in decode_batch(data)]


def picture(found: list[Record]) -> dict[bytes | None, tuple[int, bytes | None]]:
    """The last record of each key: what a reader from the beginning ends with."""
    return {record.key: (record.offset, record.value) for record in found}


def living(found: list[Record]) -> dict[bytes | None, tuple[int, bytes | None]]:
    """The same without the keys that were deleted."""
    return {key: place for key, place in picture(found).items() if place[1] is not None}


def test_a_million_times_fewer_keys_than_records() -> None:
    keeper = Keeper(options=LogSettings(segment_bytes=20_000, index_interval=500, compacted=True))
    for number in range(0, 5000, 5):
        keeper.write(*((f"k{(number + n) % 20}", f"v{number + n}") for n in range(5)))
    keeper.log.roll()
    before = picture(records(keeper.log))
    cleaning = keeper.clean()
    assert cleaning.stage is Stage.DONE
    assert (cleaning.records_before, cleaning.records_after, cleaning.cleaned_to) == (5000, 20, 5000)
    after = records(keeper.log)
    assert (len(after), picture(after)) == (20, before)
    assert keeper.log.end == 5000
    assert verify_log(keeper.disk, NAME) == []


def test_reads_cross_holes_and_times_are_still_found() -> None:
    keeper = Keeper()
    for number in range(60):
        keeper.write(("same", f"v{number}"), (f"own{number}", "x"))
    keeper.write(("last", "y"))
    keeper.clean()
    log = keeper.log
    assert len(records(log)) < 80
    for offset in range(log.end):
        data = log.read(offset, 1, limit=log.end)
        [(_, header)] = iter_headers(data)
        assert header.last_offset >= offset
    for timestamp in range(0, log.end, 7):
        found = log.offset_for_time(timestamp, limit=log.end)
        first = next((r for r in records(log) if r.timestamp >= timestamp), None)
        assert found == (None if first is None else (first.offset, first.timestamp))


def test_a_tombstone_is_seen_for_its_time_and_gone_afterwards() -> None:
    keeper = Keeper()
    keeper.write(("a", "1"), ("b", "1"))
    keeper.write(("a", None))
    keeper.log.roll()
    keeper.write(("c", "1"))
    keeper.clean()
    assert picture(records(keeper.log)) == {b"a": (2, None), b"b": (1, b"1"), b"c": (3, b"1")}
    keeper.log.roll()
    keeper.write(("d", "1"))
    keeper.clean(now_ms=NOW + 99)
    assert b"a" in picture(records(keeper.log))
    keeper.log.roll()
    keeper.write(("e", "1"))
    keeper.clean(now_ms=NOW + 100)
    assert b"a" not in picture(records(keeper.log))
    assert keeper.log.purged == 3


def test_a_map_that_is_full_cleans_what_it_knows_and_goes_on_the_next_time() -> None:
    keeper = Keeper(options=LogSettings(segment_bytes=2000, index_interval=100, compacted=True))
    for number in range(200):
        keeper.write((f"k{number % 50}", f"v{number}"))
    keeper.log.roll()
    before = picture(records(keeper.log))
    cleanings = 0
    while keeper.cleaned < 200:
        cleaned = keeper.cleaned
        assert keeper.clean(map_bytes=20 * ENTRY_BYTES).stage is Stage.DONE
        assert keeper.cleaned > cleaned
        assert picture(records(keeper.log)) == before
        cleanings += 1
    assert cleanings > 3
    assert len(records(keeper.log)) < 100


def test_small_segments_grow_together() -> None:
    keeper = Keeper(options=LogSettings(segment_bytes=2000, index_interval=100, compacted=True))
    for number in range(40):
        keeper.write(("k", f"v{number}"))
        keeper.log.roll()
    keeper.clean()
    assert len(keeper.log.segments) < 8
    assert verify_log(keeper.disk, NAME) == []


def test_every_epoch_still_begins_where_it_began() -> None:
    keeper = Keeper()
    for number in range(80):
        keeper.write(("k", f"v{number}"), epoch=number // 13)
    keeper.log.roll()
    epochs = list(keeper.log.epochs.entries)
    keeper.clean()
    begun: dict[int, int] = {}
    for header, _ in batches(keeper.log):
        begun.setdefault(header.leader_epoch, header.base_offset)
    assert list(begun.items()) == epochs


def test_producers_are_known_after_a_restart_as_if_nothing_had_been_cleaned() -> None:
    keeper = Keeper()
    for number in range(120):
        keeper.write((f"k{number % 3}", f"v{number}"), pid=number % 4)
    keeper.log.roll()
    states = keeper.log.producers
    keeper.clean()
    replayed = ProducerStates()
    for header in keeper.log.batches_from(0):
        replayed.apply(header)
    assert replayed == states
    keeper.point = 0
    for name in keeper.disk.list(NAME):
        if name.endswith(".snapshot"):
            keeper.disk.delete(f"{NAME}/{name}")
    keeper.restart(power=False)
    assert keeper.log.producers == states


def test_a_follower_of_a_compacted_log_has_the_same_records_epochs_and_producers() -> None:
    keeper = Keeper()
    for number in range(120):
        keeper.write((f"k{number % 3}", f"v{number}"), pid=number % 4, epoch=number // 40)
    keeper.clean()
    disk = MemoryDisk(Random(2))
    log = Log.open(disk, NAME, TOPIC_ID, SMALL, None)
    while log.end < keeper.log.end:
        log.append_replica(keeper.log.read(log.end, 300, limit=keeper.log.end))
    assert records(log) == records(keeper.log)
    assert (log.epochs.entries, log.producers) == (keeper.log.epochs.entries, keeper.log.producers)
    assert verify_log(disk, NAME) == []
    flushing = disk.start_flush()
    flushing.run()
    log.synced(disk.finish_flush(flushing))
    disk.power_loss()
    recovered = RecoverLog(NAME, recovery_point=log.end, settings=SMALL).run(disk)
    again = Log.open(disk, NAME, TOPIC_ID, SMALL, recovered)
    assert records(again) == records(keeper.log)


def test_a_log_that_was_never_compacted_refuses_a_hole() -> None:
    keeper = Keeper()
    for number in range(60):
        keeper.write(("k", f"v{number}"))
    keeper.clean()
    strict = Log.open(MemoryDisk(Random(2)), NAME, TOPIC_ID, LogSettings(), None)
    with pytest.raises(InvalidBatch, match="do not fill"):
        strict.append_replica(keeper.log.read(0, 10_000, limit=keeper.log.end))


@pytest.mark.parametrize("slice_bytes", [100, 10_000])
def test_every_changed_byte_ends_the_cleaning_and_is_called_damage(slice_bytes: int) -> None:
    """Also those outside of the CRC, since what the cleaner takes for good it writes anew."""
    keeper = Keeper()
    for number in range(40):
        keeper.write(("k", f"v{number}"))
    while keeper.disk.dirty():
        keeper.flush()
    path = keeper.log.segments[1].path
    good = keeper.disk.read(path, 0, keeper.disk.size(path) or 0)
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x04
        keeper.disk.truncate(path, 0)
        keeper.disk.append(path, bad)
        cleaning = keeper.clean(slice_bytes=slice_bytes)
        assert cleaning.stage is Stage.FAILED, position
        assert cleaning.damage, position
    assert not [name for name in keeper.disk.list(NAME) if name.endswith(".cleaned")]


def test_a_disk_without_room_ends_the_cleaning_and_leaves_the_log_as_it_was() -> None:
    keeper = Keeper()
    for number in range(40):
        keeper.write((f"k{number % 7}", f"v{number}"))
    before = records(keeper.log)
    while keeper.disk.dirty():
        keeper.flush()
    keeper.disk.full = keeper.disk.usage() + 100
    cleaning = keeper.clean()
    assert (cleaning.stage, cleaning.damage) == (Stage.FAILED, "")
    keeper.disk.full = None
    assert records(keeper.log) == before
    assert not [name for name in keeper.disk.list(NAME) if name.endswith(".cleaned")]
    assert keeper.clean().stage is Stage.DONE


def test_segments_that_expire_or_a_reset_meanwhile_make_a_cleaning_worthless() -> None:
    for moment in range(60):
        for reset in (False, True):
            keeper = Keeper(seed=moment)
            for number in range(60):
                keeper.write((f"k{number % 7}", f"v{number}"))
            while keeper.disk.dirty():
                keeper.flush()
            cleaning = keeper.begin()
            for _ in range(moment):
                keeper.step(cleaning)
            if reset:
                keeper.log.reset_to(keeper.log.end)
            else:
                keeper.log.delete_segments_before(keeper.log.segments[2].base if len(keeper.log.segments) > 3 else 0)
            steps = 0
            while not cleaning.over:
                keeper.step(cleaning)
                steps += 1
                assert steps < 200
            while keeper.disk.dirty():
                keeper.flush()
            assert keeper.log.settled
            start, end = keeper.log.start, keeper.log.end
            found = records(keeper.log)
            keeper.point = keeper.log.recovery_point
            keeper.restart(power=True)
            assert (keeper.log.start, keeper.log.end, records(keeper.log)) == (start, end, found)
            assert verify_log(keeper.disk, NAME) == []


# --- Crashes ---


def prepared(seed: int) -> tuple[Keeper, Random]:
    """A log with something to clean, all of it durable."""
    random = Random(seed)
    keeper = Keeper(seed)
    for number in range(random.randint(5, 60)):
        some = [
            (f"k{random.randrange(6)}", random.choice((None, f"v{number}.{n}"))) for n in range(random.randint(1, 4))
        ]
        codec = random.choice((0, 0, 0, 1, 4))
        keeper.write(*some, pid=random.choice((-1, 1, 2)), epoch=number // 20, codec=codec)
        if random.random() < 0.1:
            keeper.log.roll()
    while keeper.disk.dirty():
        keeper.flush()
    keeper.point = keeper.log.recovery_point
    return keeper, random


@pytest.mark.parametrize("power", [False, True])
def test_a_crash_at_any_step_leaves_what_was_there_or_what_was_to_be(power: bool) -> None:
    for seed in range(150):
        keeper, random = prepared(seed)
        before, states, epochs = records(keeper.log), keeper.log.producers, list(keeper.log.epochs.entries)
        now = NOW
        for _ in range(random.randint(1, 3)):
            now += random.choice((0, 60, 200))
            cleaning = keeper.begin(now_ms=now)
            for _ in range(random.randint(0, 60)):
                if cleaning.over:
                    break
                keeper.step(cleaning)
                if random.random() < 0.1 and keeper.disk.dirty():
                    keeper.flush()
            keeper.restart(power=power)
            found = records(keeper.log)
            assert living(found) == living(before), seed
            assert set(found) <= set(before), seed
            assert (keeper.log.producers, keeper.log.epochs.entries) == (states, epochs), seed
            assert verify_log(keeper.disk, NAME) == [], seed
            while keeper.disk.dirty():
                keeper.flush()
            assert keeper.log.settled
            assert not [name for name in keeper.disk.list(NAME) if name.endswith((".cleaned", ".swap"))], seed
        keeper.cleaned = 0
        done = keeper.clean(now_ms=now)
        assert done.stage is Stage.DONE or not done.records_before
        assert living(records(keeper.log)) == living(before), seed


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_cleaning_again_and_again_changes_nothing_that_a_reader_ends_with(data: st.DataObject) -> None:
    """Against a list of all that was ever written: no older value and no deleted key comes back."""
    keeper = Keeper(data.draw(st.integers(0, 1000)))
    written: list[Record] = []
    now = NOW
    for _ in range(data.draw(st.integers(1, 6))):
        for _ in range(data.draw(st.integers(0, 12))):
            some = data.draw(
                st.lists(
                    st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), st.text("xyz", max_size=40))),
                    min_size=1,
                    max_size=4,
                )
            )
            base = keeper.log.end
            keeper.write(*some, codec=data.draw(st.sampled_from((0, 0, 2, 3))))
            written += [r._replace(offset=base + n) for n, r in enumerate(pairs(*some, timestamp=base))]
        if data.draw(st.booleans()):
            keeper.log.roll()
        now += data.draw(st.sampled_from((0, 50, 100)))
        keeper.clean(now_ms=now, slice_bytes=data.draw(st.sampled_from((100, 1000))))
        found = records(keeper.log)
        assert living(found) == living(written)
        assert set(found) <= set(written)
        sealed = keeper.log.segments[-1].base if keeper.log.segments else 0
        keys = [record.key for record in found if record.offset < min(keeper.cleaned, sealed)]
        assert len(keys) == len(set(keys)), "a key is there twice, where all was cleaned"
