"""The end of a broker in good order: hand over, write what makes the next start quick, stop (KIP-841, D3).

The broker asks the controller with each heartbeat for leave to stop, and serves on until it leads nothing. Then its
logs are closed, and the marker of a clean end is written last; the process ends when that is durable. A controller
that does not answer is not waited for longer than `patience_ms`: what follows is an ordinary unclean start.

A life that was never registered has opened no log, and vouches for nothing: a loss of power may lie between it and the
one that was. It leaves the checkpoints alone, and the marker as it was when it found it.
"""

from __future__ import annotations

from ..storage.checkpoint import CleanShutdown, write_clean_shutdown
from ..storage.disk import Generation
from .kernel import Context, Timer
from .membership import Membership
from .replicas import Replicas

COMPLETE = "controlled shutdown is complete"


class StopTimer(Timer, frozen=True):
    """Controlled shutdown takes too long."""


class Stopping:
    """One broker's controlled shutdown."""

    def __init__(self, membership: Membership, logs: Replicas, patience_ms: int) -> None:
        self.inherited = -1  # the broker epoch in the marker that this life has found; -1: there was none
        self._membership = membership
        self._logs = logs
        self._patience_ms = patience_ms
        self._written: Generation | None = None  # the last checkpoint

    @property
    def closed(self) -> bool:
        """The logs are closed: nothing is to be written any more."""
        return self._written is not None

    def begin(self, metadata_end: int, ctx: Context) -> None:
        """Ask for leave to stop."""
        if self._membership.state != "running":
            self.finish(ctx)
            return
        self._membership.stop()
        self._membership.heartbeat(metadata_end, ctx)
        ctx.set_timer(StopTimer(), self._patience_ms)

    def maybe_finish(self, ctx: Context) -> None:
        """The controller may have given leave."""
        if self._membership.state == "stopping" and self._membership.may_stop:
            self.finish(ctx)

    def finish(self, ctx: Context) -> None:
        """Close the logs, and write the marker."""
        if self.closed:
            return
        epoch = self._membership.broker_epoch
        if epoch >= 0:
            for partition in sorted(self._logs.open):
                self._logs.open[partition].log.close_clean()
            self._logs.checkpoint(ctx.disk)
        elif self.inherited >= 0:
            epoch = self.inherited
        else:
            self._written = ctx.disk.synced
            ctx.stop(COMPLETE)
            return
        self._written = write_clean_shutdown(ctx.disk, CleanShutdown(epoch))

    def synced(self, generation: Generation, ctx: Context) -> None:
        """All up to this is durable: perhaps that was the last of it."""
        if self._written is not None and generation >= self._written:
            ctx.stop(COMPLETE)
