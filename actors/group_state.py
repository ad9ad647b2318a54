"""What a coordinator knows of its groups: a pure function of the records that were applied.

A group has offsets, and may be one of two kinds: of the heartbeat protocol (`consumer`) or of the classic one
(`classic`). It changes from one to the other while it has no members. Who is alive, which requests wait and what is
being negotiated is not here: that is each coordinator's own, and begins anew with each term.
"""

from __future__ import annotations

from .envelope import Partition
from .group_records import (
    ClassicKey,
    ClassicValue,
    Entry,
    GroupKey,
    GroupValue,
    Member,
    MemberKey,
    OffsetKey,
    OffsetValue,
    decode_entries,
)


class ConsumerGroup:
    """The members of a group of the heartbeat protocol, and who owns what.

    `members`: the oldest first. `owners`: whoever was given a partition and has not given it up.
    """

    def __init__(self, value: GroupValue) -> None:
        self.value = value
        self.members: dict[str, Member] = {}
        self.owners: dict[Partition, str] = {}
        self.static: dict[str, str] = {}  # instance -> member

    def put(self, name: str, member: Member) -> None:
        """A member is this from now on."""
        before = self.members.get(name)
        youngest = next(reversed(self.members.values()), member)
        self.members[name] = member
        if before is not None:
            self._disown(name, before)
        elif youngest.joined > member.joined:
            self.members = dict(sorted(self.members.items(), key=_age))
        for partition in (*member.assigned, *member.revoking):
            self.owners[partition] = name
        if member.instance:
            self.static[member.instance] = name

    def remove(self, name: str) -> None:
        """A member is no more."""
        member = self.members.pop(name, None)
        if member is not None:
            self._disown(name, member)

    def copy(self) -> ConsumerGroup:
        """Another one, to try something."""
        other = ConsumerGroup(self.value)
        other.members, other.owners, other.static = dict(self.members), dict(self.owners), dict(self.static)
        return other

    def _disown(self, name: str, member: Member) -> None:
        for partition in (*member.assigned, *member.revoking):
            if self.owners.get(partition) == name:
                del self.owners[partition]
        if self.static.get(member.instance) == name:
            del self.static[member.instance]


class Group:
    """One group."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.offsets: dict[Partition, OffsetValue] = {}
        self.consumer: ConsumerGroup | None = None  # None: it is not of the heartbeat protocol
        self.classic: ClassicValue | None = None  # None: it is not of the classic protocol

    @property
    def known(self) -> bool:
        """Whether there is anything about it."""
        return bool(self.offsets) or self.consumer is not None or self.classic is not None

    @property
    def size(self) -> int:
        """How many members it has."""
        if self.consumer is not None:
            return len(self.consumer.members)
        return 0 if self.classic is None else len(self.classic.members)

    def entries_to_forget(self) -> list[Entry]:
        """What must be written so that nothing is left of it."""
        entries = [Entry(OffsetKey(self.name, *partition), None) for partition in sorted(self.offsets)]
        return entries + self.kind_to_forget()

    def kind_to_forget(self) -> list[Entry]:
        """What must be written so that only its offsets are left."""
        entries: list[Entry] = []
        if self.consumer is not None:
            entries += [Entry(MemberKey(self.name, member), None) for member in self.consumer.members]
            entries.append(Entry(GroupKey(self.name), None))
        if self.classic is not None:
            entries.append(Entry(ClassicKey(self.name), None))
        return entries


class GroupStates:
    """All groups of one partition. It changes in `apply` and nowhere else."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}

    def load(self, data: memoryview) -> None:
        """Apply whole batches that were read. Raises `Unreadable`."""
        for entry in decode_entries(data):
            self.apply(entry)

    def apply(self, entry: Entry) -> None:
        """One entry. Whatever it says is so; what is not there needs not be removed."""
        key, value = entry
        group = self.groups.get(key.group)
        if group is None:
            if value is None:
                return
            group = self.groups[key.group] = Group(key.group)
        match key:
            case OffsetKey(topic=topic, index=index):
                partition = Partition(topic, index)
                if isinstance(value, OffsetValue):
                    group.offsets[partition] = value
                else:
                    group.offsets.pop(partition, None)
            case GroupKey():
                if not isinstance(value, GroupValue):
                    group.consumer = None
                elif group.consumer is None:
                    group.consumer = ConsumerGroup(value)
                else:
                    group.consumer.value = value
            case MemberKey(member=member):
                if isinstance(value, Member):
                    if group.consumer is None:
                        group.consumer = ConsumerGroup(GroupValue(0, 0, "", "", 0, 0))  # its own record is compacted
                    group.consumer.put(member, value)
                elif group.consumer is not None:
                    group.consumer.remove(member)
            case ClassicKey():
                group.classic = value if isinstance(value, ClassicValue) else None
        if not group.known:
            del self.groups[key.group]


def _age(item: tuple[str, Member]) -> tuple[int, str]:
    return item[1].joined, item[0]
