"""A group whose members are killed, paused and added while it reads, and whose coordinator dies: is the group right?

Three members (processes) share twelve partitions under a flow of records; each commits what it was given before it
asks for more. Every few seconds one of them is killed with -9 and replaced, paused for longer or shorter than its
session, or a fourth one comes and goes; twice the broker that coordinates is killed with -9 and started again. Then the
flow ends, the group reads to the end, and what all members told is judged:

    skipped         offsets that were written and given to nobody
    given_again     offsets that were given to a member after the group had committed them
    owned_twice     two members that are both alive owned one partition at the same time

A paused member does not know what happens meanwhile: what it owned counts as its own until it was paused, and again
from when it has been told anew.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

import msgspec

from ..actors.internal_topics import GROUP_OFFSETS, partition_of
from ..cluster import Cluster
from .group_processes import PATIENCE, Flow, Member, until

TOPIC = "churn"
PARTITIONS = 12
EVERY = 0.002
SLACK = 0.050
"""Seconds by which two clocks' readings of one event may differ: what a member tells, it tells after it happened."""


class ChurnReport(msgspec.Struct, frozen=True):
    """What `bench group --churn` prints with `--json`."""

    seconds: float
    records: int
    given: int
    blows: dict[str, int]
    fenced: int
    skipped: int
    given_again: int
    owned_twice: int
    examples: list[str]

    @property
    def good(self) -> bool:
        return not (self.skipped or self.given_again or self.owned_twice)


def churn(seconds: float, seed: int, progress: Callable[[str], None] = lambda line: None) -> ChurnReport:
    """Run it in a cluster of its own, which leaves nothing behind."""
    chance = random.Random(seed)
    blows: dict[str, int] = {}
    with Cluster(brokers=3) as cluster:
        cluster.create_topic(TOPIC, partitions=PARTITIONS)
        everybody: list[Member] = []

        def add() -> Member:
            member = Member(cluster.bootstrap, TOPIC, TOPIC)
            everybody.append(member)
            member.join()
            return member

        with cluster.producer(linger_ms=0) as producer:
            flow = Flow(producer, TOPIC, PARTITIONS, EVERY)
            flow.start()
            try:
                living = [add() for _ in range(3)]
                until(lambda: sum(member.share for member in living) == PARTITIONS)
                began = time.monotonic()
                coordinators = [seconds / 3, 2 * seconds / 3]
                while time.monotonic() - began < seconds:
                    if coordinators and time.monotonic() - began > coordinators[0]:
                        coordinators.pop(0)
                        blow = "coordinator killed"
                        _kill_coordinator(cluster)
                    else:
                        blow = chance.choice(["killed", "paused", "paused for long", "added"])
                        _strike(blow, living, add, chance)
                    blows[blow] = blows.get(blow, 0) + 1
                    progress(f"{time.monotonic() - began:6.1f} s: {blow}")
                    time.sleep(chance.uniform(1.0, 4.0))
                flow.stop()
                producer.flush(PATIENCE)
                ends = _ends(cluster)
                until(lambda: _all_given(everybody, ends))
                return _judge(everybody, ends, seconds, blows)
            finally:
                flow.stop()
                for member in everybody:
                    member.end()


def _strike(blow: str, living: list[Member], add: Callable[[], Member], chance: random.Random) -> None:
    victim = chance.choice(living)
    if blow == "killed":
        living.remove(victim)
        victim.kill()
        living.append(add())
    elif blow == "added":
        living.append(add())
        if len(living) > 4:
            living.pop(0).kill()
    else:
        victim.pause()
        time.sleep(chance.uniform(0.5, 3.0) if blow == "paused" else 12.0)  # the session is 10 s
        victim.resume()


def _kill_coordinator(cluster: Cluster) -> None:
    victim = cluster.leader(GROUP_OFFSETS, partition_of(TOPIC, 12))
    cluster.kill(victim)
    time.sleep(2.0)
    cluster.restart(victim)


