"""What people and tools have changed: part of the catalogue of events."""

from __future__ import annotations

from .kernel import Event


class PartitionsAdded(Event, frozen=True):
    """A topic has more partitions."""

    topic: str
    partitions: int
    added: int

    def sentence(self) -> str:
        more = "one partition more" if self.added == 1 else f"{self.added} partitions more"
        return f"topic {self.topic!r} has {more}, now {self.partitions}"


class ConfigsAltered(Event, frozen=True):
    """Configs of a topic, of a broker or of all brokers were altered. None: taken back, the next source holds."""

    of: str
    changes: dict[str, str | None]

    def sentence(self) -> str:
        told = [
            f"{name} is {'what it was by default' if value is None else value}" for name, value in self.changes.items()
        ]
        return f"{self.of}: {', '.join(told) or 'nothing changes'}"


class PartitionMoving(Event, frozen=True):
    """A partition is on its way to other replicas."""

    partition: str
    replicas: list[int]
    target: list[int]

    def sentence(self) -> str:
        return f"{self.partition} moves from {self.replicas} to {self.target}"


class PartitionMoved(Event, frozen=True):
    """A partition has other replicas."""

    partition: str
    before: list[int]
    replicas: list[int]

    def sentence(self) -> str:
        return f"{self.partition} has moved from {self.before} to {self.replicas}"


class MoveCancelled(Event, frozen=True):
    """A partition stays where it was."""

    partition: str
    replicas: list[int]
    target: list[int]

    def sentence(self) -> str:
        return f"{self.partition} does not move to {self.target}: it stays at {self.replicas}"


class UncleanElection(Event, frozen=True):
    """A person has let a replica lead that may lack records."""

    partition: str
    leader: int
    leader_epoch: int

    def sentence(self) -> str:
        return (
            f"b{self.leader} leads {self.partition} in leader epoch {self.leader_epoch} by an unclean election: "
            "what it lacks is given up"
        )


class BrokerDrainingEvent(Event, frozen=True):
    """A broker is to go: what it has moves to others."""

    broker: int

    def sentence(self) -> str:
        return f"b{self.broker} is being decommissioned: what it has moves to others"


class BrokerStaysEvent(Event, frozen=True):
    """A broker that was to go stays."""

    broker: int

    def sentence(self) -> str:
        return f"b{self.broker} is not being decommissioned any more"


class BrokerRemovedEvent(Event, frozen=True):
    """A broker that kept nothing any more is no part of the cluster."""

    broker: int

    def sentence(self) -> str:
        return f"b{self.broker} was removed from the cluster"
