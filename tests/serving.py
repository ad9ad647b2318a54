"""A leader's replica and whoever finds it: for tests of what producers and consumers ask."""

from __future__ import annotations

from logs import P0, flush, grow, new_log, state
from recording import Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Address, Context, Millis
from barnabas.actors.messages import Partition
from barnabas.actors.replica import Replica

ASKER = Address("@c/client")


class Serving:
    """One partition that leads in epoch 0 with its whole log committed. `refusal` stands for a broker's reasons."""

    def __init__(self, words: str = "", *, isr: tuple[int, ...] = (1,), min_insync: int = 1) -> None:
        self.ctx = Recording("b1/broker")
        log = new_log(self.ctx.disk)  # type: ignore[arg-type]
        self.replica = Replica(P0, "orders", log, 0, min_insync, 1 << 20)
        self.replica.lead(1, state(isr=isr), Millis(0))
        grow(log, words, 0)
        flush(log)
        self.replica.hw = log.end
        self.refusal: ErrorCode | None = None
        self.damaged: list[str] = []
        self.appended: list[Partition] = []

    def find(self, partition: Partition, epoch: int, ctx: Context) -> Replica | ErrorCode:
        if partition != P0:
            return ErrorCode.UNKNOWN_TOPIC_ID
        return self.replica if self.refusal is None else self.refusal

    def where(self, partition: Partition) -> tuple[int, int]:
        return 2, 7

    def on_damage(self, replica: Replica, why: str, ctx: Context) -> None:
        self.damaged.append(why)

    def on_repeated(self, replica: Replica, ctx: Context) -> None:
        """What a duplicate waits for may be committed already; a test says when."""

    def on_appended(self, replica: Replica, ctx: Context) -> None:
        self.appended.append(replica.partition)
