"""The servers of a simulated cluster: hosts with disks, and what runs on them."""

from __future__ import annotations

from ..actors.broker import Broker, BrokerConfig
from ..actors.controller import Controller, ControllerConfig
from ..actors.group_settings import GroupSettings
from ..actors.groups import Groups
from ..actors.kernel import Actor
from ..actors.messages import TOPIC_METADATA
from ..actors.raft import Raft, RaftConfig, Voter
from ..cluster.world import Boot, World
from ..storage.memory import MemoryDisk
from ..storage.settings import LogSettings
from .swarm import Shape

CLUSTER = "simulated"
SNAPSHOT_RECORDS = 60
"""Of metadata, between two snapshots: so few that logs are trimmed, and snapshots loaded, in most runs."""


class Machines:
    """Nodes `b1`, `b2` ... that are brokers, and controllers too if the shape is combined (else those are `k1` ...)."""

    def __init__(self, world: World, shape: Shape) -> None:
        self.world = world
        self.shape = shape
        self.group_settings = GroupSettings()
        self.brokers = [f"b{number}" for number in range(1, shape.brokers + 1)]
        letter = "b" if shape.combined else "k"
        self.controllers = {number: f"{letter}{number}" for number in range(1, shape.controllers + 1)}
        self.names = sorted({*self.brokers, *self.controllers.values()})
        self.boots = dict.fromkeys(self.names, 1)  # how often each machine has had power
        self.formats = dict.fromkeys(self.names, 1)  # how often its data directory was made
        for name in self.names:

            def factory(boot: Boot) -> dict[str, Actor]:
                return self.actors(boot)

            world.add(name, factory, MemoryDisk(world.random(f"disk/{name}")), [TOPIC_METADATA], "broker")

    def start(self) -> None:
        """All of them."""
        for name in self.names:
            self.world.start(name)

    def reboot(self, name: str) -> None:
        """The machine has lost power: its next boot is another one."""
        self.boots[name] += 1

    def reformat(self, name: str) -> None:
        """Its data directory is another one now. The voters of the configuration stay those of the first."""
        self.formats[name] += 1

    def _directory(self, name: str, number: int = 1) -> str:
        return f"directory-{name}" if number == 1 else f"directory-{name}/{number}"

    def actors(self, boot: Boot) -> dict[str, Actor]:
        """What runs in the process of a node."""
        actors: dict[str, Actor] = {}
        number = int(boot.name[1:])
        directory = self._directory(boot.name, self.formats[boot.name])
        if self.controllers.get(number) == boot.name:
            voters = {voter: Voter(name, self._directory(name)) for voter, name in self.controllers.items()}
            settings = LogSettings(segment_bytes=self.shape.segment_bytes)
            raft = Raft(RaftConfig(number, CLUSTER, directory, voters, settings=settings))
            broadcasts = dict(self.controllers)
            config = ControllerConfig(
                number,
                CLUSTER,
                self.controllers,
                broadcasts,
                snapshot_records=SNAPSHOT_RECORDS,
                default_replication=self.shape.replication,
                default_configs={"min.insync.replicas": str(self.shape.min_insync)},
            )
            actors["controller"] = Controller(config, raft)
        if boot.name in self.brokers:
            actors["broker"] = Broker(
                BrokerConfig(
                    number,
                    CLUSTER,
                    directory,
                    self.controllers,
                    broadcasts=tuple(self.controllers.values()),
                    boot_id=f"{boot.name}/{self.boots[boot.name]}",
                    roles_at_once=1 + number % 3,  # so few that most decisions are taken on in slices
                    coordinators=("groups",),
                )
            )
            actors["groups"] = Groups(self.group_settings)
        return actors
