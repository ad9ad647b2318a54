"""Offsets that a group commits, fetches and deletes.

A commit is fenced: a member commits in its present member epoch or generation, or not at all, so whoever has lost its
partitions may believe that it owns them but changes nothing (KIP-345, KAFKA-14499). From outside only the offsets of a
group without members are changed: by simple consumers, and by whoever resets it.

Commits of one sender count in the order in which they were sent: a copy that the network delivers late would take an
offset back. The order is known for a term; requests that name the term are refused in another one.
"""

from __future__ import annotations

from collections import OrderedDict

from .bugs import bug
from .classic_messages import JoinProtocol
from .envelope import Partition, TopicId
from .errors import ErrorCode
from .group_decisions import Decision, Refused
from .group_records import ClassicValue, Entry, OffsetKey, OffsetValue
from .group_state import Group
from .group_topics import Topics
from .kernel import Address, Millis
from .messages import CommitOffsets, DeleteOffsets, FetchOffsets, OffsetsCommitted, OffsetsDeleted, OffsetsFetched
from .offset_messages import MAX_OFFSET_METADATA, CommittedOffset, NewOffset, OffsetOutcome

MAX_OFFSETS = 10_000
"""Partitions of one request."""

MAX_GROUP_OFFSETS = 100_000
"""Partitions of which one group may have offsets: they are listed in one answer."""

MAX_SENDERS = 10_000
"""Senders whose order is remembered by one coordinator; those that were heard longest ago are forgotten."""


class Order:
    """The newest number that each sender has said: what comes later with a lower one is an old copy."""

    def __init__(self, limit: int = MAX_SENDERS) -> None:
        self._limit = limit
        self._newest: OrderedDict[tuple[str, ...], int] = OrderedDict()

    def late(self, sender: tuple[str, ...], sequence: int) -> bool:
        """Whether this is an old copy. -1: the sender does not count."""
        if sequence < 0:
            return False
        if sequence <= self._newest.get(sender, -1):
            return not bug("old-copies-count")
        self._newest[sender] = sequence
        self._newest.move_to_end(sender)
        if len(self._newest) > self._limit:
            self._newest.popitem(last=False)
        return False


# --- Commit ---


def commit(group: Group, sender: Address, request: CommitOffsets, topics: Topics, wall: Millis) -> Decision:
    """Remember how far the group has read; that the sender may do that was looked at (`check_committer`)."""
    if len(request.offsets) > MAX_OFFSETS:
        reason = f"A commit has at most {MAX_OFFSETS} partitions, this one has {len(request.offsets)}."
        raise Refused(ErrorCode.INVALID_COMMIT_OFFSET_SIZE, reason)
    entries: list[Entry] = []
    outcomes: list[OffsetOutcome] = []
    room = MAX_GROUP_OFFSETS - len(group.offsets)
    for new in request.offsets:
        partition = Partition(*new.partition)
        outcome = _check_offset(new, partition, topics)
        if outcome is None and new.forget:
            if partition in group.offsets:
                entries.append(Entry(OffsetKey(group.name, *partition), None))
            outcomes.append(OffsetOutcome(partition))
            continue
        if outcome is None and partition not in group.offsets:
            room -= 1
            if room < 0:
                reason = f"Group {group.name} has offsets of {MAX_GROUP_OFFSETS} partitions already: delete some."
                outcome = OffsetOutcome(partition, ErrorCode.INVALID_COMMIT_OFFSET_SIZE, reason)
        outcomes.append(outcome or OffsetOutcome(partition))
        if outcome is None:
            value = OffsetValue(new.offset, new.leader_epoch, new.metadata, wall)
            entries.append(Entry(OffsetKey(group.name, *partition), value))
    return Decision(entries, [(sender, OffsetsCommitted(request.id, ErrorCode.NONE, "", outcomes))])


def _check_offset(new: NewOffset, partition: Partition, topics: Topics) -> OffsetOutcome | None:
    if not topics.has(partition):
        known = topics.by_id.get(partition.topic)
        what = f"no topic with the id {partition.topic}" if known is None else f"no {known.name}-{partition.index}"
        return OffsetOutcome(partition, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"There is {what}.")
    name = f"{topics.name(partition.topic)}-{partition.index}"
    if new.offset < 0 and not new.forget:
        reason = f"{new.offset} cannot be the next offset of {name}: offsets begin at 0."
        return OffsetOutcome(partition, ErrorCode.OFFSET_OUT_OF_RANGE, reason)
    if len(new.metadata) > MAX_OFFSET_METADATA:
        reason = f"{MAX_OFFSET_METADATA} characters may be kept beside an offset, not {len(new.metadata)}."
        return OffsetOutcome(partition, ErrorCode.OFFSET_METADATA_TOO_LARGE, reason)
    return None


