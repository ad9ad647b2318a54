"""Compaction at brokers: what is chosen, when tombstones may go, and that followers end with the same.

The cluster is the real one in a world with virtual time; `storage` is tested by itself in `test_compaction`.
"""

from __future__ import annotations

from random import Random

import pytest
from cluster_world import NODES
from cluster_world import Cluster as WorldCluster
from logs import P0, WALL_MS, flush
from serving import ASKER, Serving
from test_compaction import living, picture

from barnabas.actors.broker_events import CompactionFailed, LogBegunAnew, LogCompacted, LogDamaged, LogQuarantined
from barnabas.actors.cleaner import cleanable_to
from barnabas.actors.client_commands import MakeTopic, SendRecords
from barnabas.actors.controller import Controller
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Payload
from barnabas.actors.messages import Produce, ProduceBatch, Produced
from barnabas.actors.topic_configs import TopicConfigs, validate
from barnabas.actors.writes import Writes
from barnabas.storage.checkpoint import CLEANED, read_offsets
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, decode_batch, encode_batch, iter_headers
from barnabas.storage.settings import LogSettings
from barnabas.storage.verify import compare_replicas, verify_log

COMPACT = {
    "cleanup.policy": "compact",
    "segment.bytes": "2000",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "3000",
}


class Compacting(WorldCluster):
    """A cluster with a compacted topic. `written` is all that was acknowledged, in order."""

    def __init__(self, seed: int = 1, **configs: str) -> None:
        super().__init__(seed)
        self.configs = {**COMPACT, **{name.replace("_", "."): value for name, value in configs.items()}}
        self.written: list[Record] = []

    def begin(self) -> Compacting:
        self.machines.start()
        for name in ("admin", "p"):
            self.world.start(name)
        configs = {"min.insync.replicas": "2", **self.configs}
        self.world.tell("admin", "admin", MakeTopic("t", "orders", 1, 3, configs))
        self.until(lambda: self.made and self.whole(), 10_000)
        return self

    def controller(self) -> Controller:
        """The active one."""
        node = self.world.hosts[self.active()].node
        assert node is not None
        controller = node.actors["controller"]
        assert isinstance(controller, Controller)
        return controller

    def put(self, *items: tuple[str, str | None]) -> None:
        """Write keyed records and wait for their acknowledgement."""
        tokens = []
        for key, value in items:
            self.number += 1
            token = f"t{self.number}"
            tokens.append(token)
            record = Record(key.encode(), None if value is None else value.encode())
            self.world.tell("p", "producer", SendRecords("orders", [record], [token], 0))
        self.until(lambda: all(token in self.acked for token in tokens), 20_000)
        for token, (key, value) in zip(tokens, items, strict=True):
            offset = self.acked[token]
            self.written.append(Record(key.encode(), None if value is None else value.encode(), (), -1, offset))
        self.written.sort(key=lambda record: record.offset)

    def fill(self, count: int = 60, keys: int = 3) -> None:
        for start in range(0, count, 20):
            self.put(*((f"k{n % keys}", f"value {self.number + n} of this key") for n in range(start, start + 20)))

    def has(self, name: str) -> list[Record]:
        """All records of a replica."""
        replica = self.replica(name)
        assert replica is not None
        log, found, offset = replica.log, [], replica.log.start
        while offset < log.end:
            data = bytes(log.read(offset, 1 << 20, limit=log.end))
            for position, header in iter_headers(data):
                found += decode_batch(data[position : position + header.size])
                offset = header.next_offset
        return [record._replace(timestamp=-1) for record in found]

    def compacted(self, name: str) -> bool:
        """Whether it was cleaned up to its active segment."""
        replica = self.replica(name)
        return replica is not None and replica.log.cleaned == replica.log.segments[-1].base > 0


