"""What a broker tells of itself in numbers: `Measure`, for control rooms, traces and tests.

Nothing is counted for this but bytes and offsets given to consumers and bytes written, which are an addition a batch.
All else is looked at when somebody asks: each open replica's ends are compared with what they were at the last look,
and what differs gets the number of this look, its *moment*. An asker says which moment it has seen, so any number of
askers share one memory, an answer is as long as what has moved, and one that is lost costs nothing: the next question
names the same moment. Moments begin anew with each life, so a question names the life too.

A look costs about 0.5 us a replica, and only while somebody looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .kernel import Context
from .membership import Membership
from .messages import Measure, Measured, Partition, ReplicaMeasure
from .metadata import MetadataImage
from .replica import Replica

_Ends = tuple[bool, int, int, int, int, int, int]


class Measuring:
    """See the module's essay."""

    def __init__(self, broker: int, replicas: Mapping[Partition, Replica], membership: Membership) -> None:
        self._broker = broker
        self._replicas = replicas
        self._membership = membership
        self._moment = 0
        self._seen: dict[Partition, tuple[_Ends, int]] = {}  # how it was, and since which moment

    def answer(self, request: Measure, image: MetadataImage, ctx: Context) -> Measured:
        """What has moved since then."""
        if request.partitions is None:
            self._look()
            since = request.since if request.life == ctx.incarnation else 0
            told: Iterable[Partition] = [partition for partition, (_, at) in self._seen.items() if at > since]
        else:
            told = [partition for partition in request.partitions if partition in self._replicas]
        return Measured(
            id=request.id,
            broker=self._broker,
            life=ctx.incarnation,
            moment=self._moment,
            state=self._membership.state,
            fenced=self._membership.fenced,
            wall=ctx.wall,
            metadata_offset=image.end,
            controller=image.controller,
            controller_epoch=image.controller_epoch,
            open=len(self._replicas),
            disk_free=ctx.disk.free(),
            replicas=[_measure(self._replicas[partition]) for partition in told],
        )

    def _look(self) -> None:
        self._moment += 1
        seen = self._seen
        for partition, replica in self._replicas.items():
            ends = _ends(replica)
            known = seen.get(partition)
            if known is None or known[0] != ends:
                seen[partition] = (ends, self._moment)
        if len(seen) > len(self._replicas):
            self._seen = {partition: known for partition, known in seen.items() if partition in self._replicas}


def _ends(replica: Replica) -> _Ends:
    """All that may move."""
    log = replica.log
    return (
        replica.leading is not None,
        replica.leader_epoch,
        log.start,
        log.end,
        log.durable_end,
        replica.hw,
        replica.bytes_out,
    )


def _measure(replica: Replica) -> ReplicaMeasure:
    leading, epoch, start, end, durable, hw, _ = _ends(replica)
    log = replica.log
    return ReplicaMeasure(
        partition=replica.partition,
        leading=leading,
        leader_epoch=epoch,
        start=start,
        end=end,
        durable=durable,
        hw=hw,
        size=log.size_bytes,
        bytes_in=log.bytes_in,
        bytes_out=replica.bytes_out,
        records_out=replica.records_out,
    )
