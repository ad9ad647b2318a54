"""A broker's membership in the cluster: registration, heartbeats, and the lease to serve.

    recovering --logs read--> registering --broker epoch--> catching up --metadata past it--> running --> stopping

Heartbeats go to all controllers, so that a new controller inherits the sessions; only the active one's answer renews
the lease. The lease ends 300 ms before the controller's session does, counted from when the answered heartbeat was
*sent*: a broker that was paused, or cut off, stops serving before another is elected (D4). Safety never depends on it;
it ends stale reads and shortens the window of acks=1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Literal

from ..storage.disk import Generation
from .errors import ErrorCode
from .kernel import Context, Millis, Timer, address
from .messages import BrokerHeartbeat, HeartbeatReply, RecoveredReplica, Register, Registered

State = Literal["recovering", "registering", "running", "stopping"]


class RegisterTimer(Timer, frozen=True):
    """Register with the next controller."""


class HeartbeatTimer(Timer, frozen=True):
    """Time for a heartbeat."""


class Membership:
    """What this broker is to the controller."""

    def __init__(
        self,
        broker: int,
        cluster_id: str,
        directory_id: str,
        rack: str,
        controllers: dict[int, str],
        heartbeat_ms: int,
        lease_ms: int,
        listeners: Mapping[str, str] | None = None,
    ) -> None:
        self.listeners = dict(listeners or {})  # where else this broker is spoken to, as advertised
        self.broker = broker
        self.cluster_id = cluster_id
        self.directory_id = directory_id
        self.rack = rack
        self.controllers = controllers
        self.heartbeat_ms = heartbeat_ms
        self.lease_ms = lease_ms
        self.state: State = "recovering"
        self.broker_epoch = -1
        self.active = -1  # the active controller as far as known
        self.refused = ""  # why the registration was refused last
        self.may_stop = False
        self.fenced = True
        self.lease_until = Millis(-1)
        self._register: Register | None = None
        self._after: Generation | None = None  # when what it says of this life is durable
        self._request = 0
        self._turn = 0
        self._asked = -1  # the controller that was asked last
        self._sequence = 0
        self._answered = 0  # the last heartbeat that was answered by an active controller
        self._sent: OrderedDict[int, Millis] = OrderedDict()

    def holds_lease(self, now: Millis) -> bool:
        """Whether this broker may serve as a leader now."""
        return now < self.lease_until

    # --- Registration ---

    def register(
        self,
        recovered: list[RecoveredReplica],
        nameless: bool,
        same_boot: bool,
        clean_epoch: int,
        ctx: Context,
        life: int = 0,
        after: Generation | None = None,
    ) -> None:
        """The logs are read: ask for a place. With `nameless` logs the directory passes for a new one.

        `life` is durable at `after`: it is not said before.
        """
        self._after = after
        self.state = "registering"
        endpoint = ctx.me.rpartition("/")[0]
        self._register = Register(
            0,
            self.cluster_id,
            self.broker,
            ctx.incarnation,
            f"{self.directory_id}?" if nameless else self.directory_id,
            endpoint,
            self.rack,
            recovered,
            same_boot,
            clean_epoch,
            life,
            self.listeners,
        )
        self._ask(ctx)

    def _ask(self, ctx: Context) -> None:
        assert self._register is not None
        order = sorted(self.controllers)
        target = self.active if self.active in self.controllers else order[self._turn % len(order)]
        self._turn += 1
        self._asked = target
        self.active = -1
        ctx.send(address(self.controllers[target], "controller"), self._register, after=self._after)
        ctx.set_timer(RegisterTimer(), 100 + ctx.random.randint(0, 50))

    def on_registered(self, answer: Registered, ctx: Context) -> bool:
        """Returns whether this broker has just become a member."""
        if self.state != "registering":
            return False
        if answer.error is ErrorCode.NONE:
            self.broker_epoch = answer.broker_epoch
            self.state = "running"
            self.refused = ""
            ctx.cancel_timer(RegisterTimer())
            self.heartbeat(0, ctx)
            return True
        self.refused = answer.reason
        asked, self._asked = self._asked, -1
        known = answer.leader in self.controllers and answer.leader != asked
        if answer.error is ErrorCode.NOT_CONTROLLER and known:
            self.active = answer.leader
            self._ask(ctx)
        return False

    def on_register_timer(self, ctx: Context) -> None:
        """No answer, or not the right controller: ask the next."""
        self._asked = -1
        if self.state == "registering":
            self._ask(ctx)

    def hear_of(self, active: int, ctx: Context) -> None:
        """The broadcast names the active controller: register there at once."""
        if self.state == "registering" and active in self.controllers and active != self._asked:
            self.active = active
            self._ask(ctx)

    # --- Heartbeats ---

    def heartbeat(self, metadata_end: int, ctx: Context) -> None:
        """Tell all controllers that this broker lives."""
        if self.state not in ("running", "stopping"):
            return
        self._sequence += 1
        self._sent[self._sequence] = ctx.now
        while len(self._sent) > 64:
            self._sent.popitem(last=False)
        beat = BrokerHeartbeat(
            self._sequence,
            self.broker,
            self.broker_epoch,
            ctx.incarnation,
            metadata_end,
            self.state == "stopping",
            self._answered,
        )
        for _, endpoint in sorted(self.controllers.items()):
            ctx.send(address(endpoint, "controller"), beat)
        ctx.set_timer(HeartbeatTimer(), self.heartbeat_ms)

    def on_reply(self, reply: HeartbeatReply, ctx: Context, newest_epoch: int = -1) -> None:
        """Only the active controller renews the lease, from when the heartbeat was sent.

        One that does not know yet that it was replaced says an epoch below the newest that was heard of.
        """
        sent = self._sent.get(reply.sequence)
        if sent is None or reply.error is not ErrorCode.NONE or 0 <= reply.controller_epoch < newest_epoch:
            return
        self._answered = max(self._answered, reply.sequence)
        self.active = reply.leader
        self.fenced = reply.fenced
        if not reply.fenced:
            self.lease_until = max(self.lease_until, Millis(sent + self.lease_ms))
        self.may_stop = reply.may_stop

    def stop(self) -> None:
        """Controlled shutdown: ask to be relieved of all leaderships."""
        if self.state == "running":
            self.state = "stopping"
