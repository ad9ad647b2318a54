"""Proposals of in-sync replicas on their way to the controller (KIP-497, D11).

Whatever is proposed while a request is out waits for the next one. A request that is not answered is sent again as it
was, minus what committed metadata has settled meanwhile; "already so" counts as success at the controller.
"""

from __future__ import annotations

from .bugs import bug
from .kernel import Context, Timer, address
from .messages import AlterPartition, IsrChange, Partition

AT_ONCE = 500
"""Proposals of one request: the controller decides and commits them together, about 30 us each."""


class ProposalTimer(Timer, frozen=True):
    """No verdict yet: ask again, maybe another controller."""


class IsrProposals:
    """One request out at a time, for all partitions."""

    def __init__(self, broker: int, controllers: dict[int, str], retry_ms: int = 300) -> None:
        self.broker = broker
        self.controllers = controllers
        self.retry_ms = retry_ms
        self.waiting: dict[Partition, IsrChange] = {}
        self._out: int | None = None  # id of the request that is out
        self._sent: dict[Partition, IsrChange] = {}  # what it proposes
        self._next = 0
        self._turn = 0

    def propose(self, change: IsrChange) -> None:
        """Put a change on its way; `poll` sends it."""
        self.waiting[change.partition] = change

    def settle(self, partition: Partition) -> None:
        """Committed metadata or a lost leadership has decided this partition."""
        self.waiting.pop(partition, None)

    def poll(self, active: int, broker_epoch: int, ctx: Context) -> None:
        """Send what waits unless a request is out."""
        if self._out is None and self.waiting:
            self._send(active, broker_epoch, ctx)

    def on_timer(self, active: int, broker_epoch: int, ctx: Context) -> None:
        """Send again."""
        if bug("proposal-sent-once"):
            return
        self._out = None
        if self.waiting:
            self._send(active, broker_epoch, ctx)

    def answered(self, request: int, ctx: Context) -> dict[Partition, IsrChange]:
        """What the request that is out proposed; nothing for any other. A newer proposal goes on waiting."""
        if request != self._out:
            return {}
        self._out = None
        ctx.cancel_timer(ProposalTimer())
        return self._sent

    def decided(self, change: IsrChange) -> None:
        """There is a verdict on this very proposal."""
        if self.waiting.get(change.partition) is change:
            del self.waiting[change.partition]

    def _send(self, active: int, broker_epoch: int, ctx: Context) -> None:
        order = sorted(self.controllers)
        if active not in self.controllers:
            active = order[self._turn % len(order)]
            self._turn += 1
        self._next += 1
        self._out = self._next
        self._sent = {partition: self.waiting[partition] for partition in sorted(self.waiting)[:AT_ONCE]}
        message = AlterPartition(self._out, self.broker, broker_epoch, list(self._sent.values()))
        ctx.send(address(self.controllers[active], "controller"), message)
        ctx.set_timer(ProposalTimer(), self.retry_ms)
