"""The checkers of a log's life fire: each test forges what one of them forbids, in a cluster whose logs are living.

Records of `expiring` expire and are deleted, `table` is compacted; see `simulation.invariants.lives`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from test_invariants import Calm

from barnabas.actors.broker_events import LogStartMoved
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Event, Payload
from barnabas.actors.messages import Consumed, ConsumedPartition, DeletedPartition, RecordsDeleted
from barnabas.cluster.world import Host
from barnabas.simulation.invariants.lives import LivesChecker
from barnabas.simulation.oracle import Violation
from barnabas.simulation.views import replicas_of
from barnabas.storage.records import Record, encode_batch, patch

COMPACTED = 15_000_000
"""By then, in us, everybody has compacted something."""


class Living(Calm):
    """A calm cluster with the workloads that are about the life of logs."""

    def __init__(self) -> None:
        super().__init__(3, ("expiring", "table"))
        self.lives = next(c for c in self.sim.oracle.checkers if isinstance(c, LivesChecker))

    def until(self, what: Callable[[], bool]) -> None:
        assert self.world.run_while(lambda: not what(), COMPACTED), "that did not come"

    def await_compaction(self) -> None:
        """Somebody's copy of the table has a hole, and nothing is going on in it."""
        self.until(lambda: self.hole() is not None)

    def hole(self) -> tuple[Host, Any, int] | None:
        for name in ("b1", "b2", "b3"):
            for replica in replicas_of(self.world.hosts[name]).values():
                log: Any = replica.log
                if getattr(replica, "topic", "") == "table" and log.compacted and len(log.segments) > 1:
                    expected = log.start
                    for header in log.batches_from(log.start):
                        if header.base_offset > expected and expected < log.segments[-1].base:
                            return self.world.hosts[name], replica, expected
                        expected = header.next_offset
        return None

    def forge_record(self, value: bytes | None) -> Host:
        """What is missing from somebody's log is made out to be the only record of its key."""
        self.await_compaction()
        found = self.hole()
        assert found is not None
        host, replica, offset = found
        contents = self.lives.contents_of("table", replica.partition.index)
        contents.records[offset] = Record(b"forged", value, (), 0, offset)
        contents.offsets[b"forged"] = [offset]
        self.lives._looked.clear()
        return host

    def partition_of(self, topic: str) -> Any:  # noqa: ANN401
        """Some partition of which records are known."""
        self.until(
            lambda: any(name == topic and self.lives.of(p).records for (name, _), p in self.lives._names.items())
        )
        return next(p for (name, _), p in self.lives._names.items() if name == topic and self.lives.of(p).records)

    def leader_of(self, partition: Any) -> Host:  # noqa: ANN401
        return self.host(self.sim.metadata.partitions[partition].leader)

    def happen(self, host: Host, event: Event) -> None:
        self.lives.happened(self.world, host, "broker", event)


def p21_contents(living: Living) -> None:
    partition = living.partition_of("table")
    offset, record = next(iter(living.lives.of(partition).records.items()))
    data = bytearray(encode_batch([record._replace(value=b"another")]))
    patch(data, offset, 0)
    part = ConsumedPartition(partition, ErrorCode.NONE, -1, 0, Payload(bytes(data)))
    host = living.leader_of(partition)
    living.lives.sent(living.world, host.name, "@r1#1", living.envelope(host, Consumed(5, [part])))


def p25_limit(living: Living) -> None:
    def cleaner() -> tuple[Host, Any] | None:
        for name in ("b1", "b2", "b3"):
            host = living.world.hosts[name]
            assert host.node is not None
            broker: Any = host.node.actors["broker"]
            if broker.cleaner._cleaning is not None:
                return host, broker.cleaner
        return None

    living.until(lambda: cleaner() is not None)
    found = cleaner()
    assert found is not None
    host, at_work = found
    (at_work._replica.copying or at_work._replica).hw = at_work._cleaning.plan.limit - 1
    living.lives._cleanings.clear()
    living.lives._bound(host)


