"""Who of a group gets which partitions: pure functions, the same at every coordinator.

`uniform` gives everybody as many as possible the same number, and leaves everybody what it has as far as that allows.
`range` gives each member a run of neighbouring partitions of each topic, so that the same member gets the same numbers
of all topics that have the same number of partitions: for joining topics by key. Both give every partition of every
topic that anybody subscribes to exactly once (G3, KIP-848's LegalTargetAssignment), and only to who subscribes to it.

What the group's leader has planned is checked here for the same (`plan_problem`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heapreplace
from typing import NamedTuple

from .envelope import Partition, TopicName

Shares = dict[str, set[Partition]]


class Applicant(NamedTuple):
    """A member as an assignor sees it. `topics`: what it subscribes to and what exists. `has`: what it had before."""

    name: str
    instance: str
    topics: tuple[TopicName, ...]
    has: frozenset[Partition]


def uniform(applicants: Sequence[Applicant]) -> Shares:
    """The balanced and sticky assignment."""
    shares: Shares = {applicant.name: set() for applicant in applicants}
    everybody = _subscribers(applicants)
    if not everybody:
        return shares
    owners = {partition: applicant.name for applicant in applicants for partition in applicant.has}
    alike = len({applicant.topics for applicant in applicants}) == 1
    if alike:
        _uniform_alike(applicants, everybody, owners, shares)
    else:
        _uniform_unlike(applicants, everybody, owners, shares)
    return shares


def _uniform_alike(
    applicants: Sequence[Applicant],
    everybody: Mapping[TopicName, Sequence[str]],
    owners: Mapping[Partition, str],
    shares: Shares,
) -> None:
    """All may have all: everybody keeps what it has up to its quota, and what is left fills the quotas up."""
    partitions = [Partition(topic.id, index) for topic in everybody for index in range(topic.partitions)]
    least, extra = divmod(len(partitions), len(applicants))
    kept: dict[str, list[Partition]] = {applicant.name: [] for applicant in applicants}
    free = []
    for partition in partitions:
        owner = owners.get(partition)
        if owner in kept:
            kept[owner].append(partition)
        else:
            free.append(partition)
    # The one that some get more goes to those who have it already, then to the oldest.
    rich = [applicant.name for applicant in applicants if len(kept[applicant.name]) > least][:extra]
    rich += [applicant.name for applicant in applicants if applicant.name not in rich][: extra - len(rich)]
    lucky = set(rich)
    for name, have in kept.items():
        quota = least + (name in lucky)
        shares[name].update(have[:quota])
        free += have[quota:]
    free.sort()
    left = iter(free)
    for name, share in shares.items():
        for _ in range(least + (name in lucky) - len(share)):
            share.add(next(left))


def _uniform_unlike(
    applicants: Sequence[Applicant],
    everybody: Mapping[TopicName, Sequence[str]],
    owners: Mapping[Partition, str],
    shares: Shares,
) -> None:
    """Not all may have all: everybody keeps what it may have, the rest goes to whoever has least, then it is evened."""
    may = {topic.id: names for topic, names in everybody.items()}
    for topic, names in sorted(everybody.items(), key=lambda item: (len(item[1]), item[0].id)):
        allowed = set(names)
        free = []
        for index in range(topic.partitions):
            partition = Partition(topic.id, index)
            owner = owners.get(partition)
            if owner in allowed:
                shares[owner].add(partition)
            else:
                free.append(partition)
        poor = [(len(shares[name]), place) for place, name in enumerate(names)]
        heapify(poor)
        for partition in free:
            size, place = poor[0]
            shares[names[place]].add(partition)
            heapreplace(poor, (size + 1, place))
    # Each move takes a partition from somebody to somebody who has two less, so this ends.
    moved = True
    while moved:
        moved = False
        fewest = min(len(share) for share in shares.values())
        for applicant in sorted(applicants, key=lambda applicant: -len(shares[applicant.name])):
            share = shares[applicant.name]
            for topic_id in dict.fromkeys(partition.topic for partition in sorted(share)):
                if len(share) - fewest < 2:
                    break
                while True:
                    poorest = min(may[topic_id], key=lambda name: len(shares[name]))
                    last = max((partition for partition in share if partition.topic == topic_id), default=None)
                    if last is None or len(share) - len(shares[poorest]) < 2:
                        break
                    share.remove(last)
                    shares[poorest].add(last)
                    moved = True


def ranges(applicants: Sequence[Applicant]) -> Shares:
    """The assignment in runs: per topic, members in the order of their static or member names."""
    shares: Shares = {applicant.name: set() for applicant in applicants}
    ordered = sorted(applicants, key=lambda applicant: (applicant.instance or applicant.name, applicant.name))
    for topic, names in _subscribers(ordered).items():
        each, more = divmod(topic.partitions, len(names))
        first = 0
        for place, name in enumerate(names):
            count = each + (place < more)
            if count == 0:
                break
            shares[name].update(Partition(topic.id, index) for index in range(first, first + count))
            first += count
    return shares


def plan_problem(shares: Iterable[tuple[str, Iterable[Partition]]], applicants: Sequence[Applicant]) -> str | None:
    """What is wrong with a plan that the leader made, in a sentence; None if it is a legal assignment."""
    may = {applicant.name: {topic.id: topic.partitions for topic in applicant.topics} for applicant in applicants}
    names = {topic.id: topic.name for applicant in applicants for topic in applicant.topics}
    given: dict[Partition, str] = {}
    for name, partitions in shares:
        topics = may.get(name)
        if topics is None:
            return f"it gives partitions to {name}, which is no member"
        for partition in partitions:
            what = f"{names.get(partition.topic, partition.topic)}-{partition.index}"
            if not 0 <= partition.index < topics.get(partition.topic, 0):
                return f"it gives {what} to {name}, which does not subscribe to it"
            if partition in given:
                return f"it gives {what} to {given[partition]} and to {name}"
            given[partition] = name
    for topic in _subscribers(applicants):
        for index in range(topic.partitions):
            if Partition(topic.id, index) not in given:
                return f"it gives {topic.name}-{index} to nobody"
    return None


def _subscribers(applicants: Sequence[Applicant]) -> dict[TopicName, list[str]]:
    """Who may have the partitions of each topic, in the order of the applicants; topics in the order of their ids."""
    found: dict[TopicName, list[str]] = {}
    for applicant in applicants:
        for topic in applicant.topics:
            found.setdefault(topic, []).append(applicant.name)
    return dict(sorted(found.items(), key=lambda item: item[0].id))


ASSIGNORS = {"uniform": uniform, "range": ranges}
