"""The catalogue of events, continued: what brokers do with their replicas."""

from __future__ import annotations

from .kernel import Event


class BecameLeader(Event, frozen=True):
    """A broker has taken up the leadership that the controller gave it."""

    broker: int
    partition: str
    epoch: int
    end: int
    hw: int

    def sentence(self) -> str:
        return f"b{self.broker} leads {self.partition} in epoch {self.epoch} from offset {self.end}"


class Truncated(Event, frozen=True):
    """A follower has given up records that its leader does not have."""

    broker: int
    partition: str
    records: int

    def sentence(self) -> str:
        return f"b{self.broker} cut the last {self.records} records of {self.partition}"


class BadRecords(Event, frozen=True):
    """What a leader sent is not the continuation of the follower's log."""

    broker: int
    partition: str
    leader: int

    def sentence(self) -> str:
        return f"b{self.broker} refused records of {self.partition} from b{self.leader}"


class LogStartMoved(Event, frozen=True):
    """The oldest records of a partition are gone: they had expired, or somebody deleted them."""

    broker: int
    partition: str
    start: int
    before: int

    def sentence(self) -> str:
        return f"b{self.broker} lets {self.partition} begin at {self.start}, it was {self.before}"


class LogBegunAnew(Event, frozen=True):
    """A follower has dropped its copy, which cannot be continued, and copies everything that its leader has."""

    broker: int
    partition: str
    start: int

    def sentence(self) -> str:
        return f"b{self.broker} begins its log of {self.partition} anew at {self.start}"


class LogCompacted(Event, frozen=True):
    """Of each key of a compacted partition the last record is left, as far as it was cleaned."""

    broker: int
    partition: str
    offset: int
    records_before: int
    records_after: int
    bytes_before: int
    bytes_after: int

    def sentence(self) -> str:
        left = f"{self.records_after} of {self.records_before} records are left"
        return f"b{self.broker} compacted {self.partition} up to {self.offset}: {left}"


class CompactionFailed(Event, frozen=True):
    """A cleaning came to nothing; the log is as it was, and it is tried again."""

    broker: int
    partition: str

    def sentence(self) -> str:
        return f"b{self.broker} could not compact {self.partition}"


class LogDamaged(Event, frozen=True):
    """Bytes on disk are not what was written; nothing of this log is served any more."""

    broker: int
    partition: str

    def sentence(self) -> str:
        return f"b{self.broker} found its log of {self.partition} damaged"


class LogQuarantined(Event, frozen=True):
    """A damaged log was set aside; the replica begins anew from its leader."""

    broker: int
    partition: str
    directory: str

    def sentence(self) -> str:
        return f"b{self.broker} set the log of {self.partition} aside as {self.directory}"
