"""Verification finds every byte that was changed; recovery knows damage from a torn tail."""

from __future__ import annotations

from random import Random

import pytest

from barnabas.storage.log import Log, LogSettings
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, encode_batch, iter_headers
from barnabas.storage.recovery import RecoverLog
from barnabas.storage.verify import compare_replicas, verify_data_dir, verify_log

NAME = "orders-0"
TOPIC_ID = bytes(16)
SETTINGS = LogSettings(segment_bytes=450, index_interval=100)


def written(epochs: tuple[int, ...] = (1, 1, 1, 2, 2, 2, 2, 5), settings: LogSettings = SETTINGS) -> MemoryDisk:
    """A log of batches of two records, all durable, its indexes saved."""
    disk = MemoryDisk(Random(4))
    log = Log.open(disk, NAME, TOPIC_ID, settings, None)
    for number, epoch in enumerate(epochs):
        records = [Record(b"k", b"value %d" % number, (), 1000 + number)] * 2
        log.append(
            bytearray(encode_batch(records, producer_id=4, producer_epoch=0, base_sequence=2 * number)), epoch, 0
        )
    log.close_clean()
    flush = disk.start_flush()
    flush.run()
    disk.finish_flush(flush)
    return disk


def content(disk: MemoryDisk, path: str) -> bytes:
    return disk.read(path, 0, disk.size(path) or 0)


def overwrite(disk: MemoryDisk, path: str, data: bytes) -> None:
    disk.truncate(path, 0)
    disk.append(path, data)


def logs(disk: MemoryDisk) -> list[str]:
    return [f"{NAME}/{name}" for name in disk.list(NAME) if name.endswith(".log")]


def flips(data: bytes) -> list[bytes]:
    return [bytes([*data[:at], data[at] ^ 1 << at % 8, *data[at + 1 :]]) for at in range(len(data))]


def test_a_good_directory_has_no_findings() -> None:
    disk = written()
    assert len(logs(disk)) > 1
    assert verify_log(disk, NAME) == []
    assert verify_data_dir(disk) == []


def test_every_changed_byte_of_every_batch_is_found() -> None:
    disk = written()
    for path in logs(disk):
        good = content(disk, path)
        for bad in flips(good):
            overwrite(disk, path, bad)
            assert verify_log(disk, NAME), "a changed byte was not found"
        overwrite(disk, path, good)
    assert verify_log(disk, NAME) == []


def test_every_changed_byte_of_an_index_or_snapshot_is_found() -> None:
    disk = written()
    for name in disk.list(NAME):
        if name.endswith((".index", ".timeindex", ".snapshot")):
            good = content(disk, f"{NAME}/{name}")
            assert good
            for bad in flips(good):
                overwrite(disk, f"{NAME}/{name}", bad)
                assert verify_log(disk, NAME), f"a changed byte of {name} was not found"
            overwrite(disk, f"{NAME}/{name}", good)


def test_every_missing_file_or_byte_is_found() -> None:
    disk = written()
    for path in logs(disk)[:-1]:
        good = content(disk, path)
        for size in range(len(good)):
            overwrite(disk, path, good[:size])
            assert verify_log(disk, NAME)
        overwrite(disk, path, good)
    disk.delete(f"{NAME}/leader-epoch-checkpoint")
    disk.delete(f"{NAME}/partition.metadata")
    assert len(verify_log(disk, NAME)) == 2


def test_a_changed_byte_makes_replicas_differ_even_where_one_alone_proves_nothing() -> None:
    good, bad = written((1, 1, 1)), written((1, 1, 2))
    assert verify_log(bad, NAME) == []
    assert compare_replicas({"b1": good, "b2": bad}, NAME, 4) == []
    assert [finding.file for finding in compare_replicas({"b1": good, "b2": bad}, NAME, 6)] == ["b2"]


def test_replicas_may_have_other_segments_and_other_tails() -> None:
    first = written()
    second = written(settings=LogSettings(segment_bytes=250, index_interval=100))
    third = written((1, 1, 1, 2))
    assert compare_replicas({"b1": first, "b2": second}, NAME, 16) == []
    assert compare_replicas({"b1": first, "b2": second, "b3": third}, NAME, 8) == []
    assert len(compare_replicas({"b1": first, "b2": second, "b3": third}, NAME, 16)) == 1
    assert len(compare_replicas({"b1": first, "b2": MemoryDisk(Random(0))}, NAME, 16)) == 1


