"""One run of a scenario: a cluster of its own, load, faults, healing, and the verdict.

What is kept afterwards, in a directory of the run: `history.jsonl` (what clients saw), `faults.jsonl` (what was done),
`events.jsonl` (what the nodes said, in the order of time), `verdict.json`, and the nodes' directories if the verdict is
not good or they are asked for.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ...client import Admin
from ...client.errors import BarnabasError
from ...cluster import Cluster
from ...cluster.blows import Arena
from ...cluster.event_file import Happened, Tails
from ...cluster.figures import Figures
from ...cluster.formatting import LOG_FILE, ClusterRefused
from ..verify import examine
from .members import Members
from .plan import plan
from .scenario import TOPIC, Scenario
from .striking import Striker
from .verdict import Evidence, Verdict, judge
from .workload import Record, Workload, now_us

FINAL_READ_S = 60.0
TROUBLE = re.compile(r"Traceback|AssertionError| died: ")


def run(scenario: Scenario, seed: int, directory: Path, say: Callable[[str], None], *, keep: bool = False) -> Verdict:
    """Run it. Raises ClusterRefused if it cannot even begin."""
    directory.mkdir(parents=True, exist_ok=False)
    data = directory / "data"
    with Cluster(config=scenario.cluster_config(), data=data) as cluster:
        evidence = _Run(scenario, seed, directory, cluster, say).go()
    if evidence.finished:
        _, _, findings = examine(data)
        evidence.findings = [f"{node}: {finding.sentence}" if node else finding.sentence for node, finding in findings]
    verdict = judge(evidence)
    directory.joinpath("verdict.json").write_bytes(msgspec.json.format(msgspec.json.encode(verdict)) + b"\n")
    if verdict.valid and not keep:
        shutil.rmtree(data)
    return verdict


class _Run:
    """The parts of a run, one after the other."""

    def __init__(
        self, scenario: Scenario, seed: int, directory: Path, cluster: Cluster, say: Callable[[str], None]
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.directory = directory
        self.cluster = cluster
        self.began = time.monotonic()
        self._tell = say
        self.arena = Arena(cluster.formatted, self._restart)
        self.record = Record(directory / "history.jsonl")
        self.figures = Figures(cluster.directory)

    def _say(self, sentence: str) -> None:
        self._tell(f"{time.monotonic() - self.began:6.1f} s  {sentence}")

    def _restart(self, nodes: Sequence[int]) -> None:
        self.cluster.restart(*nodes)

    def go(self) -> Evidence:
        scenario, timeline, part = self.scenario, self.scenario.timeline, self.scenario.workload
        load = os.getloadavg()[0]
        configs = {"min.insync.replicas": str(part.min_insync), "durability": part.durability}
        self.cluster.create_topic(TOPIC, part.partitions, min(part.replication, len(self.arena.nodes)), configs)
        self.cluster.await_isr(TOPIC)
        workload = Workload(self.cluster.bootstrap, part, self.record, self.seed)
        planned = plan(scenario, self.seed, self.arena.nodes)
        self._say(f"{len(self.arena.nodes)} nodes, {part.rate} records a second, {len(planned)} blows to come")
        with self.cluster.admin() as admin:
            self.arena = Arena(self.cluster.formatted, self._restart, lambda *which: _elect(admin, *which))
            striker = Striker(self.arena, admin, self.directory / "faults.jsonl", self._say)
            members = Members(self.cluster.bootstrap, scenario.members, self.directory / "members", self.seed)
            settled: float | None = 0.0
            workload.start()
            try:
                if scenario.members.count:
                    members.start()
                    members.settled(admin)
                time.sleep(timeline.warm_up)
                steady = now_us()
                time.sleep(timeline.steady)
                before = self.figures.look()
                impact = now_us()
                self._say("the faults begin")
                members.churn()
                striker.carry_out(planned, time.monotonic(), timeline.impact)
                end = now_us()
                left, converged = self._heal(admin)
                members.calm()
                if scenario.members.count:
                    settled = members.settled(admin)
                    self._say(f"{members.killed} members were killed, {members.left} left; the group is stable again")
                time.sleep(timeline.recovery)
            finally:
                workload.stop()
                members.stop()
                striker.write()
        self._say("everything is read to the end")
        read = self._read(workload)
        after = self.figures.look()
        seen, shared = members.ops()
        self.record.add(*seen)
        self.record.close()
        return Evidence(
            scenario=scenario,
            seed=self.seed,
            directory=str(self.directory),
            ops=self.record.ops,
            complaints=self.record.complaints,
            struck=striker.struck,
            refused=[*striker.refused, *(f"only at the end {sentence}" for sentence in left)],
            events=self._events(),
            steady_us=(steady, impact),
            impact_us=(impact, end),
            converge_s=converged,
            read_everything=read,
            group_settled_s=settled,
            shared=shared,
            findings=[],
            last_words=[] if scenario.checks.ends_nodes else self._last_words(),
            before=before,
            after=after,
            load=(load, os.getloadavg()[0]),
        )

    def _heal(self, admin: Admin) -> tuple[list[str], float | None]:
        """Undo what is left and wait until all is in sync: what was left, and how long it took, None if too long.

        Every blow has been undone by then, so that whatever is left was not.
        """
        began = time.monotonic()
        left = self.arena.heal()
        for sentence in left:
            self._say(sentence)
        while (passed := time.monotonic() - began) < self.scenario.checks.converge_s:
            if _whole(admin):
                self._say(f"all is healed, and all replicas are in sync after {passed:.1f} s")
                return left, passed
            time.sleep(0.05)  # nothing tells that the last of many has come
        self._say(f"not all replicas are in sync after {passed:.0f} s")
        return left, None

    def _read(self, workload: Workload) -> bool:
        try:
            return workload.read_all(FINAL_READ_S)
        except BarnabasError as error:
            self.record.complain(error)
            return False

    def _events(self) -> list[Happened]:
        config = self.cluster.formatted.config
        events = Tails({node.id: config.data_of(node) for node in config.nodes}).poll()
        lines = b"".join(msgspec.json.encode(event) + b"\n" for event in events)
        self.directory.joinpath("events.jsonl").write_bytes(lines)
        return events

    def _last_words(self) -> list[str]:
        found = []
        for node in self.cluster.formatted.config.nodes:
            path = self.cluster.formatted.config.data_of(node) / LOG_FILE
            lines = path.read_text("utf-8", "replace").splitlines() if path.exists() else []
            found += [f"node {node.id}: {line}" for line in lines if TROUBLE.search(line)]
        return found


def _elect(admin: Admin, topic: str, index: int, node: int) -> str:
    """An unclean election: what is wrong with it, if anything."""
    try:
        [outcome] = admin.elect_unclean({(topic, index): node})
    except BarnabasError as error:
        return str(error)
    return outcome.reason


def _whole(admin: Admin) -> bool:
    """Whether every broker serves and every replica is in sync."""
    try:
        picture = admin.describe_cluster(timeout=2.0)
    except BarnabasError:
        return False
    return not any(broker.fenced for broker in picture.brokers) and all(
        partition.leader >= 0 and len(partition.isr) == len(partition.replicas)
        for topic in picture.topics
        for partition in topic.partitions
    )


def new_directory(name: str, below: Path) -> Path:
    """A directory for this run that does not exist yet."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in range(100):
        path = below / f"{name}-{stamp}{f'-{number}' if number else ''}"
        if not path.exists():
            return path
    raise ClusterRefused(f"{below} has too many runs of this second: choose another directory with --out.")