def test_every_replica_compacts_its_log_and_all_end_with_the_same() -> None:
    cluster = Compacting().begin()
    cluster.fill(100)
    cluster.until(lambda: all(map(cluster.compacted, NODES)), 20_000)
    for name in NODES:
        found = cluster.has(name)
        assert picture(found) == picture(cluster.written)
        assert len(found) < 60  # the active segment is left alone
        assert verify_log(cluster.disk(name), "orders-0") == []
    assert {event.broker for event in cluster.events if isinstance(event, LogCompacted)} == {1, 2, 3}
    disks = {name: cluster.disk(name) for name in NODES}
    assert compare_replicas(disks, "orders-0", cluster.written[-1].offset + 1) == []
    cluster.run(1500)
    assert all(read_offsets(disk, CLEANED).offsets == {("orders", 0): cluster.replica(name).log.cleaned}  # type: ignore[union-attr]
               for name, disk in disks.items())  # fmt: skip


def test_a_consumer_reads_the_last_value_of_each_key_from_a_compacted_log() -> None:
    cluster = Compacting().begin()
    cluster.fill(100)
    cluster.until(lambda: all(map(cluster.compacted, NODES)), 20_000)
    read = cluster.read_all()
    last = set(picture(cluster.written).values())
    assert last <= {(offset, value.encode()) for value, offset in read.items()}


def test_a_broker_that_restarts_goes_on_where_its_cleaner_was() -> None:
    cluster = Compacting().begin()
    cluster.fill(100)
    cluster.until(lambda: all(map(cluster.compacted, NODES)), 20_000)
    cluster.run(2_000)
    follower = cluster.followers()[0]
    cleaned = cluster.replica(follower).log.cleaned  # type: ignore[union-attr]
    cluster.world.power_loss(follower)
    cluster.world.start(follower)
    cluster.until(cluster.whole, 20_000)
    replica = cluster.replica(follower)
    assert replica is not None
    assert (replica.log.cleaned, replica.log.compacted) == (cleaned, True)
    assert picture(cluster.has(follower)) == picture(cluster.written)


def test_a_tombstone_goes_everywhere_once_its_time_is_over() -> None:
    cluster = Compacting().begin()
    cluster.put(("gone", "1"), ("gone", None))
    for _ in range(8):
        cluster.fill(40)
        cluster.run(2_000)
    assert not any(record.key == b"gone" for name in NODES for record in cluster.has(name))
    assert {cluster.replica(name).log.purged for name in NODES} != {0}  # type: ignore[union-attr]
    for name in NODES:
        assert living(cluster.has(name)) == living(cluster.written)


def test_who_was_away_longer_than_tombstones_are_kept_begins_anew_and_nothing_comes_back() -> None:
    cluster = Compacting().begin()
    cluster.put(("gone", "1"))
    cluster.fill(40)
    away = cluster.followers()[0]
    cluster.run(500)
    cluster.world.crash(away)
    cluster.put(("gone", None))
    others = [name for name in NODES if name != away]
    for _ in range(12):
        cluster.fill(40)
        cluster.run(2_000)
    assert not any(record.key == b"gone" for name in others for record in cluster.has(name))
    cluster.world.start(away)
    cluster.until(cluster.whole, 30_000)
    told = [event for event in cluster.events if isinstance(event, LogBegunAnew)]
    assert [event.broker for event in told] == [int(away[1:])]
    assert "tombstones" in told[0].cause
    assert living(cluster.has(away)) == living(cluster.written)
    cluster.fill(20)
    cluster.run(1_000)
    assert len([event for event in cluster.events if isinstance(event, LogBegunAnew)]) == 1


def test_a_follower_that_is_up_and_slow_holds_tombstones_back() -> None:
    cluster = Compacting().begin()
    cluster.put(("gone", "1"))
    cluster.fill(40)
    cluster.run(1_000)
    slow = cluster.followers()[0]
    link = (cluster.leader(), slow)
    network = cluster.world.network
    cluster.world.network = Deaf(network, link)  # it hears no answers, but the controllers hear it
    cluster.put(("gone", None))
    for _ in range(8):
        cluster.fill(40)
        cluster.run(2_000)
    assert any(record.key == b"gone" for record in cluster.has(cluster.leader()))
    cluster.world.network = network
    cluster.until(cluster.whole, 30_000)
    for _ in range(8):
        cluster.fill(40)
        cluster.run(2_000)
    assert not any(record.key == b"gone" for name in NODES for record in cluster.has(name))
    assert not [event for event in cluster.events if isinstance(event, LogBegunAnew)]


