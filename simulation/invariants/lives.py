"""The life of logs, by the contents of their records: P21 and P25, and what a reader ends with.

P21   what is served is what was committed there, also from a compacted log.
P25   a cleaning never reaches beyond the high watermark (KAFKA-13194). What is missing from a compacted log was
      followed by a later committed record of its key, or was a tombstone whose time was over.
KEYS  a reader of any replica ends with the last committed record of each key; what was deleted never comes back.
P24   replaying a compacted log gives the producer states that its replica has.
EXPIRY  a leader lets go of what is too old or too much, or what somebody asked it to delete, and of nothing else.
START  in the end no follower's log begins before its leader's, but for what the leader let go of just now.
DELETED  who is told that records are deleted may rely on it: no in-sync replica's disk has them any more.

The contents are those of batches when they were first seen, before any cleaner saw them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from ...actors.broker_events import LogStartMoved
from ...actors.errors import ErrorCode
from ...actors.kernel import Address, Event
from ...actors.messages import Consumed, DeleteRecords, Envelope, Partition, RecordsDeleted
from ...actors.metadata import MetadataImage
from ...cluster.world import EPOCH_WALL_MS, Host, World
from ...storage.cleaning import Cleaning
from ...storage.log import CorruptLog, Log
from ...storage.memory import MemoryDisk
from ...storage.producers import ProducerStates
from ...storage.records import BatchHeader, Record, decode_batch, iter_headers
from ...storage.recovery import read_start
from ..oracle import Checker
from ..views import DurableReader, ReplicaView, images_of, leading_of, replicas_of
from .copies import CopiesChecker, Copy

if TYPE_CHECKING:
    from ..run import Simulation

FOLLOWED_US = 3_000_000
"""By then followers have heard where their leader's log begins, and know that it is committed."""

_BASE_AND_SIZE = attrgetter("base", "size")

WATCHED = ("expiring", "table")
"""Topics whose contents are remembered."""


class CleanerView(Protocol):
    """`actors.cleaner.Cleaner`."""

    _cleaning: Cleaning | None
    _replica: ReplicaView | None


class Contents(msgspec.Struct):
    """What was committed in one partition."""

    batches: dict[tuple[int, int], list[Record]] = {}  # base and epoch -> records
    records: dict[int, Record] = {}  # committed, by offset
    offsets: dict[bytes, list[int]] = {}  # of each key, in order
    seen: int = 0  # committed batches whose records are known
    since: dict[int, int] = {}  # offset -> when it was first seen to be committed, in us

    def last(self, key: bytes, end: int) -> Record | None:
        """The last committed record of a key below `end`."""
        offsets = self.offsets.get(key, [])
        place = bisect_right(offsets, end - 1)
        return self.records[offsets[place - 1]] if place else None

    def next(self, record: Record) -> int | None:
        """The offset of the next committed record of the same key."""
        assert record.key is not None, "a compacted topic refuses records without a key"
        offsets = self.offsets[record.key]
        place = bisect_right(offsets, record.offset)
        return offsets[place] if place < len(offsets) else None