def test_recovery_of_every_prefix_of_the_last_write_keeps_what_is_durable() -> None:
    disk = written()
    path = logs(disk)[-1]
    good = content(disk, path)
    headers = list(iter_headers(good))
    position, last = headers[-1]
    for size in range(position, len(good)):
        for tail in (b"", bytes(7), bytes(600)):
            if (good[:size] + tail).startswith(good):
                continue  # the byte that was lost is a zero
            overwrite(disk, path, good[:size] + tail)
            recovered = RecoverLog(directory=NAME, recovery_point=last.base_offset, settings=SETTINGS).run(disk)
            assert (recovered.corrupt, recovered.end) == (None, last.base_offset)
            assert recovered.truncated_bytes == size - position + len(tail)
    overwrite(disk, path, good + bytes(100))
    recovered = RecoverLog(directory=NAME, recovery_point=last.next_offset, settings=SETTINGS).run(disk)
    assert (recovered.corrupt, recovered.end, recovered.truncated_bytes) == (None, last.next_offset, 100)


@pytest.mark.parametrize("thorough", [False, True])
def test_every_changed_byte_below_the_recovery_point_is_corruption_and_above_it_a_torn_tail(thorough: bool) -> None:
    """Not thorough, segments that were not walked may pass: reading finds it, or `verify`."""
    disk = written()
    for path in logs(disk):
        good = content(disk, path)
        for at, header in list(iter_headers(good)):
            for number, bad in enumerate(flips(good)[at : at + header.size]):
                overwrite(disk, path, bad)
                below = RecoverLog(directory=NAME, recovery_point=16, settings=SETTINGS, thorough=thorough).run(disk)
                assert below.corrupt is not None or not thorough
                if number in range(12, 16):
                    continue  # a later epoch cannot be told from a real one here; the leader will not know it
                job = RecoverLog(directory=NAME, recovery_point=header.base_offset, settings=SETTINGS)
                above = job.run(disk)
                assert (above.corrupt, above.end) == (None, header.base_offset)
                unknown = RecoverLog(directory=NAME, settings=SETTINGS).run(disk)
                assert (unknown.corrupt, unknown.end) == (None, header.base_offset)
        overwrite(disk, path, good)


def test_a_lost_segment_below_the_recovery_point_is_corruption() -> None:
    for number in range(len(logs(written()))):
        disk = written()
        disk.delete(logs(disk)[number])
        recovered = RecoverLog(directory=NAME, recovery_point=16, settings=SETTINGS).run(disk)
        assert recovered.corrupt is not None
        with pytest.raises(ValueError, match=NAME):
            Log.open(disk, NAME, TOPIC_ID, SETTINGS, recovered)


@pytest.mark.parametrize("suffix", [".index", ".timeindex", ".snapshot", "leader-epoch-checkpoint"])
def test_what_can_be_derived_is_rebuilt(suffix: str) -> None:
    for damage in ("delete", "cut", "garbage"):
        disk = written()
        for name in disk.list(NAME):
            path = f"{NAME}/{name}"
            if name.endswith(suffix):
                data = content(disk, path)
                disk.delete(path)
                if damage != "delete":
                    disk.append(path, data[:-3] if damage == "cut" else bytes(len(data)) + b"!")
        recovered = RecoverLog(directory=NAME, recovery_point=16, settings=SETTINGS).run(disk)
        log = Log.open(disk, NAME, TOPIC_ID, SETTINGS, recovered)
        assert log.end == 16
        assert log.producers.states[4].last_sequence == 15
        assert [entry.epoch for entry in log.epochs.entries] == [1, 2, 5]
        assert log.offset_for_time(1003, limit=16) == (6, 1003)
        log.close_clean()
        assert verify_log(disk, NAME) == []


def test_a_log_of_which_everything_was_deleted_is_whole() -> None:
    """It has no segment, but it begins, and ends, where the deletion ended."""
    gone, kept = written(), written()
    log = Log.open(
        gone,
        NAME,
        TOPIC_ID,
        SETTINGS,
        RecoverLog(directory=NAME, recovery_point=16, clean=True, settings=SETTINGS).run(gone),
    )
    log.reset_to(16)
    log.close_clean()
    flush = gone.start_flush()
    flush.run()
    gone.finish_flush(flush)
    assert logs(gone) == []
    assert verify_log(gone, NAME) == []
    assert compare_replicas({"node-1": gone, "node-2": kept}, NAME, 16) == []
    assert compare_replicas({"node-1": gone, "node-2": kept}, NAME, 17) != []


def test_what_lies_behind_a_damage_is_one_finding_and_not_one_for_each_entry_of_an_index() -> None:
    disk = written()
    first = logs(disk)[0]
    data = bytearray(content(disk, first))
    data[100] ^= 1
    overwrite(disk, first, bytes(data))
    assert [finding.file for finding in verify_log(disk, NAME)] == [first.rpartition("/")[2]]
