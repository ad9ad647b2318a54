"""Work that is too long for a handler.

A handler never takes more than 20 ms, because heartbeats wait behind it. A recovery scan, a compaction pass or a
scrub takes seconds. Such work is a *job*: the actor submits it, goes on, and hears of its result in `on_job`.

What makes that safe is what a job may not do. It is a frozen struct, so what it was told cannot change under it. It
reads files only, and only immutable ones: sealed segments, or the part of an open one that lay below its end when the
job was made. It writes nothing; what should be written it returns, and the actor writes it if it is still wanted. It
has no clock and no randomness, hence the same job over the same files has the same result, in a thread, in another
process, or at once inside the simulator.

The actor may have changed its mind meanwhile: a partition was deleted, a log truncated below where the job read. So
a result names what it was computed from, whoever receives it checks that this still holds, and a job that finds a
file gone (`StorageError`) has simply failed. A job is never resumed: after a crash the actor submits it again.
"""

from __future__ import annotations

from typing import Protocol

from .disk import Reader


class Job(Protocol):
    """A named pure function over immutable files; implementations are frozen structs."""

    @property
    def name(self) -> str:
        """What it is, for events and the dashboard: "recover orders-0"."""
        ...

    def run(self, reader: Reader) -> object:
        """Compute the result, in any thread. StorageError makes the job fail, any other exception is a bug."""
        ...
