"""What placement by the ring costs when brokers come and go, beside round robin: the figures of docs/placement.md.

    python -m barnabas.bench.placement         prints the table of that page

100 topics of 100 partitions with three replicas are placed one after the other; then one broker is added, or removed,
and a plan is made. `moved` is the share of all replicas that a plan copies to another broker, `most` the largest load
over the mean. Round robin is Kafka's way to place by hand: partition i begins at broker i, its other replicas follow
at a distance that grows with each round; a plan places everything anew for the brokers that there are then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..actors.placement import Candidate, place
from ..actors.rebalancing import rebalanced

TOPICS = 100
PARTITIONS = 100
REPLICATION = 3
BROKERS = (3, 4, 5, 6, 8, 10, 20, 50, 100)

Sets = Mapping[tuple[str, int], tuple[int, ...]]


class Figures(msgspec.Struct, frozen=True):
    """Of one size of cluster. Shares of all replicas, and loads over the mean."""

    brokers: int
    most: float
    added: float  # moved when one is added
    added_most: float
    removed: float  # moved when one is removed
    removed_own: float  # of which its own
    removed_most: float
    robin_added: float
    robin_removed: float


def measure(brokers: int, topics: int = TOPICS, partitions: int = PARTITIONS) -> Figures:
    """The figures of a cluster of so many brokers. -1 where one broker less could not keep the replicas."""
    before = by_ring(range(1, brokers + 1), topics, partitions)
    added = {**before, **rebalanced(before, candidates(range(1, brokers + 2)))}
    robin = round_robin(brokers, topics, partitions)
    own = moved = removed_most = robin_removed = -1.0
    if brokers > REPLICATION:
        removed = {**before, **rebalanced(before, candidates(range(2, brokers + 1)))}
        own, moved, removed_most = share_of(1, before), share_moved(before, removed), most(removed, brokers - 1)
        others = round_robin(brokers - 1, topics, partitions).items()
        robin_removed = share_moved(robin, {key: tuple(broker + 1 for broker in members) for key, members in others})
    return Figures(
        brokers=brokers,
        most=most(before, brokers),
        added=share_moved(before, added),
        added_most=most(added, brokers + 1),
        removed=moved,
        removed_own=own,
        removed_most=removed_most,
        robin_added=share_moved(robin, round_robin(brokers + 1, topics, partitions)),
        robin_removed=robin_removed,
    )


def candidates(brokers: Iterable[int]) -> list[Candidate]:
    """Brokers without racks."""
    return [Candidate(broker) for broker in brokers]


def by_ring(brokers: Sequence[int], topics: int, partitions: int) -> dict[tuple[str, int], tuple[int, ...]]:
    """Topics placed one after the other, as the controller does."""
    load: Counter[int] = Counter()
    led: Counter[int] = Counter()
    sets = {}
    for number in range(topics):
        known = [Candidate(broker, "", load[broker], led[broker]) for broker in brokers]
        for index, members in enumerate(place(f"topic{number}", range(partitions), REPLICATION, known)):
            sets[f"topic{number}", index] = members
            load.update(members)
            led[members[0]] += 1
    return sets


def round_robin(brokers: int, topics: int, partitions: int) -> dict[tuple[str, int], tuple[int, ...]]:
    """Brokers 1 to `brokers`, Kafka's way without racks."""
    sets = {}
    for number in range(topics):
        for index in range(partitions):
            first = (number + index) % brokers
            shift = (number + index // brokers) % (brokers - 1)
            others = [(first + 1 + (shift + place) % (brokers - 1)) % brokers for place in range(REPLICATION - 1)]
            sets[f"topic{number}", index] = (first + 1, *(other + 1 for other in others))
    return sets


def share_moved(before: Sets, after: Sets) -> float:
    """The share of all replicas that are elsewhere afterwards."""
    moved = sum(len(set(after[key]) - set(before[key])) for key in before)
    return moved / sum(map(len, before.values()))


def share_of(broker: int, sets: Sets) -> float:
    """The share of all replicas that a broker has."""
    return sum(broker in members for members in sets.values()) / sum(map(len, sets.values()))


def most(sets: Sets, brokers: int) -> float:
    """The largest load over the mean."""
    load = Counter(broker for members in sets.values() for broker in members)
    return max(load.values()) * brokers / sum(load.values())


def row(figures: Figures) -> str:
    """A line of the table."""

    def percent(share: float) -> str:
        return "-" if share < 0 else f"{100 * share:.1f} %"

    promised = 1.5 / (figures.brokers + 1)
    cells = [
        str(figures.brokers),
        f"{figures.most:.3f}",
        percent(figures.added),
        percent(promised),
        f"{figures.added_most:.3f}",
        percent(figures.robin_added),
        percent(figures.removed),
        percent(figures.removed_own),
        "-" if figures.removed_most < 0 else f"{figures.removed_most:.3f}",
        percent(figures.robin_removed),
    ]
    return f"| {' | '.join(cells)} |"


HEAD = ("brokers", "most", "one added: moved", "promised", "most", "round robin")
HEAD_REMOVED = ("one removed: moved", "its own", "most", "round robin")


def table() -> str:
    """All of it, in Markdown."""
    head = (*HEAD, *HEAD_REMOVED)
    lines = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    return "\n".join([*lines, *(row(measure(brokers)) for brokers in BROKERS)])


if __name__ == "__main__":
    print(table())
