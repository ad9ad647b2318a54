"""One active controller, a quorum of one, and the brokers that talk to it: for tests of the controller's parts."""

from __future__ import annotations

from msgspec.structs import replace
from recording import OneVoter, Recording

from barnabas.actors.controller import Controller, ControllerConfig
from barnabas.actors.kernel import Address, Incarnation
from barnabas.actors.messages import (
    AdminDone,
    BrokerHeartbeat,
    CreateTopic,
    HeartbeatReply,
    Partition,
    Register,
    Registered,
)
from barnabas.actors.metadata import MetadataImage

ASKER = Address("@7/broker")


class Scene:
    """One active controller and the brokers that talk to it."""

    def __init__(self, *, manual: bool = False, snapshot_records: int = 20_000, lead: bool = True) -> None:
        self.ctx = Recording("c1/controller")
        self.raft = OneVoter(manual=manual)
        self.config = ControllerConfig(
            1,
            "cluster",
            {1: "c1"},
            {1: "tcp://c1:9"},
            default_partitions=3,
            default_replication=3,
            snapshot_records=snapshot_records,
        )
        self.controller = Controller(self.config, self.raft)
        self.controller.on_start(self.ctx)
        self.beats = 0
        if lead:
            self.raft.win(self.ctx)
            self.settle()

    @property
    def active(self) -> bool:
        return self.controller.active

    def fenced(self, broker: int) -> bool:
        return self.image.brokers[broker].fenced

    @property
    def image(self) -> MetadataImage:
        return self.controller.image

    def settle(self) -> None:
        """Commit until there is nothing to commit."""
        while True:
            end = self.raft.log_end
            self.raft.commit()
            self.controller.on_synced(self.ctx.disk.written, self.ctx)
            if self.raft.log_end == end:
                return

    def say(self, message: object) -> None:
        self.controller.on_message(ASKER, message, self.ctx)  # type: ignore[arg-type]

    def register(
        self, broker: int, life: int = 1, directory: str | None = None, *, count: int = 0, **more: object
    ) -> Registered:
        fields: dict[str, object] = {"recovered": [], "same_boot": True, "clean_epoch": -1, "life": count, **more}
        self.say(
            Register(
                *(1, "cluster", broker, Incarnation(broker * 100 + life), directory or f"d{broker}", f"b{broker}", ""),
                **fields,  # type: ignore[arg-type]
            )
        )
        return self.ctx.take(Registered)[-1]

    def beat(self, broker: int, *, stop: bool = False, offset: int | None = None, life: int = 1) -> HeartbeatReply:
        """A heartbeat and its answer."""
        self.beat_unanswered(broker, stop=stop, offset=offset, life=life)
        return self.ctx.take(HeartbeatReply)[-1]

    def beat_unanswered(self, broker: int, *, stop: bool = False, offset: int | None = None, life: int = 1) -> None:
        """A heartbeat; a standby hears it and says nothing."""
        self.beats += 1
        state = self.image.brokers[broker]
        end = self.image.end if offset is None else offset
        self.say(BrokerHeartbeat(self.beats, broker, state.epoch, Incarnation(broker * 100 + life), end, stop))

    def up(self, *brokers: int) -> Scene:
        for broker in brokers:
            self.register(broker)
            self.beat(broker)
        return self

    def create(self, name: str = "orders", request: int = 1, partitions: int = -1, replication: int = -1) -> AdminDone:
        self.say(CreateTopic(request, Incarnation(5), name, partitions, replication))
        return replace(self.ctx.take(AdminDone)[-1], offset=-1)

    def partition(self, index: int = 0, name: str = "orders") -> Partition:
        return Partition(self.image.topic_ids[name], index)

    def keep_alive(self, ms: int, *brokers: int) -> None:
        for _ in range(ms // 250):
            self.ctx.sleep(250, self.controller)
            for broker in brokers:
                self.beat(broker)
