"""Producer ids at a broker: given out one by one from a block that the controller reserved."""

from __future__ import annotations

from collections import deque

from .errors import ErrorCode
from .kernel import Address, Context, Timer, address
from .messages import GiveProducerId, ProducerIdGiven, ProducerIdsReserved, ReserveProducerIds

MAX_WAITING = 1000
"""Producers that wait for a block; one more is told LEADER_NOT_AVAILABLE and asks again."""

RETRY_MS = 100


class ProducerIdTimer(Timer, frozen=True):
    """No block yet: ask again."""


class ProducerIdPool:
    """The ids of one block, and who waits for the next."""

    def __init__(self, broker: int, controllers: dict[int, str]) -> None:
        self._broker = broker
        self._controllers = controllers
        self._next = 0
        self._end = 0
        self._waiting: deque[tuple[Address, int]] = deque()
        self._request = 0
        self._asking = False
        self._turn = 0

    def give(self, sender: Address, request: GiveProducerId, active: int, broker_epoch: int, ctx: Context) -> None:
        """Answer with the next id, now or when a block has come."""
        if self._next < self._end:
            self._answer(sender, request.id, ctx)
        elif len(self._waiting) >= MAX_WAITING or broker_epoch < 0:
            ctx.send(sender, ProducerIdGiven(request.id, ErrorCode.LEADER_NOT_AVAILABLE))
        else:
            self._waiting.append((sender, request.id))
            if not self._asking:
                self._ask(active, broker_epoch, ctx)

    def reserved(self, answer: ProducerIdsReserved, ctx: Context) -> None:
        """A block (a late one is as good: none is given twice), or a refusal after which the timer asks again."""
        if not self._asking or answer.error is not ErrorCode.NONE:
            return
        self._asking = False
        ctx.cancel_timer(ProducerIdTimer())
        self._next, self._end = answer.first, answer.first + answer.count
        while self._waiting and self._next < self._end:
            self._answer(*self._waiting.popleft(), ctx)

    def on_timer(self, active: int, broker_epoch: int, ctx: Context) -> None:
        """Ask again if somebody still waits."""
        self._asking = False
        if self._waiting:
            self._ask(active, broker_epoch, ctx)

    def _ask(self, active: int, broker_epoch: int, ctx: Context) -> None:
        order = sorted(self._controllers)
        if active not in self._controllers:
            active = order[self._turn % len(order)]
            self._turn += 1
        self._asking = True
        self._request += 1
        message = ReserveProducerIds(self._request, self._broker, broker_epoch)
        ctx.send(address(self._controllers[active], "controller"), message)
        ctx.set_timer(ProducerIdTimer(), RETRY_MS)

    def _answer(self, sender: Address, request: int, ctx: Context) -> None:
        ctx.send(sender, ProducerIdGiven(request, ErrorCode.NONE, self._next))
        self._next += 1
