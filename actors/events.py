"""The catalogue of events: everything that the cluster decides, in plain sentences.

Each change of state emits exactly one, with its cause. Dashboard, verdicts, `explain` and tests read this one stream;
no actor ever does.
"""

from __future__ import annotations

from .kernel import Event


class QuorumLeaderElected(Event, frozen=True):
    """A controller won an election of the metadata quorum."""

    controller: int
    epoch: int

    def sentence(self) -> str:
        return f"controller {self.controller} was elected leader of the quorum in epoch {self.epoch}"


class QuorumLeaderResigned(Event, frozen=True):
    """A controller stopped leading the metadata quorum."""

    controller: int
    epoch: int

    def sentence(self) -> str:
        return f"controller {self.controller} no longer leads the quorum (epoch {self.epoch})"


# --- The controller ------------------------------------------------------------------------------------------------


class ControllerElected(Event, frozen=True):
    """A controller has applied the first record of its own epoch: from here on it decides."""

    controller: int
    epoch: int
    offset: int

    def sentence(self) -> str:
        return f"controller {self.controller} is active in epoch {self.epoch}, from metadata offset {self.offset}"


class ControllerResigned(Event, frozen=True):
    """The active controller decides no more."""

    controller: int
    epoch: int
    dropped: int  # requests that were waiting

    def sentence(self) -> str:
        return f"controller {self.controller} is no longer active (epoch {self.epoch})"


class BrokerRegisteredEvent(Event, frozen=True):
    """A new incarnation of a broker is part of the cluster; it is fenced at first."""

    broker: int
    broker_epoch: int
    endpoint: str

    def sentence(self) -> str:
        return f"b{self.broker} registered from {self.endpoint}, broker epoch {self.broker_epoch}"


class BrokerFencedEvent(Event, frozen=True):
    """A broker may neither lead nor be in sync."""

    broker: int
    broker_epoch: int

    def sentence(self) -> str:
        return f"b{self.broker} was fenced"


class BrokerUnfencedEvent(Event, frozen=True):
    """A broker may lead and be in sync."""

    broker: int
    broker_epoch: int

    def sentence(self) -> str:
        return f"b{self.broker} was unfenced"


class BrokerStoppingEvent(Event, frozen=True):
    """A broker hands over what it leads before it stops."""

    broker: int
    broker_epoch: int

    def sentence(self) -> str:
        return f"b{self.broker} is stopping in good order"


class PartitionLeaderChanged(Event, frozen=True):
    """A partition has another leader, or none (-1)."""

    partition: str
    before: int
    leader: int
    leader_epoch: int

    def sentence(self) -> str:
        if self.leader == -1:
            return f"{self.partition} has no leader: b{self.before} led it and nobody who is up may"
        came = "" if self.before == -1 else f" after b{self.before}"
        return f"b{self.leader} leads {self.partition}{came} in leader epoch {self.leader_epoch}"


class IsrChanged(Event, frozen=True):
    """Other replicas of a partition are in sync, or eligible to lead."""

    partition: str
    before: list[int]
    isr: list[int]
    elr: list[int]

    def sentence(self) -> str:
        moves = []
        for verb, brokers in (
            ("joined", [broker for broker in self.isr if broker not in self.before]),
            ("left", [broker for broker in self.before if broker not in self.isr]),
        ):
            if brokers:
                moves.append(f"{' and '.join(f'b{broker}' for broker in brokers)} {verb} the ISR")
        told = ", ".join(moves) or "the ISR stays"
        eligible = f", eligible to lead: {self.elr}" if self.elr else ""
        return f"{self.partition}: {told}, now {self.isr}{eligible}"


class TopicCreatedEvent(Event, frozen=True):
    """A topic exists."""

    name: str
    topic_id: str
    partitions: int
    replication: int

    def sentence(self) -> str:
        partitions = "1 partition" if self.partitions == 1 else f"{self.partitions} partitions"
        return f"topic {self.name!r} was created: {partitions}, replication {self.replication}"


class TopicDeletedEvent(Event, frozen=True):
    """A topic is gone, with all its records."""

    name: str
    topic_id: str

    def sentence(self) -> str:
        return f"topic {self.name!r} was deleted"


class ProducerIdsReservedEvent(Event, frozen=True):
    """A broker has a block of producer ids."""

    broker: int
    end: int

    def sentence(self) -> str:
        return f"b{self.broker} was given producer ids up to {self.end}"


class DefaultsFixed(Event, frozen=True):
    """The topic defaults of this cluster, once and for all."""

    partitions: int
    replication: int

    def sentence(self) -> str:
        return f"topics have {self.partitions} partitions and {self.replication} replicas by default"


class MetadataSnapshotWritten(Event, frozen=True):
    """The metadata below `end` is kept as a snapshot too."""

    end: int
    size: int

    def sentence(self) -> str:
        return f"a metadata snapshot was written at offset {self.end} ({self.size} bytes)"


class MetadataSnapshotLoaded(Event, frozen=True):
    """A controller that was away for long has begun anew from a snapshot of the leader's."""

    end: int

    def sentence(self) -> str:
        return f"a metadata snapshot was loaded at offset {self.end}"


class MetadataLogTrimmed(Event, frozen=True):
    """The metadata below `start` is kept as a snapshot only."""

    start: int

    def sentence(self) -> str:
        return f"the metadata log begins at offset {self.start} now"


class MetadataSnapshotSkipped(Event, frozen=True):
    """A metadata snapshot could not be written, or not be read; the log and older ones stand in for it."""

    what: str

    def sentence(self) -> str:
        return f"a metadata snapshot was skipped: {self.what}"