class Batches:
    """Batches by their bytes, so that what all replicas have is decoded once. To remember them changes nothing."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[BatchHeader, list[Record]]] = {}

    def decoded(self, batch: bytes) -> tuple[BatchHeader, list[Record]]:
        """What is in one batch. Raises InvalidBatch."""
        known = self._known.get(batch)
        if known is None:
            [(_, header)] = iter_headers(batch)
            known = self._known[batch] = (header, decode_batch(batch))
        return known

    def whole(self, data: bytes) -> Iterator[tuple[BatchHeader, list[Record]]]:
        """The batches that fill `data`. Raises InvalidBatch at what is not one."""
        position = 0
        while position < len(data):
            end = position + 12 + int.from_bytes(data[position + 8 : position + 12])  # offset, then what follows
            yield self.decoded(data[position:end])
            position = end


class LivesChecker(Checker):
    """See the module's essay."""

    looks_at = frozenset(("broker",))
    says = (Consumed, RecordsDeleted)
    hears = (DeleteRecords,)

    def __init__(self, run: Simulation) -> None:
        self.run = run
        self.copies: CopiesChecker = run.copies
        self.contents: dict[Partition, Contents] = {}
        self._batches = Batches()
        self.asked: dict[Partition, int] = {}  # the highest offset up to which somebody wanted records deleted
        self._requests: dict[tuple[str, int, Partition], int] = {}  # client, request -> offset
        self._looked: dict[tuple[str, Partition], object] = {}  # the segments of a compacted log as they were judged
        self._names: dict[tuple[str, int], Partition] = {}
        self._hw: dict[tuple[str, Partition], int] = {}  # the highest that a replica has known
        self._cleanings: dict[str, Cleaning | None] = {}
        self._moved: dict[Partition, int] = {}  # when a log's start moved last, in us

    def of(self, partition: Partition) -> Contents:
        found = self.contents.get(partition)
        if found is None:
            found = self.contents[partition] = Contents()
        return found

    def contents_of(self, topic: str, index: int) -> Contents:
        """The same, by the topic's name."""
        return self.of(self._names[topic, index])

    # --- Contents ---

    def handled(self, world: World, host: Host) -> None:
        replicas = replicas_of(host)
        for copy in self.copies.changed:
            topic = getattr(replicas.get(copy.partition), "topic", "")
            if topic in WATCHED:
                self._names[topic, copy.partition.index] = copy.partition
                self._remember(copy, world)
        for partition, replica in replicas.items():
            if getattr(replica, "topic", "") in WATCHED and host.name not in self.oracle.lossy:
                self._judge(world, host, partition, replica)
        self._bound(host)

    def _remember(self, copy: Copy, world: World) -> None:
        contents, log = self.of(copy.partition), cast("Log", copy.log)
        for line in copy.added:
            if (line.base, line.epoch) in contents.batches or line.base < log.start:
                continue
            data = log.read(line.base, 1, limit=log.end)
            position, header = next(iter_headers(data))
            if (header.base_offset, header.crc) == (line.base, line.crc):
                batch = self._batches.decoded(bytes(data[position : position + header.size]))[1]
                contents.batches[line.base, line.epoch] = batch
        committed = self.copies.history(copy.partition).order
        while contents.seen < len(committed):
            line = committed[contents.seen]
            known = contents.batches.get((line.base, line.epoch))
            if known is None:
                break
            contents.seen += 1
            for record in known:
                contents.records[record.offset] = record
                if record.key is not None:
                    contents.offsets.setdefault(record.key, []).append(record.offset)
                contents.since[record.offset] = world.now

    # --- Cleaning ---

    def _bound(self, host: Host) -> None:
        broker = host.node.actors.get("broker") if host.node is not None else None
        cleaner = cast("CleanerView | None", getattr(broker, "cleaner", None))
        cleaning = None if cleaner is None else cleaner._cleaning
        if cleaning is self._cleanings.get(host.name):
            return
        self._cleanings[host.name] = cleaning
        if cleaning is not None and cleaner is not None and cleaner._replica is not None:
            self.premise("P25")
            hw = cleaner._replica.hw
            if cleaning.plan.limit > hw:
                what = f"{host.name} cleans {cleaning.log.directory} up to {cleaning.plan.limit}"
                self.violated("P25", f"{what}, beyond its high watermark {hw}")

    def _judge(self, world: World, host: Host, partition: Partition, replica: ReplicaView) -> None:
        log = cast("Log", replica.log)
        if not log.compacted or not log.segments:
            return
        place = (host.name, partition)
        hw = self._hw[place] = max(replica.hw, self._hw.get(place, 0))  # what a restarted broker has forgotten
        fingerprint = (log, log.start, tuple(map(_BASE_AND_SIZE, log.segments[:-1])))
        if self._looked.get(place) == fingerprint:
            return
        self._looked[place] = fingerprint
        contents = self.of(partition)
        end = min(log.segments[-1].base, hw)
        if contents.seen == 0 or not self.copies.seen(partition):
            return
        try:
            present, states = self._read(log)
        except CorruptLog as damage:
            self.violated("P25", f"{host.name} cannot read {log.directory}: {damage}")
        self.premise("P25 log")
        known = max(contents.records, default=-1) + 1
        for offset in range(log.start, min(end, known)):
            record, found = contents.records.get(offset), present.get(offset)
            if record is None or found is record:
                continue
            if found is not None:
                if found != record:
                    self.violated("P25", f"{_at(host, log)} has {found} where {record} was committed")
                continue
            self._missing(world, host, log, contents, record)
        self._ends(host, log, contents, present, min(end, known))
        if log.start == 0:
            self.premise("P24")
            if states != log.producers:
                self.violated("P24", f"{_at(host, log)} has {log.producers.states}, its log says {states.states}")

    def _missing(self, world: World, host: Host, log: Log, contents: Contents, record: Record) -> None:
        if contents.next(record) is not None:
            return
        if record.value is not None:
            self.violated("P25", f"{_at(host, log)} lacks {record}, the last that was committed of its key")
        self.premise("P25 tombstone")
        if record.offset >= log.purged:
            self.violated("P25", f"{_at(host, log)} lacks the tombstone {record}, but says {log.purged}")
        retention = self.run.workloads["table"].settings["delete_retention_ms"] if "table" in self.run.workloads else 0
        assert isinstance(retention, int)
        if "wall_jump" not in self.run.swarm.weights and world.now - contents.since[record.offset] < retention * 990:
            self.violated("P25", f"{_at(host, log)} removed {record} before its {retention} ms were over")

    def _ends(self, host: Host, log: Log, contents: Contents, present: dict[int, Record], end: int) -> None:
        """A reader of the log ends with the right record of each key."""
        last: dict[bytes, Record] = {}
        for offset, record in sorted(present.items()):
            if offset < end and record.key is not None:
                last[record.key] = record
        for key in contents.offsets:
            expected, found = contents.last(key, end), last.get(key)
            self.premise("KEYS")
            if expected is None or expected.offset < log.start or contents.next(expected) is not None:
                continue  # what it copies is compacted already, and it has not come so far yet
            if found != expected and not (found is None and expected.value is None):
                self.violated("KEYS", f"{_at(host, log)} ends with {found} below {end}, the last one was {expected}")

    def _read(self, log: Log) -> tuple[dict[int, Record], ProducerStates]:
        """Everything that is in a log."""
        found: dict[int, Record] = {}
        states = ProducerStates()
        offset = log.start
        while offset < log.end:
            data = bytes(log.read(offset, 1 << 20, limit=log.end))
            assert data, f"{log.directory} gives nothing at {offset}, and ends at {log.end}"
            for header, records in self._batches.whole(data):
                states.apply(header)
                for record in records:
                    found[record.offset] = record
                offset = header.next_offset
        return found, states

    # --- What clients are told ---

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        body = envelope.body
        if type(body) is DeleteRecords:
            for wanted in body.partitions:
                self._requests[f"{envelope.incarnation}", body.id, wanted.partition] = wanted.offset
                self.asked[wanted.partition] = max(self.asked.get(wanted.partition, 0), wanted.offset)

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        body = envelope.body
        if type(body) is Consumed:
            for part in body.partitions:
                contents = self.contents.get(part.partition)
                if contents is not None and part.records is not None and part.error is ErrorCode.NONE:
                    self._served(source, part.partition, contents, bytes(part.records.data))
        elif type(body) is RecordsDeleted:
            for deleted in body.partitions:
                offset = self._requests.get((f"{envelope.to_incarnation}", body.id, deleted.partition))
                if deleted.error is ErrorCode.NONE and offset is not None:
                    self._deleted(world, source, deleted.partition, offset)

    def _served(self, source: str, partition: Partition, contents: Contents, data: bytes) -> None:
        if not self.copies.seen(partition):
            return
        for _, records in self._batches.whole(data):
            for record in records:
                self.premise("P21")
                if contents.records.get(record.offset, record) != record:
                    what = f"{source} served {record} of {partition.index}"
                    self.violated("P21", f"{what}, {contents.records[record.offset]} was committed")

    def _deleted(self, world: World, source: str, partition: Partition, offset: int) -> None:
        replica = replicas_of(world.hosts[source]).get(partition)
        leading = None if replica is None else leading_of(replica)
        if replica is None or leading is None:
            return
        self.premise("DELETED")
        directory = cast("Log", replica.log).directory
        for number in leading.isr:
            broker = self.run.metadata.brokers.get(number)
            if broker is None or broker.endpoint in self.oracle.lossy:
                continue
            disk = world.hosts[broker.endpoint].disk
            assert isinstance(disk, MemoryDisk)
            start = read_start(DurableReader(disk), directory)
            if start is not None and start < offset:
                what = f"{source} says that {directory} is deleted up to {offset}"
                self.violated("DELETED", f"{what}, but on the disk of {broker.endpoint} it begins at {start}")

    # --- Expiry ---

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        if not isinstance(event, LogStartMoved):
            return
        image = next(image for name, image in images_of(host) if name == "broker")
        assert isinstance(image, MetadataImage)
        topic, _, index = event.partition.rpartition("-")
        partition = Partition(image.topic_ids[topic], int(index))
        replica = replicas_of(host).get(partition)
        if replica is None or topic not in WATCHED:
            return
        self.premise("EXPIRY")
        self._moved[partition] = world.now
        log, what = cast("Log", replica.log), f"{host.name} lets {event.partition} begin at {event.start}"
        if event.cause.startswith("a client"):
            if event.start > self.asked.get(partition, 0):
                self.violated("EXPIRY", f"{what}, nobody asked for more than {self.asked.get(partition, 0)}")
            return
        configs, contents = image.configs(partition.topic), self.of(partition)
        wall = EPOCH_WALL_MS + world.now // 1000 + host.clock.wall_offset_ms
        left = sum(segment.size for segment in log.segments)
        for segment in log.segments:
            left -= segment.size
            if segment.end > event.start or 0 <= configs.retention_bytes <= left:
                continue
            for offset in range(max(segment.base, event.before), segment.end):
                record = contents.records.get(offset)
                age = -1 if record is None else wall - record.timestamp
                if "wall_jump" in self.run.swarm.weights and configs.retention_ms >= 0:
                    continue  # what a clock says later is nothing against what it said when it was asked
                if age >= 0 and (configs.retention_ms < 0 or age <= configs.retention_ms):
                    self.violated("EXPIRY", f"{what}, and loses {record}, {age} ms old; {left} bytes follow")

    def at_rest(self, world: World) -> None:
        for partition, contents in sorted(self.contents.items()):
            state = self.run.metadata.partitions.get(partition)
            if state is None:
                continue
            starts = {}
            for number in state.replicas:
                copy = self.copies.member(number, partition)
                gone = copy is None or world.hosts[copy.host].node is None  # one that died for good
                if copy is None or gone or copy.log is None or copy.host in self.oracle.lossy:
                    continue
                starts[copy.host] = copy.log.start
                log = cast("Log", copy.log)
                known = max(contents.records, default=-1) + 1
                self._ends(world.hosts[copy.host], log, contents, self._read(log)[0], min(log.end, known))
            if world.now - self._moved.get(partition, -FOLLOWED_US) < FOLLOWED_US:
                continue  # time goes on, and records go on expiring
            self.premise("START")
            leader = self.run.metadata.brokers[state.leader].endpoint
            if any(start < starts.get(leader, 0) for start in starts.values()):
                self.violated("START", f"partition {partition.index} begins at {starts}, {leader} leads")


def _at(host: Host, log: Log) -> str:
    return f"{host.name} ({log.directory})"
