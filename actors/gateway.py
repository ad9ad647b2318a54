"""The admin of one node's own: what comes through the Kafka door is asked of the controllers here.

Kafka's clients send admin requests to any broker, so each broker forwards them (KIP-590). That is what `AdminActor`
does for a client: find the active controller, repeat without doing twice, wait until a topic has leaders. The gateway
is one that asks its own broker for the digest, so that whoever is told "created" finds the topic at this broker, and
that sleeps until it is first needed.
"""

from __future__ import annotations

from .admin import AdminActor, AdminOutlet
from .client_commands import Command
from .kernel import Address, Context, Message, address
from .leadership import Leaderships


class _OwnBroker(Leaderships):
    """The digest as the broker of this node has it."""

    def any_broker(self) -> Address:
        return address(self.bootstrap[0], "broker")


class Gateway(AdminActor):
    """See the module's essay. `endpoint` is the node's own."""

    def __init__(self, endpoint: str, outlet: AdminOutlet) -> None:
        super().__init__([endpoint], outlet)
        self.leaderships = _OwnBroker([endpoint])
        self._awake = False

    def on_start(self, ctx: Context) -> None:
        """Nothing: see `on_message`."""

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        if not self._awake and isinstance(message, Command):
            self._awake = True
            super().on_start(ctx)
        if self._awake:
            super().on_message(sender, message, ctx)
