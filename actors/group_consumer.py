"""The consumer that reads what its group assigns: a `ConsumerActor`, and a member beside it.

The consumer knows nothing of groups; it is told which partitions to read, as an application would tell it.
`GroupReading` has the conversation with the coordinator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .client_commands import Close, CommitPositions, LookUpCommitted, Polled, Release, Start, Subscribe
from .consumer import ConsumerActor, _Reader
from .consumer_outlet import ConsumerOutlet, ConsumerSettings
from .group_messages import GroupReply, Plan, PlanTask
from .group_reading import GroupReading, GroupReadingOutlet, GroupSettings
from .kernel import Address, Context, Message, Timer, node_of
from .messages import CoordinatorsFound, Partition, PeerBack, PeerGone, Reborn


class GroupConsumerOutlet(ConsumerOutlet, GroupReadingOutlet, Protocol):
    """Records, and what becomes of the group."""


class GroupConsumerActor(ConsumerActor):
    """One consumer in one group. `Subscribe` says what it wants; the group says what it gets."""

    def __init__(
        self,
        bootstrap: Sequence[str],
        outlet: GroupConsumerOutlet,
        settings: ConsumerSettings,
        group: GroupSettings,
        planner: Callable[[PlanTask], Plan] | None = None,
    ) -> None:
        super().__init__(bootstrap, outlet, settings)
        self.reading = GroupReading(group, self.leaderships, outlet, self.assign, planner)
        self._close: Close | None = None  # once the application has closed it

    def on_start(self, ctx: Context) -> None:
        super().on_start(ctx)
        self.reading.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if self._closed:
            return
        reading = self.reading
        match message:
            case GroupReply():
                reading.on_message(message, ctx)
            case Subscribe():
                reading.subscribe(message, ctx)
                for topic in message.topics:
                    self._want(topic, ctx)  # one that is missing is told of, and read once it is there
            case Polled():
                reading.polled(ctx)
            case Release():
                reading.release(message, ctx)
            case CommitPositions():
                reading.commit(message, ctx)
            case LookUpCommitted():
                reading.look_up(message, ctx)
            case CoordinatorsFound():
                reading.found(message, ctx)
            case Close():
                self._close = message
                reading.leave(message.timeout_ms, ctx)
            case PeerGone(node=node) | PeerBack(node=node):
                reading.gone(node, ctx)
                super().on_message(sender, message, ctx)
            case Reborn():
                reading.gone(node_of(sender), ctx)
                super().on_message(sender, message, ctx)
            case _:
                super().on_message(sender, message, ctx)
        self._settle(sender, ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if self._closed:
            return
        if not self.reading.on_timer(timer, ctx):
            super().on_timer(timer, ctx)
        self._settle(ctx.me, ctx)

    def _seek(self, topic: str, index: int, start: Start, generation: int, ctx: Context) -> None:
        self.reading.sought(topic, index, start, generation)
        super()._seek(topic, index, start, generation, ctx)

    def _moved(self, partitions: list[Partition], ctx: Context) -> None:
        super()._moved(partitions, ctx)
        self.reading.moved(partitions, ctx)

    def _beyond(self, reader: _Reader, partitions: int, ctx: Context) -> None:
        """Whoever assigned it knows that it was added: ask until we do too."""
        self.leaderships.refresh(ctx)

    def _settle(self, sender: Address, ctx: Context) -> None:
        self.reading.settle(ctx)
        if self._close is not None and self.reading.over:
            super().on_message(sender, self._close, ctx)
        else:
            self._pump(ctx)
