"""What is judged of one copy of a partition; see `simulation.invariants.copies`."""

from __future__ import annotations

from random import Random

import pytest

from barnabas.actors.messages import Partition
from barnabas.actors.raft import Raft
from barnabas.simulation.invariants.copies import CopiesChecker, Copy
from barnabas.simulation.invariants.metadata import MetadataChecker
from barnabas.simulation.invariants.quorum import QuorumChecker
from barnabas.simulation.logical import Logical
from barnabas.simulation.mirror import Line, Mirror
from barnabas.simulation.oracle import Oracle, Violation
from barnabas.simulation.run import measured
from barnabas.simulation.scenarios import Stage
from barnabas.simulation.views import raft_of
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import RawRecord, encode_batch
from barnabas.storage.settings import LogSettings


def begun_in_a_hole(first: int) -> tuple[CopiesChecker, Copy, Log]:
    """A copy that began at 295, where epoch 7 was compacted away up to `first`, and what a checker has seen of it."""
    log = Log.open(MemoryDisk(Random(1)), "table-0", bytes(16), LogSettings(compacted=True), None)
    log.reset_to(295)
    record: RawRecord = (b"k", b"v", (), 1, -1)
    log.append_replica(encode_batch([record], base_offset=first, leader_epoch=10))
    gone = [Line(base, base + 2, 7, base, base, (2, 0), base) for base in range(295, 313, 2)]
    copy = Copy("b1", Partition("topic", 0), Mirror({}), fresh=False)
    copy.added = copy.mirror.update(Logical(log, gone)).added
    checker = CopiesChecker(MetadataChecker(QuorumChecker()))
    Oracle([checker])
    return checker, copy, log


def test_an_epoch_that_a_copy_has_nothing_of_may_be_missing_in_its_cache() -> None:
    checker, copy, log = begun_in_a_hole(313)
    assert [line.epoch for line in copy.mirror.lines] == [7] * 9 + [10]
    checker._epochs(copy, log, whole=False)


def test_an_epoch_that_a_copy_has_something_of_may_not() -> None:
    checker, copy, log = begun_in_a_hole(313)
    log.epochs.entries.clear()
    with pytest.raises(Violation, match="P15"):
        checker._epochs(copy, log, whole=False)


def test_a_tail_that_came_back_is_not_taken_for_holes() -> None:
    """Seed 127: a loss of power undid a cut. The old tail is there again, where others have committed something."""
    log = Log.open(MemoryDisk(Random(1)), "groups-0", bytes(16), LogSettings(compacted=True), None)
    record: RawRecord = (b"k", b"v", (), 1, -1)
    for base in range(4):
        log.append_replica(encode_batch([record], base_offset=base, leader_epoch=8))
    committed = [Line(base, base + 1, 8 if base < 2 else 9, base, base, (2, 0), base) for base in range(4)]
    found = [(header.base_offset, header.leader_epoch) for header in Logical(log, committed).batches_from(0)]
    assert found == [(0, 8), (1, 8), (2, 8), (3, 8)]


def test_a_voter_that_died_while_it_cut_its_log_had_taken_back_what_it_called_durable() -> None:
    """Seed 283: the cut was made, and reading failed before the input was over."""
    stage = Stage()
    stage.open()
    voter = next(name for name in stage.controllers if name != stage.active)
    raft = raft_of(stage.world.hosts[voter])
    assert isinstance(raft, Raft)
    assert raft.log is not None
    base = [header.base_offset for header in raft.log.batches_from(raft.log.start)][-1]
    stage.until(lambda: raft.log is not None and raft.log.recovery_point > base)
    raft._records.point.lower_to(0, stage.disk(voter))
    raft.log.truncate_to(base)
    stage.world.crash(voter)
    stage.world.start(voter)

    def body() -> list[str]:
        stage.wait(1)
        return stage.settle()

    report = measured(stage, body)
    assert report.violations == []
    assert report.premises["DURABLE"] > 0
