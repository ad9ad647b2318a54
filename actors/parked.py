"""Replies that wait.

A produce with acks=all waits for the high watermark. Each is parked under the end of its batch and a deadline, and
leaves exactly once. What leaves while the broker handles one message is told at its end (`speak`), with one `Produced`
per request: one `Synced` may commit a hundred partitions. (Consumers' reads that wait are in `reads.py`.)
"""

from __future__ import annotations

from collections import deque

import msgspec

from .errors import ErrorCode
from .kernel import Address, Context, Millis
from .messages import Partition, Produced, ProducedBatch


class _Ack(msgspec.Struct, frozen=True):
    end: int
    sender: Address
    request: int
    base_offset: int
    epoch: int
    deadline: Millis


class ParkedAcks:
    """Acknowledgements of acks=all, by partition, in the order of offsets."""

    def __init__(self) -> None:
        self._acks: dict[Partition, deque[_Ack]] = {}
        self._count = 0
        self._leaving: dict[tuple[Address, int], list[ProducedBatch]] = {}  # by sender and request

    def __len__(self) -> int:
        """How many wait."""
        return self._count

    def park(
        self, partition: Partition, end: int, epoch: int, sender: Address, request: int, base: int, deadline: Millis
    ) -> None:
        """Wait until the high watermark reaches `end`."""
        acks = self._acks.setdefault(partition, deque())
        self._count += 1
        ack = _Ack(end, sender, request, base, epoch, deadline)
        if acks and acks[-1].end > end:  # a duplicate of something that is already waiting
            place = next(i for i, other in enumerate(acks) if other.end > end)
            acks.insert(place, ack)
        else:
            acks.append(ack)

    def release(self, partition: Partition, hw: int, epoch: int, log_start: int) -> None:
        """Acknowledge what the high watermark has passed."""
        acks = self._acks.get(partition)
        while acks and acks[0].end <= hw:
            ack = acks.popleft()
            assert ack.epoch == epoch, f"an acknowledgement of epoch {ack.epoch} in epoch {epoch}"
            self._leave(ack, ProducedBatch(partition, ErrorCode.NONE, ack.base_offset, log_start))
        if acks is not None and not acks:
            del self._acks[partition]

    def refuse(self, partition: Partition, error: ErrorCode, leader: int = -1, epoch: int = -1) -> None:
        """Give up on all of a partition: they may or may not be committed later."""
        for ack in self._acks.pop(partition, ()):
            self._leave(ack, ProducedBatch(partition, error, leader=leader, leader_epoch=epoch))

    def expire(self, now: Millis) -> None:
        """Answer those whose deadline has passed with REQUEST_TIMED_OUT: the records stay (Kafka does the same)."""
        for partition in list(self._acks):
            kept: deque[_Ack] = deque()
            for ack in self._acks[partition]:
                if ack.deadline > now:
                    kept.append(ack)
                    continue
                self._leave(ack, ProducedBatch(partition, ErrorCode.REQUEST_TIMED_OUT))
            if kept:
                self._acks[partition] = kept
            else:
                del self._acks[partition]

    def speak(self, ctx: Context) -> None:
        """Send what has left since the last time."""
        if self._leaving:
            leaving, self._leaving = self._leaving, {}
            for (sender, request), batches in leaving.items():
                ctx.send(sender, Produced(request, batches))

    def _leave(self, ack: _Ack, batch: ProducedBatch) -> None:
        self._count -= 1
        self._leaving.setdefault((ack.sender, ack.request), []).append(batch)
