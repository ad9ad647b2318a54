"""What the metadata image is made of: a broker, a topic, a partition, as committed. Frozen: a change is a new one."""

from __future__ import annotations

import msgspec

from .kernel import Incarnation
from .messages import Partition, TopicId


class BrokerState(msgspec.Struct, frozen=True, array_like=True):
    """A registered broker. `epoch` is the offset of its registration; `retired` its earlier lives, the newest last.

    `life`: how often its data directory had been started then. `listeners`: where it speaks other protocols, by name.
    `draining`: it is to go, so it gets nothing new and what it has moves away.
    """

    id: int
    incarnation: Incarnation
    directory_id: str
    endpoint: str
    rack: str
    epoch: int
    fenced: bool
    stopping: bool
    retired: tuple[Incarnation, ...] = ()
    life: int = 0
    listeners: dict[str, str] = {}
    draining: bool = False


class TopicState(msgspec.Struct, frozen=True, array_like=True):
    """A topic; `configs` are its own, `partitions` how many it has."""

    id: TopicId
    name: str
    configs: dict[str, str]
    partitions: int


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What only a disk vouches for: the epoch of a replica's last record, and where its log ends (see `claims`)."""

    broker: int
    epoch: int
    end: int


class PartitionState(msgspec.Struct, frozen=True, array_like=True):
    """A partition. `replicas[0]` is the preferred leader; `leader` is -1 when nobody can lead.

    `elr` are the eligible leader replicas (KIP-966): out of sync since the ISR fell below min.insync.replicas, so they
    hold every committed record. `last_known_elr` are those who had a place and could not prove their disks. `claims`
    are of those in the ELR who lost power since, so that only their disks vouch for them. A `pristine` partition has
    never yet had as many in sync as min.insync.replicas: nothing has ever been committed there.

    While it moves (KIP-455) `replicas` are all those before and after, those before first, in their order. `target` are
    those after, in their order; `adding` those of them that were none before. Both are empty when it does not move.
    """

    partition: Partition
    replicas: tuple[int, ...]
    isr: tuple[int, ...]
    elr: tuple[int, ...]
    last_known_elr: tuple[int, ...]
    leader: int
    leader_epoch: int
    partition_epoch: int
    target: tuple[int, ...] = ()
    adding: tuple[int, ...] = ()
    claims: tuple[Claim, ...] = ()
    pristine: bool = False

    @property
    def moving(self) -> bool:
        """Whether it is on its way to other brokers."""
        return bool(self.target)

    @property
    def original(self) -> tuple[int, ...]:
        """The replicas before it began to move."""
        return tuple(replica for replica in self.replicas if replica not in self.adding)

    @property
    def removing(self) -> tuple[int, ...]:
        """The replicas that will be none when it has moved."""
        return tuple(replica for replica in self.replicas if replica not in self.target) if self.target else ()