class Deaf:
    """A network on which replies of one node to another are lost."""

    def __init__(self, network: object, link: tuple[str, str]) -> None:
        self._network, self._link = network, link

    def delays(self, source: str, target: str, size: int, now: int) -> tuple[int, ...]:
        return () if (source, target) == self._link and size > 130 else (100,)

    def broadcast_delays(self, source: str, target: str, size: int, now: int) -> tuple[int, ...]:
        return (100,)

    def in_order(self, source: str, target: str) -> bool:
        return True


def test_young_records_are_left_alone() -> None:
    cluster = Compacting(min_compaction_lag_ms="60000").begin()
    cluster.fill(100)
    cluster.run(10_000)
    assert not [event for event in cluster.events if isinstance(event, LogCompacted)]
    cluster.run(60_000)
    assert [event for event in cluster.events if isinstance(event, LogCompacted)]


def test_old_records_do_not_wait_for_a_full_segment() -> None:
    cluster = Compacting(max_compaction_lag_ms="5000", segment_bytes="1000000").begin()
    cluster.fill(40)
    cluster.run(2_000)
    assert not [event for event in cluster.events if isinstance(event, LogCompacted)]
    cluster.run(10_000)
    assert len(cluster.has(cluster.leader())) == 3


def test_damage_that_the_cleaner_finds_is_reported_and_repaired() -> None:
    cluster = Compacting().begin()
    cluster.fill(60)
    cluster.run(1_200)
    follower = cluster.followers()[0]
    cluster.disk(follower).corrupt(f"orders-0/{0:020d}.log", 100, 1)
    cluster.fill(60)
    cluster.until(lambda: bool(cluster.told(LogDamaged)), 20_000)
    cluster.until(cluster.whole, 30_000)
    assert living(cluster.has(follower)) == living(cluster.written)


def counted(cluster: Compacting, number: int) -> bool:
    """Whether a copy is in sync for the controller, or is proposed in a term that has not ended."""
    [state] = cluster.controller().image.partitions.values()
    terms = [replica.leading for replica in map(cluster.replica, NODES) if replica is not None and replica.leading]
    proposals = [term.proposal for term in terms if term.epoch == state.leader_epoch and term.proposal is not None]
    return number in state.isr or any(number in dict(proposal.isr) for proposal in proposals)


@pytest.mark.parametrize("in_sync", [True, False])
def test_a_log_that_begins_anew_is_not_in_sync_for_what_its_damaged_predecessor_had(in_sync: bool) -> None:
    """Else an empty one could lead, if those fell that have the records."""
    cluster = Compacting().begin()
    cluster.fill(60)
    cluster.run(1_200)
    leader, follower = cluster.leader(), cluster.followers()[0]
    number = int(follower[1:])
    if not in_sync:
        cluster.world.crash(follower)
        cluster.until(lambda: number not in cluster.isr(leader), 10_000)
        cluster.world.start(follower)
        cluster.until(lambda: counted(cluster, number), 10_000)
    broker, replica = cluster.broker(follower), cluster.replica(follower)
    assert broker is not None and replica is not None
    [state] = broker.image.partitions.values()
    assert (number in state.isr) == in_sync
    node = cluster.world.hosts[follower].node
    assert node is not None
    broker.damage.found(replica, "as the test wants", node._contexts["broker"])

    def back() -> bool:
        copy = cluster.replica(follower)
        assert copy is not None
        assert copy.log.end >= 60 or not counted(cluster, number), f"{cluster.world.now}: {copy.log.end}"
        return bool(cluster.told(LogQuarantined)) and copy.log.end >= 60 and counted(cluster, number)

    cluster.until(back, 30_000)


