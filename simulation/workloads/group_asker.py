"""Somebody outside of all groups who asks their coordinators."""

from __future__ import annotations

from collections.abc import Sequence

from ...actors.client_commands import AskCoordinator
from ...actors.group_asking import GroupAsking, GroupOutlet
from ...actors.group_messages import GroupReply
from ...actors.kernel import Actor, Address, Context, Message, Timer
from ...actors.leadership import Leaderships
from ...actors.messages import CoordinatorsFound, Leadership, LeadershipUpdate, PeerGone


class GroupAsker(Actor):
    """Passes questions on, and what became of them to its outlet."""

    def __init__(self, bootstrap: Sequence[str], outlet: GroupOutlet) -> None:
        self.leaderships = Leaderships(bootstrap)
        self.asking = GroupAsking(self.leaderships, outlet)

    def on_start(self, ctx: Context) -> None:
        self.asking.start(ctx)
        self.leaderships.start(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case AskCoordinator():
                self.asking.ask(message, ctx)
            case GroupReply():
                self.asking.on_reply(message, ctx)
            case CoordinatorsFound():
                self.asking.on_found(message, ctx)
            case Leadership() | LeadershipUpdate():
                self.asking.moved(self.leaderships.on_message(message, ctx), ctx)
            case PeerGone(node=node):
                self.leaderships.refresh(ctx)
                self.asking.gone(node, ctx)
            case _:
                pass

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if not self.leaderships.on_timer(timer, ctx):
            self.asking.on_timer(timer, ctx)