def _ends(cluster: Cluster) -> dict[int, int]:
    with cluster.consumer(TOPIC, start="latest") as consumer:
        places = [(TOPIC, index) for index in range(PARTITIONS)]
        return {place.partition: end for place, end in consumer.end_offsets(places).items()}


# --- The judge ---


def _given(members: Iterable[Member]) -> list[tuple[float, int, int, int]]:
    """When which offsets of which partition were given."""
    found = []
    for member in members:
        for told in list(member.told):
            if told.what == "read":
                partition, first, last = map(int, told.words)
                found.append((told.at, partition, first, last))
    return sorted(found)


def _all_given(members: Sequence[Member], ends: dict[int, int]) -> bool:
    last: dict[int, int] = {}
    for _, partition, _, end in _given(members):
        last[partition] = max(last.get(partition, -1), end)
    return all(last.get(partition, -1) >= end - 1 for partition, end in ends.items())


def _judge(members: Sequence[Member], ends: dict[int, int], seconds: float, blows: dict[str, int]) -> ChurnReport:
    given = _given(members)
    examples: list[str] = []
    skipped = 0
    for partition, end in sorted(ends.items()):
        missing = {*range(end)}
        for _, of, first, last in given:
            if of == partition:
                missing.difference_update(range(first, last + 1))
        skipped += len(missing)
        examples += [f"{partition}: offset {offset} was given to nobody" for offset in sorted(missing)[:3]]
    again, told = _given_again(members, given)
    twice, owned = _owned_twice(members)
    return ChurnReport(
        seconds=seconds,
        records=sum(ends.values()),
        given=sum(last - first + 1 for _, _, first, last in given),
        blows=blows,
        fenced=sum(told.what == "fenced" for member in members for told in member.told),
        skipped=skipped,
        given_again=again,
        owned_twice=twice,
        examples=[*examples, *told, *owned],
    )


def _given_again(members: Sequence[Member], given: Sequence[tuple[float, int, int, int]]) -> tuple[int, list[str]]:
    commits: list[tuple[float, int, int]] = []
    for told in [told for member in members for told in member.told if told.what == "committed"]:
        for word in told.words:
            partition, end = map(int, word.split(":"))
            commits.append((told.at, partition, end))
    examples: list[str] = []
    again = 0
    for at, partition, first, last in given:
        committed = max((end for when, of, end in commits if of == partition and when < at - SLACK), default=0)
        if first < committed:
            again += min(last + 1, committed) - first
            examples.append(f"{partition}: offsets {first} to {last} were given when {committed} was committed")
    return again, examples[:5]


def _owned_twice(members: Sequence[Member]) -> tuple[int, list[str]]:
    spans: list[tuple[int, float, float, int]] = []  # partition, from, to, member
    for number, member in enumerate(members):
        since: dict[int, float] = {}
        for told in [*member.told]:
            for partition in map(int, told.words if told.what in {"assigned", "revoked", "lost"} else ()):
                if told.what == "assigned":
                    since[partition] = told.at
                elif partition in since:
                    spans.append((partition, since.pop(partition), _until_paused(member, told.at), number))
        for partition, begin in since.items():
            spans.append((partition, begin, _until_paused(member, member.killed_at), number))
    twice, examples = 0, []
    spans.sort()
    for (partition, _, end, one), (of, begin, _, other) in pairwise(spans):
        if of == partition and other != one and begin < end - SLACK:
            twice += 1
            examples.append(f"{partition}: member {other} got it {end - begin:.3f} s before member {one} gave it up")
    return twice, examples[:5]


def _until_paused(member: Member, end: float) -> float:
    """Until when a span that ended so was surely that member's: a pause within a session changes nothing."""
    for paused, resumed in member.stopped:
        if paused < end and resumed - paused > 9.0 and resumed + 1.0 > end:
            return paused
    return end
