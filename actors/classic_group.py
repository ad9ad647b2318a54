"""One group of the classic protocol as its coordinator has it in memory: Kafka's state machine, without any messages.

    Empty --a member joins--> PreparingRebalance --all have joined, or time is up--> CompletingRebalance
      ^                        ^      |                                                  |        |
      |                        |      '--nobody is left--> Empty                          |  the leader has assigned,
      |                        |                                                         |  and it is written
      '--the last one leaves---'<--one joins, leaves, dies, or does not sync in time-----'        v
                               '<--------------one joins, leaves, dies------------------------ Stable

A *generation* is one round of it. The protocol in use is one that all members know, the one that most prefer. Who has
joined waits for the others; who has synced waits for the leader. The member that the group was founded by is the
leader, or whoever has joined for longest when that one is gone.

What is written of it is a generation once its leader has assigned, and that the group is empty. So a coordinator that
takes over knows the last complete generation, and whoever was joining joins again.
"""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import NamedTuple

import msgspec

from .classic_messages import JoinedMember, JoinProtocol
from .group_records import ClassicMember, ClassicValue
from .kernel import Address
from .messages import JoinGroup, SyncGroup


class ClassicState(Enum):
    """Kafka's words."""

    EMPTY = "Empty"
    PREPARING = "PreparingRebalance"
    COMPLETING = "CompletingRebalance"
    STABLE = "Stable"


class Asked(NamedTuple):
    """A request that waits for others."""

    sender: Address
    request: JoinGroup | SyncGroup


class LiveMember(msgspec.Struct):
    """A member, and what it waits for."""

    member: str
    instance: str
    client_id: str
    host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: list[JoinProtocol]
    grace_ms: int | None
    assignment: bytes = b""
    joining: Asked | None = None  # its JoinGroup waits
    syncing: Asked | None = None  # its SyncGroup waits

    def metadata(self, protocol: str) -> bytes:
        """What it says to a leader that uses this protocol."""
        return next((each.metadata for each in self.protocols if each.name == protocol), b"")


class ClassicGroup:
    """See the module's essay."""

    def __init__(self, name: str, value: ClassicValue | None = None) -> None:
        self.name = name
        self.state = ClassicState.EMPTY
        self.generation = 0
        self.protocol_type = ""
        self.protocol = ""
        self.leader = ""
        self.members: dict[str, LiveMember] = {}  # whoever has been in it for longest first
        self.static: dict[str, str] = {}
        self.promised: dict[str, None] = {}  # member ids that were given out, and have not joined yet
        if value is not None:
            self._load(value)

    def _load(self, value: ClassicValue) -> None:
        self.generation, self.protocol_type = value.generation, value.protocol_type
        self.protocol, self.leader = value.protocol, value.leader
        for stored in value.members:
            self.add(
                LiveMember(
                    stored.member,
                    stored.instance,
                    stored.client_id,
                    stored.host,
                    stored.rebalance_timeout_ms,
                    stored.session_timeout_ms,
                    list(stored.protocols),
                    stored.grace_ms,
                    stored.assignment,
                )
            )
        self.state = ClassicState.STABLE if self.members else ClassicState.EMPTY

    def value(self, stamp: int) -> ClassicValue:
        """What is written of it: the generation, or that it is empty since `stamp`."""
        members = [
            ClassicMember(
                member.member,
                member.instance,
                member.client_id,
                member.host,
                member.rebalance_timeout_ms,
                member.session_timeout_ms,
                [JoinProtocol(self.protocol, member.metadata(self.protocol))],
                member.assignment,
                member.grace_ms,
            )
            for member in self.members.values()
        ]
        return ClassicValue(
            self.generation, self.protocol_type, self.protocol, self.leader, members, 0 if members else stamp
        )

    # --- Members ---

    def add(self, member: LiveMember) -> None:
        """One more. The first one founds the group: it is the leader."""
        self.promised.pop(member.member, None)
        self.members[member.member] = member
        if member.instance:
            self.static[member.instance] = member.member
        self.leader = self.leader or member.member

    def remove(self, name: str) -> LiveMember | None:
        """One less. The leadership goes to whoever has been in the group for longest."""
        self.promised.pop(name, None)
        member = self.members.pop(name, None)
        if member is None:
            return None
        if self.static.get(member.instance) == name:
            del self.static[member.instance]
        if self.leader == name:
            self.leader = next(iter(self.members), "")
        return member

    def rename(self, old: str, new: str) -> LiveMember:
        """A static member has come back under another id: it stays what it was."""
        member = self.members[old]
        member.member = new
        self.members = {new if name == old else name: each for name, each in self.members.items()}
        self.static[member.instance] = new
        if self.leader == old:
            self.leader = new
        return member

    # --- Protocols ---

    def fits(self, protocol_type: str, protocols: list[JoinProtocol], without: str = "") -> bool:
        """Whether somebody with these protocols can be in the group: of the same type, and one that all know."""
        others = [member for name, member in self.members.items() if name != without]
        if not others:
            return True
        common = set.intersection(*({each.name for each in member.protocols} for member in others))
        return protocol_type == self.protocol_type and not common.isdisjoint(each.name for each in protocols)

    def elect_protocol(self) -> str:
        """Of those that all know the one that most prefer; of equals the one that the oldest member prefers."""
        common = set.intersection(*({each.name for each in member.protocols} for member in self.members.values()))
        votes = Counter(
            next(each.name for each in member.protocols if each.name in common) for member in self.members.values()
        )
        return votes.most_common(1)[0][0]

    # --- Rounds ---

    @property
    def all_joined(self) -> bool:
        """Whether everybody who is expected has joined."""
        return not self.promised and all(member.joining is not None for member in self.members.values())

    @property
    def rebalance_timeout_ms(self) -> int:
        """The longest of what its members may take."""
        return max((member.rebalance_timeout_ms for member in self.members.values()), default=0)

    def next_generation(self) -> None:
        """Everybody has joined: begin a round. Without members the group is empty."""
        self.generation += 1
        for member in self.members.values():
            member.assignment = b""
        if self.members:
            self.protocol = self.elect_protocol()
            self.state = ClassicState.COMPLETING
        else:
            self.protocol = self.leader = ""
            self.state = ClassicState.EMPTY

    def joined_members(self) -> list[JoinedMember]:
        """What the leader gets."""
        return [
            JoinedMember(member.member, member.instance, member.metadata(self.protocol))
            for member in self.members.values()
        ]