def check_committer(group: Group, request: CommitOffsets) -> None:
    """Raises Refused unless this sender may change the group's offsets now. Not for the classic protocol's members."""
    if bug("zombies-commit") and group.size and request.member:
        return
    if group.size == 0:
        if request.epoch >= 0 and request.member:
            reason = f"{request.member} is no member of group {group.name}, which has none."
            raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, reason)
        if request.epoch >= 0:
            raise Refused(ErrorCode.ILLEGAL_GENERATION, f"Group {group.name} has no generation {request.epoch}.")
        return
    if not request.member and request.epoch < 0:
        members = "a member" if group.size == 1 else f"{group.size} members"
        reason = f"Group {group.name} has {members}: only they commit its offsets, until they have left."
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, reason)
    _check_member(group, request)


def _check_member(group: Group, request: CommitOffsets | FetchOffsets) -> None:
    """Raises Refused unless this is a member as it is now."""
    member = None if group.consumer is None else group.consumer.members.get(request.member)
    if member is None:
        reason = f"{request.member} is no member of group {group.name}: join it."
        raise Refused(ErrorCode.UNKNOWN_MEMBER_ID, reason)
    if member.epoch != request.epoch:
        reason = f"{request.member} is in member epoch {member.epoch} and not {request.epoch}."
        raise Refused(ErrorCode.STALE_MEMBER_EPOCH, reason)


# --- Fetch ---


def fetch(group: Group, sender: Address, request: FetchOffsets) -> Decision:
    """What is committed. A group or a partition that nobody knows has no offset, which is no error.

    Who says that it is a member is looked at only with the consumer protocol, as in Kafka: franz-go has members of the
    classic one say it too.
    """
    if request.member and request.epoch >= 0 and group.classic is None:
        _check_member(group, request)
    wanted = sorted(group.offsets) if request.partitions is None else request.partitions
    if len(wanted) > MAX_GROUP_OFFSETS:
        raise Refused(ErrorCode.INVALID_REQUEST, f"A question has at most {MAX_GROUP_OFFSETS} partitions.")
    offsets = []
    for partition in map(_partition, wanted):
        value = group.offsets.get(partition)
        if value is None:
            offsets.append(CommittedOffset(partition))
        else:
            kept = CommittedOffset(partition, ErrorCode.NONE, value.offset, value.leader_epoch, value.metadata)
            offsets.append(kept)
    return Decision([], [(sender, OffsetsFetched(request.id, ErrorCode.NONE, "", offsets))])


def _partition(partition: Partition) -> Partition:
    return Partition(*partition)


# --- Delete ---


def delete(group: Group, sender: Address, request: DeleteOffsets, topics: Topics) -> Decision:
    """Forget offsets of partitions that no member reads."""
    if not group.known:
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"There is no group {request.group}.")
    read = subscribed(group)
    if read is None:
        raise Refused(ErrorCode.NON_EMPTY_GROUP, f"Group {group.name} has members: stop them first.")
    entries: list[Entry] = []
    outcomes: list[OffsetOutcome] = []
    for partition in map(_partition, request.partitions):
        name = topics.name(partition.topic)
        if name in read:
            reason = f"Members of group {group.name} read {name}: stop them first."
            outcomes.append(OffsetOutcome(partition, ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, reason))
            continue
        outcomes.append(OffsetOutcome(partition))
        if partition in group.offsets:
            entries.append(Entry(OffsetKey(group.name, *partition), None))
    return Decision(entries, [(sender, OffsetsDeleted(request.id, ErrorCode.NONE, "", outcomes))])


def of_topics(group: Group, gone: set[TopicId]) -> list[Entry]:
    """What must be written because these topics (ids) are gone."""
    return [Entry(OffsetKey(group.name, *partition), None) for partition in group.offsets if partition.topic in gone]


# --- What members read ---


def subscribed(group: Group) -> set[str] | None:
    """The names of the topics that members read; None if nobody can tell."""
    if group.consumer is not None:
        return {topic for member in group.consumer.members.values() for topic in member.topics}
    if group.classic is None or not group.classic.members:
        return set()
    return _classic_subscription(group.classic)


def _classic_subscription(classic: ClassicValue) -> set[str] | None:
    """Members of the type "consumer" say what they read in their metadata, in the form of all Kafka clients."""
    if classic.protocol_type != "consumer":
        return None
    topics: set[str] = set()
    for member in classic.members:
        known = [protocol for protocol in member.protocols if protocol.name == classic.protocol]
        names = subscription_of(known[0]) if known else None
        if names is None:
            return None
        topics.update(names)
    return topics


def subscription_of(protocol: JoinProtocol) -> list[str] | None:
    """The topics in a ConsumerProtocolSubscription: version int16, then an array of strings. None: it is not one."""
    data = protocol.metadata
    if len(data) < 6:
        return None
    count = int.from_bytes(data[2:6], "big", signed=True)
    place = 6
    names = []
    for _ in range(max(count, 0)):
        if place + 2 > len(data):
            return None
        size = int.from_bytes(data[place : place + 2], "big", signed=True)
        place += 2
        if size < 0 or place + size > len(data):
            return None
        try:
            names.append(data[place : place + size].decode())
        except UnicodeDecodeError:
            return None
        place += size
    return names
