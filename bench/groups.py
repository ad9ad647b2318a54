"""How soon a consumer group settles: when it begins, when members come, when one dies, when its coordinator dies.

    first        from the making of a consumer to its first record: the first group of a cluster ever (the topic for
                 groups has to be made), and new groups after that
    joins        members join one after another: from the last join until everybody has its share for good
    death        a member is killed with -9: until the last of its partitions is served by another, under a flow of
                 records to all partitions
    coordinator  the broker that coordinates is killed with -9: the longest time without a commit that was answered

Members are processes of their own, except for the first records, which one process measures.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from itertools import pairwise

import msgspec

from ..actors.internal_topics import GROUP_OFFSETS, partition_of
from ..client import Consumer
from ..client.errors import BarnabasError
from ..cluster import Cluster
from .group_churn import churn
from .group_processes import PATIENCE, Flow, Member, until
from .machine import Machine, machine, print_json

JOIN_EVERY = 0.1


class GroupReport(msgspec.Struct, frozen=True):
    """What `bench group --json` prints. Times in milliseconds."""

    machine: Machine
    first_ever_ms: float
    first_ms: list[float]
    first_p50_ms: float
    members: int
    partitions: int
    joins_settled_ms: float  # after the last join
    deaths_ms: list[float]
    death_worst_ms: float
    coordinator_ms: list[float]
    coordinator_worst_ms: float


def measure(
    members: int, partitions: int, times: int, progress: Callable[[str], None] = lambda line: None
) -> GroupReport:
    """All four, in a cluster of its own, which leaves nothing behind."""
    here = machine()
    with Cluster(brokers=3) as cluster:
        ever, firsts = _first(cluster, times)
        progress(f"first record: {ever:.0f} ms for the first group ever, then p50 {statistics.median(firsts):.0f} ms")
        settled = _joins(cluster, members, partitions)
        progress(f"{members} members on {partitions} partitions: settled {settled:.0f} ms after the last join")
        deaths = [_death(cluster, f"death-{number}") for number in range(times)]
        progress(f"a member killed: served again after {', '.join(f'{ms:.0f}' for ms in deaths)} ms")
        coordinator = _coordinator(cluster, times)
        progress(f"the coordinator's broker killed: {', '.join(f'{ms:.0f}' for ms in coordinator)} ms without a commit")
    return GroupReport(
        machine=here,
        first_ever_ms=round(ever, 1),
        first_ms=[round(ms, 1) for ms in firsts],
        first_p50_ms=round(statistics.median(firsts), 1),
        members=members,
        partitions=partitions,
        joins_settled_ms=round(settled, 1),
        deaths_ms=[round(ms, 1) for ms in deaths],
        death_worst_ms=round(max(deaths), 1),
        coordinator_ms=[round(ms, 1) for ms in coordinator],
        coordinator_worst_ms=round(max(coordinator), 1),
    )


def _first(cluster: Cluster, times: int) -> tuple[float, list[float]]:
    cluster.create_topic("first", partitions=6)
    with cluster.producer() as producer:
        for number in range(60):
            producer.send("first", str(number), partition=number % 6)
    found = [_first_record(cluster, f"first-{number}") for number in range(1 + max(times, 3))]
    return found[0], found[1:]


def _first_record(cluster: Cluster, group: str) -> float:
    began = time.monotonic()
    with Consumer(cluster.bootstrap, "first", group=group) as consumer:
        while not consumer.poll(1.0):
            if time.monotonic() - began > PATIENCE:
                raise BarnabasError(f"group {group} got no record within {PATIENCE:g} s")
        return (time.monotonic() - began) * 1000


def _joins(cluster: Cluster, count: int, partitions: int) -> float:
    cluster.create_topic("joins", partitions=partitions)
    members = [Member(cluster.bootstrap, "joins", "joins") for _ in range(count)]
    try:
        last = 0.0
        for member in members:
            last = member.join()
            time.sleep(JOIN_EVERY)
        least = partitions // count
        until(lambda: sum(m.share for m in members) == partitions and all(m.share >= least for m in members))
        return (max(member.changed_at for member in members) - last) * 1000
    finally:
        for member in members:
            member.end()


def _death(cluster: Cluster, name: str) -> float:
    cluster.create_topic(name, partitions=6)
    members = [Member(cluster.bootstrap, name, name) for _ in range(3)]
    with cluster.producer(linger_ms=0) as producer:
        flow = Flow(producer, name, 6)
        flow.start()
        try:
            for member in members:
                member.join()
            until(lambda: all(member.share == 2 and len(member.served()) >= 2 for member in members))
            victim, *others = members
            settled = time.monotonic()
            time.sleep(1.0)
            orphans = set(victim.served(settled))
            at = victim.kill()
            until(lambda: sum(other.share for other in others) == 6)
            until(lambda: orphans <= {partition for other in others for partition in other.served(at)})
            return max((min(o.served(at).get(partition, 1e18) for o in others) - at) * 1000 for partition in orphans)
        finally:
            flow.stop()
            for member in members:
                member.end()


def _coordinator(cluster: Cluster, times: int) -> list[float]:
    group = "coordinated"
    cluster.create_topic(group, partitions=1)
    gaps: list[float] = []
    with cluster.consumer(group, group=group, auto_commit=False) as consumer:
        commits: list[float] = []
        over = threading.Event()

        def commit_on() -> None:
            number = 0
            while not over.is_set():
                consumer.poll(0.0)
                if consumer.assignment():
                    consumer.commit({(group, 0): number}, timeout=PATIENCE)
                    commits.append(time.monotonic())
                    number += 1
                over.wait(0.01)

        committing = threading.Thread(target=commit_on, daemon=True)
        committing.start()
        try:
            for _ in range(times):
                cluster.await_isr(GROUP_OFFSETS, PATIENCE)
                _await_commits(commits, time.monotonic())
                victim = cluster.leader(GROUP_OFFSETS, partition_of(group, 12))
                at = time.monotonic()
                cluster.kill(victim)
                _await_commits(commits, at + 0.5)
                around = [moment for moment in commits if moment > at - 1.0]
                gaps.append(max(later - sooner for sooner, later in pairwise(around)) * 1000)
                cluster.restart(victim)
        finally:
            over.set()
            committing.join()
    return gaps


def _await_commits(commits: list[float], after: float) -> None:
    """Until twenty were answered after that moment."""
    until(lambda: len(commits) > 20 and commits[-20] > after)


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench group`."""
    quiet: bool = arguments.json
    if arguments.churn:
        judged = churn(arguments.churn, arguments.seed, (lambda line: None) if quiet else _say)
        print_json(judged)
        return 0 if judged.good else 1
    report = measure(arguments.members, arguments.partitions, arguments.times, (lambda line: None) if quiet else _say)
    if quiet:
        print_json(report)
    return 0


def _say(line: str) -> None:
    print(line, flush=True)
