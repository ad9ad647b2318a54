"""What clients are told: P8, P11, P20, P21, P22.

P8 an acknowledged write (acks=all) lies below the high watermark, enough replicas are in sync, and with durability
"fsync" it is durable at every one of them. P11 offsets called the end never go back from one leader epoch to the next.
P20 only committed records are served, P21 and always the same ones. P22 a producer's committed batches have
consecutive sequence numbers, none twice.

`acked` is what the cluster has promised: the checker of histories and the last look at the logs hold it to that.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import msgspec

from ...actors.errors import ErrorCode
from ...actors.messages import (
    LATEST,
    Consumed,
    ConsumedPartition,
    Envelope,
    FindOffsets,
    OffsetsFound,
    Partition,
    Produce,
    Produced,
    ProducedBatch,
)
from ...cluster.world import Host, World
from ...storage.records import iter_headers, parse_header
from ..oracle import Checker
from ..views import LeadingView, leading_of, replicas_of
from .copies import CopiesChecker, Copy
from .metadata import MetadataChecker


class Acked(NamedTuple):
    """A batch whose producer was told that it will not be lost."""

    base: int
    end: int
    crc: int


class _Request(msgspec.Struct, frozen=True):
    acks: int
    batches: dict[Partition, tuple[int, int]]  # partition -> count and crc


class ClientsChecker(Checker):
    """Watches the conversations of producers and consumers with brokers."""

    looks_at = frozenset(("broker",))
    says = (Produced, Consumed, OffsetsFound)
    hears = (Produce, FindOffsets)

    def __init__(self, metadata: MetadataChecker, copies: CopiesChecker, *, fsync: bool = True) -> None:
        self.metadata = metadata
        self.copies = copies
        self.fsync = fsync
        self.acked: dict[Partition, dict[int, Acked]] = {}
        self.acknowledged = 0  # batches with acks=all
        self._requests: dict[tuple[str, int, str, int], _Request] = {}  # client, its life, broker, id
        self._latest: dict[tuple[str, int, str, int], tuple[Partition, ...]] = {}
        self._told: dict[Partition, list[tuple[int, int]]] = {}  # (leader epoch, highest end told in it), by epoch
        self._sequences: dict[tuple[Partition, tuple[int, int]], int] = {}  # producer -> the next sequence
        self._counted: dict[Partition, int] = {}  # committed batches whose sequences were looked at

    # --- Requests ---

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        body = envelope.body
        if type(body) is Produce:
            place = (envelope.sender, envelope.incarnation, target, body.id)
            if place not in self._requests:
                batches = {}
                for batch in body.batches:
                    header = parse_header(batch.batch.data)
                    batches[batch.partition] = (header.count, header.crc)
                self._requests[place] = _Request(body.acks, batches)
        elif type(body) is FindOffsets:
            place = (envelope.sender, envelope.incarnation, target, body.id)
            asked = Counter(query.partition for query in body.queries)
            self._latest[place] = tuple(
                query.partition
                for query in body.queries
                if query.timestamp == LATEST and asked[query.partition] == 1  # else nobody can tell the answers apart
            )

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        body = envelope.body
        if type(body) is Produced:
            request = self._requests.get(self._place(source, to, envelope, body.id))
            if request is not None and request.acks == -1:
                for done in body.batches:
                    if done.error is ErrorCode.NONE:
                        self._acknowledged(world, source, request, done)
        elif type(body) is Consumed:
            for part in body.partitions:
                if part.error is ErrorCode.NONE:
                    self._served(world.hosts[source], part)
        elif type(body) is OffsetsFound:
            asked = self._latest.get(self._place(source, to, envelope, body.id), ())
            for found in body.offsets:
                if found.error is ErrorCode.NONE and found.partition in asked:
                    self._end_told(world.hosts[source], found.partition, found.offset)

    @staticmethod
    def _place(source: str, to: str, envelope: Envelope, request: int) -> tuple[str, int, str, int]:
        client = f"{to.removeprefix('@').partition('#')[0]}/{envelope.to}"
        return client, envelope.to_incarnation, source, request

    # --- Judging answers ---

    def _acknowledged(self, world: World, source: str, request: _Request, done: ProducedBatch) -> None:
        if done.partition not in request.batches:
            return
        count, crc = request.batches[done.partition]
        end = done.base_offset + count
        host = world.hosts[source]
        copy = self.copies.copies.get((source, done.partition))
        replica = replicas_of(host).get(done.partition)
        leading = leading_of(replica) if replica is not None else None
        self.premise("P8")
        what = f"{source} acknowledged {done.base_offset}-{end} of {_name(done.partition)}"
        if copy is None or leading is None or replica is None:
            self.violated("P8", f"{what}, which it does not lead")
        if end > replica.hw:
            self.violated("P8", f"{what} above its high watermark {replica.hw}")
        if len(leading.isr) < leading.min_insync:
            self.violated("P8", f"{what} while only {leading.isr} are in sync")
        if not copy.blind:
            self._everywhere(copy, leading, Acked(done.base_offset, end, crc), what)
        acked = self.acked.setdefault(done.partition, {})
        if done.base_offset not in acked:
            self.acknowledged += 1
        acked[done.base_offset] = Acked(done.base_offset, end, crc)

    def _everywhere(self, copy: Copy, leading: LeadingView, acked: Acked, what: str) -> None:
        """It is in the leader's log as it was sent, and at everybody who is in sync.

        Each log begins by itself where retention of its leader put it, so what an earlier leader let expire a later one
        may have still, and acknowledge when its producer repeats it. Such a batch must be one that was committed: only
        those may be deleted (P9), and what follows them is linked to them (P2).
        """
        ends = self.copies.history(copy.partition).ends
        line = copy.mirror.line_at(acked.base)
        if acked.base < copy.mirror.begin:
            return  # it was deleted meanwhile
        if line is None or (line.base, line.end, line.crc) != acked:
            self.violated("P8", f"{what}, where its log has {line}")
        for member in leading.isr:
            other = self.copies.member(member, copy.partition)
            if other is None or other.host in self.oracle.lossy:
                continue
            has = other.durable if self.fsync else other.mirror.end
            expired = acked.base < other.mirror.begin and ends.get(line.end) == line.chain
            if has < acked.end or not (expired or other.mirror.chain_below(line.end) == line.chain):
                how = "durable" if self.fsync else "written"
                self.violated("P8", f"{what}, but {other.host} of {leading.isr} has only {has} {how}")

    def _served(self, host: Host, part: ConsumedPartition) -> None:
        replica = replicas_of(host).get(part.partition)
        if replica is None:
            return
        hw = replica.hw
        history = self.copies.history(part.partition)
        if part.records is not None and len(part.records):
            for position, header in iter_headers(part.records.data):
                del position
                self.premise("P20")
                where = f"{host.name} served {header.base_offset}-{header.next_offset} of {_name(part.partition)}"
                if header.next_offset > hw:
                    self.violated("P20", f"{where} above its high watermark {hw}")
                line = history.committed.get(header.base_offset)
                if line is None and not self.copies.seen(part.partition):
                    continue
                self.premise("P21")
                compacted = getattr(replica.log, "compacted", False)  # then `lives` looks at the records themselves
                told = (header.next_offset, line.crc if compacted and line is not None else header.crc)
                if line is None or (line.end, line.crc) != told:
                    self.violated("P21", f"{where}, where {line} is committed")
        if part.hw >= 0:
            if part.hw > hw:
                self.violated("P20", f"{host.name} told the high watermark {part.hw}, it is {hw}")
            self._end_told(host, part.partition, part.hw)

    def _end_told(self, host: Host, partition: Partition, end: int) -> None:
        replica = replicas_of(host).get(partition)
        leading = leading_of(replica) if replica is not None else None
        if leading is None:
            return
        self.premise("P11")
        told = self._told.setdefault(partition, [])
        highest = max((value for epoch, value in told if epoch <= leading.epoch), default=-1)
        if end < highest:
            what = f"{host.name} told the end {end} of {_name(partition)} in epoch {leading.epoch}"
            self.violated("P11", f"{what}, {highest} was told before")
        if end > highest:
            told[:] = [(epoch, value) for epoch, value in told if epoch != leading.epoch]
            told.append((leading.epoch, end))

    # --- Sequences ---

    def handled(self, world: World, host: Host) -> None:
        for copy in self.copies.changed:
            if copy.leading is not None and copy.moved[1] > copy.moved[0]:
                self._sequence(copy)

    def _sequence(self, copy: Copy) -> None:
        committed = self.copies.history(copy.partition).order
        seen = self._counted.get(copy.partition, 0)
        self._counted[copy.partition] = len(committed)
        for line in committed[seen:]:
            if line.sequence < 0:
                continue
            self.premise("P22")
            place = (copy.partition, line.producer)
            expected = self._sequences.get(place, 0)
            if line.sequence != expected:
                self.violated(
                    "P22",
                    f"producer {line.producer} has sequence {line.sequence} committed at {line.base} of"
                    f" {_name(copy.partition)}, expected {expected}",
                )
            self._sequences[place] = (line.sequence + line.end - line.base) & 0x7FFFFFFF

    # --- The last look ---

    def at_rest(self, world: World) -> None:
        """P7: everything acknowledged is on every replica that is in sync."""
        for partition in sorted(self.acked):
            state = self.metadata.partitions.get(partition)
            if state is None:
                continue
            for member in state.isr:
                copy = self.copies.member(member, partition)
                if copy is not None and copy.blind:
                    continue  # damaged, and nobody has come upon it yet
                for acked in self.acked[partition].values():
                    if copy is not None and acked.base < copy.mirror.begin:
                        continue  # it was deleted, which `lives` judges
                    self.premise("P7")
                    line = copy.mirror.line_at(acked.base) if copy is not None else None
                    if line is None or (line.end, line.crc) != (acked.end, acked.crc):
                        self.violated("P7", f"{acked} of {_name(partition)} was acknowledged, {member} has {line}")


def _name(partition: Partition) -> str:
    return f"{partition.topic[:6]}-{partition.index}"