def test_a_disk_without_room_fails_a_cleaning_in_words() -> None:
    cluster = Compacting().begin()
    cluster.run(1_000)
    follower = cluster.followers()[0]
    disk, broker = cluster.disk(follower), cluster.broker(follower)
    assert broker is not None
    cluster.fill(100)
    cluster.until(lambda: broker.cleaner.busy, 20_000)
    disk.full = disk.usage() + 1_000_000
    cluster.until(lambda: bool(cluster.told(CompactionFailed)), 20_000)
    [failed] = cluster.told(CompactionFailed)
    assert failed.cause == "the broker's disk has under 67108864 B left"
    disk.full = None
    cluster.until(lambda: cluster.compacted(follower), 60_000)
    assert picture(cluster.has(follower)) == picture(cluster.written)


# --- What is cleaned ---


def sealed(*timestamps: int) -> Log:
    log = Log.open(MemoryDisk(Random(1)), "orders-0", bytes(16), LogSettings(segment_bytes=1), None)
    for timestamp in timestamps:
        log.append(bytearray(encode_batch([Record(b"k", b"v", (), timestamp)])), 0, timestamp)
    flush(log)
    return log


def test_the_high_watermark_the_active_segment_and_young_records_end_what_is_cleaned() -> None:
    log = sealed(10, 20, 30, 40)
    configs = TopicConfigs({})
    assert cleanable_to(log, 4, 100, configs) == 3
    assert cleanable_to(log, 2, 100, configs) == 2
    assert cleanable_to(log, 4, 100, TopicConfigs({"min.compaction.lag.ms": "75"})) == 2
    assert cleanable_to(log, 4, 100, TopicConfigs({"min.compaction.lag.ms": "95"})) == 0


def test_what_is_not_durable_is_not_cleaned() -> None:
    log = sealed(10, 20)
    log.append(bytearray(encode_batch([Record(b"k", b"v", (), 30)])), 0, 30)
    log.append(bytearray(encode_batch([Record(b"k", b"v", (), 40)])), 0, 40)
    assert cleanable_to(log, 4, 100, TopicConfigs({})) == 2


# --- Configs and producers ---


@pytest.mark.parametrize("value", ["0", "1", "0.5", ".25", "1.0", "0.0"])
def test_a_share_is_a_number_from_0_to_1(value: str) -> None:
    assert validate({"min.cleanable.dirty.ratio": value}) == []


@pytest.mark.parametrize("value", ["", "-0.1", "1.1", "2", "half", "1e-3", "nan", "0.5 "])
def test_anything_else_is_not_a_share(value: str) -> None:
    assert validate({"min.cleanable.dirty.ratio": value}) == [
        f"min.cleanable.dirty.ratio must be a number from 0 to 1, not {value!r}."
    ]


def test_the_smallest_lag_is_not_more_than_the_largest() -> None:
    [sentence] = validate({"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"})
    assert sentence == "min.compaction.lag.ms (10) must not be more than max.compaction.lag.ms (9)."
    assert validate({"min.compaction.lag.ms": "10"}) == []


@pytest.mark.parametrize("compression", [0, 1, 4])
def test_a_record_without_a_key_is_refused_on_a_compacted_topic_and_nowhere_else(compression: int) -> None:
    serving = Serving()
    writes = Writes(serving.find, serving.where, serving.on_appended, serving.on_repeated)
    keyed, keyless = Record(b"k", b"v", (), WALL_MS), Record(None, b"v", (), WALL_MS)

    def send(*records: Record) -> tuple[ErrorCode, str]:
        data = encode_batch(records, compression=compression)
        writes.produce(ASKER, Produce(1, 1, 1000, [ProduceBatch(P0, 0, Payload(data))]), serving.ctx)
        [produced] = serving.ctx.take(Produced)
        return produced.batches[0].error, produced.batches[0].reason

    assert send(keyed, keyless)[0] is ErrorCode.NONE
    serving.replica.log.configure(LogSettings(compacted=True))
    sentence = "record 1 of the batch has no key: a compacted topic needs keys"
    assert send(keyed, keyless) == (ErrorCode.INVALID_RECORD, sentence)
    assert send(keyed)[0] is ErrorCode.NONE