def p25_value(living: Living) -> None:
    living.look(living.forge_record(b"the last of its key"))


def p25_tombstone(living: Living) -> None:
    host = living.forge_record(None)
    for replica in replicas_of(host).values():
        log: Any = replica.log
        log.purged = min(log.purged, 0)
    living.look(host)


def p24(living: Living) -> None:
    living.await_compaction()
    found = living.hole()
    assert found is not None
    host, replica, _ = found
    replica.log.producers.states.popitem()
    living.lives._looked.clear()
    living.look(host)


def keys(living: Living) -> None:
    living.await_compaction()
    found = living.hole()
    assert found is not None
    contents = living.lives.contents_of("table", found[1].partition.index)
    offset = max(contents.records)
    contents.records[offset] = contents.records[offset]._replace(value=b"something else")
    living.lives.at_rest(living.world)


def expiry_asked(living: Living) -> None:
    partition = living.partition_of("expiring")
    host = living.leader_of(partition)
    start = living.lives.asked.get(partition, 0) + 1
    name = f"expiring-{partition.index}"
    living.happen(
        host, LogStartMoved(broker=1, partition=name, start=start, before=0, cause="a client deleted records")
    )


def expiry_young(living: Living) -> None:
    """Nothing of the table expires, by age or by size, unless it is said."""
    partition = living.partition_of("table")
    host = living.leader_of(partition)
    end = replicas_of(host)[partition].log.end
    name = f"table-{partition.index}"
    living.happen(host, LogStartMoved(broker=1, partition=name, start=end, before=0, cause="retention.ms 1"))


def deleted(living: Living) -> None:
    partition = living.partition_of("expiring")
    living.lives._requests["1", 7, partition] = 10**6
    answer = RecordsDeleted(7, [DeletedPartition(partition, ErrorCode.NONE, 10**6)])
    living.say(living.leader_of(partition), "@expiring-admin#1", answer)


def start(living: Living) -> None:
    partition = living.partition_of("expiring")
    log: Any = replicas_of(living.leader_of(partition))[partition].log
    log.start += 1
    living.lives._moved.clear()
    living.lives.at_rest(living.world)


FORGERIES: dict[str, list[Callable[[Living], None]]] = {
    "P21": [p21_contents],
    "P24": [p24],
    "P25": [p25_limit, p25_value, p25_tombstone],
    "KEYS": [keys],
    "EXPIRY": [expiry_asked, expiry_young],
    "DELETED": [deleted],
    "START": [start],
}


@pytest.mark.parametrize(
    ("invariant", "forge"),
    [pytest.param(name, forge, id=forge.__name__) for name, forges in FORGERIES.items() for forge in forges],
)
def test_a_forged_violation_is_found(invariant: str, forge: Callable[[Living], None]) -> None:
    living = Living()
    with pytest.raises(Violation) as found:
        forge(living)
    assert found.value.invariant == invariant, str(found.value)


def test_a_calm_cluster_breaks_none_of_these_promises_and_tests_all_of_them() -> None:
    living = Living()
    living.await_compaction()
    living.world.run_until(living.world.now + 10_000_000)
    living.lives.at_rest(living.world)
    assert {"P21", "P24", "P25", "P25 log", "KEYS", "EXPIRY", "DELETED", "START"} <= set(living.sim.oracle.premises)


def test_a_copy_that_died_for_good_is_not_held_to_where_its_leaders_log_begins_now() -> None:
    living = Living()
    partition = living.partition_of("expiring")
    leader = living.leader_of(partition)
    dead, alive = (name for name in ("b1", "b2", "b3") if name != leader.name)
    living.world.crash(dead)
    logs: list[Any] = [replicas_of(host)[partition].log for host in (leader, living.world.hosts[alive])]
    before = logs[0].start
    living.until(lambda: before < logs[0].start == logs[1].start)
    living.lives._moved.clear()
    living.lives.at_rest(living.world)
