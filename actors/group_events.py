"""The catalogue of events, continued: what coordinators decide about groups."""

from __future__ import annotations

from .kernel import Event


class CoordinatorLoaded(Event, frozen=True):
    """A coordinator has read a partition of the groups' topic, and answers for its groups."""

    partition: str
    epoch: int
    groups: int
    members: int
    offsets: int

    def sentence(self) -> str:
        return (
            f"the coordinator of {self.partition} is ready in epoch {self.epoch}: {self.groups} groups with"
            f" {self.members} members and {self.offsets} offsets"
        )


class CoordinatorFailed(Event, frozen=True):
    """A partition of the groups' topic cannot be read by this program; its groups have no coordinator."""

    partition: str
    epoch: int

    def sentence(self) -> str:
        return f"the coordinator of {self.partition} cannot read its records (epoch {self.epoch})"


class CoordinatorLeft(Event, frozen=True):
    """A coordinator's term is over: it has dropped the groups of a partition."""

    partition: str
    epoch: int
    groups: int
    unanswered: int  # requests that are told to look for the new coordinator

    def sentence(self) -> str:
        return f"the coordinator of {self.partition} handed over {self.groups} groups (epoch {self.epoch})"


class MemberJoined(Event, frozen=True):
    """A member has joined a group."""

    group: str
    member: str
    client: str
    members: int  # with it

    def sentence(self) -> str:
        client = f" ({self.client})" if self.client else ""
        return f"{self.member}{client} joined group {self.group}, which has {self.members} now"


class MemberGone(Event, frozen=True):
    """A member is no longer in a group."""

    group: str
    member: str
    members: int  # without it

    def sentence(self) -> str:
        left = "nobody is" if self.members == 0 else f"{self.members} {'is' if self.members == 1 else 'are'}"
        return f"{self.member} is out of group {self.group}, {left} left"


class GroupAssigned(Event, frozen=True):
    """A group has a new assignment: each member will get there by itself."""

    group: str
    epoch: int
    assignor: str
    members: int
    partitions: int  # -1: only the members know

    def sentence(self) -> str:
        what = "a share" if self.partitions < 0 else f"{self.partitions} partitions"
        return (
            f"group {self.group} has an assignment for epoch {self.epoch} by {self.assignor}: {what} for"
            f" {self.members} members"
        )


class GroupSettled(Event, frozen=True):
    """Every member of a group has what it shall have."""

    group: str
    epoch: int
    members: int

    def sentence(self) -> str:
        return f"group {self.group} is stable in epoch {self.epoch} with {self.members} members"


class PlanRefused(Event, frozen=True):
    """The leader of a group is not to plan any more for this epoch."""

    group: str
    epoch: int
    member: str
    successor: str  # who is asked next, or the assignor that does it instead

    def sentence(self) -> str:
        return f"group {self.group} asks {self.successor} to plan epoch {self.epoch} instead of {self.member}"


class GroupDeletedEvent(Event, frozen=True):
    """A group and its offsets are gone."""

    group: str
    offsets: int

    def sentence(self) -> str:
        return f"group {self.group} is gone, with {self.offsets} offsets"


class OffsetsExpired(Event, frozen=True):
    """Offsets of a group were forgotten."""

    group: str
    offsets: int

    def sentence(self) -> str:
        return f"group {self.group} forgot {self.offsets} offsets"
