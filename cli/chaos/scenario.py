"""A scenario: which cluster, what it is asked to do, what is done to it and when, and what must hold afterwards.

    scenario = load("kill-leader")             # one that comes with Barnabas, or a path
    scenario = scenario.lasting(120)           # another length of the impact

The file is TOML; every key is explained in `configs/chaos/kill-leader.toml`. A run has four parts: *warm-up*, *steady*
(what is normal is measured), *impact* (the faults), *recovery* (everything is healed, the load goes on).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, field
from msgspec.structs import replace

from ...cluster.blows import INJECTED, LINKS, Blow, Verb
from ...cluster.config import CONFIGS, default_config_path, local
from ...cluster.config import load as load_cluster
from ...cluster.formatting import ClusterRefused
from ...cluster.settings import ClusterConfig
from .targets import Target, parse

TOPIC = "chaos"
GROUP = "chaos"
EVERYBODY = "all"  # a target: every node at once, to be killed
SCENARIOS = CONFIGS / "chaos"

Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Some = Annotated[int, Meta(ge=1, le=10_000)]


class ClusterPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[cluster]: `file` names a configuration that comes with Barnabas, or a path; else there are `brokers` alike."""

    brokers: Annotated[int, Meta(ge=1, le=9)] = 3
    file: str = ""


class WorkloadPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[workload]: one topic, `chaos`, and real clients."""

    partitions: Some = 6
    replication: Annotated[int, Meta(ge=1, le=9)] = 3
    min_insync: Annotated[int, Meta(ge=1, le=9)] = 2
    durability: Literal["fsync", "os"] = "fsync"
    producers: Some = 2
    consumers: Annotated[int, Meta(ge=0, le=100)] = 1
    rate: Some = 200  # records a second, of all producers together
    value_bytes: Annotated[int, Meta(ge=32, le=100_000)] = 100
    acks: Literal["all", 1] = "all"
    reread_every: Seconds = 0.0  # so often one more consumer reads everything from the beginning; 0: never


class MembersPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[members]: consumers of one group, `chaos`, each a process. Not both kinds of coming and going."""

    count: Annotated[int, Meta(ge=0, le=50)] = 0
    killed_every: Seconds = 0.0  # so often one is killed (kill -9) and another one comes; 0: never
    changed_every: Seconds = 0.0  # so often one leaves in good order, or one comes; 0: never
    settle_s: Seconds = 15.0  # after the faults the group must be stable within so long


class TimelinePart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[timeline], in seconds."""

    warm_up: Seconds = 1.0
    steady: Seconds = 3.0
    impact: Seconds = 20.0
    recovery: Seconds = 3.0


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"lasting": "for"}):
    """[[fault]]: a blow, when it comes, how often, and how long until it is undone. Times in seconds of the impact."""

    do: Verb
    target: str = ""
    at: Seconds = 0.0
    times: Some = 1
    every: Seconds = 5.0  # between two times
    lasting: Seconds | None = None  # None: until the end of the impact
    other: str = ""  # of a cut: who does not hear the target; nobody named: all others
    both: bool = False
    deaf: bool = False
    groups: list[list[int]] = []
    delay_ms: int = 0
    jitter_ms: int = 0
    bytes_per_s: int = 0
    left_mb: Annotated[int, Meta(ge=0)] = 0
    offset_s: float = 0.0
    partition: str = ""

    def blow(self, node: int, other: int, seed: int) -> Blow:
        """The blow at a node."""
        return Blow(
            self.do, node, other, self.both, self.deaf, self.groups, self.delay_ms, self.jitter_ms, self.bytes_per_s,
            self.left_mb * 1_000_000, int(self.offset_s * 1000), self.partition, seed,
        )  # fmt: skip


class RandomPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"lasting": "for"}):
    """[random]: blows by chance, each at a node by chance. Spans are drawn evenly between two numbers of seconds."""

    weights: dict[str, int]  # how often each blow is chosen, in proportion
    every: tuple[Seconds, Seconds] = (4.0, 10.0)  # between the end of a blow and the next one
    lasting: tuple[Seconds, Seconds] = (0.5, 6.0)


class ChecksPart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[checks]: what must hold, besides that nothing acknowledged is lost, doubled or out of order."""

    next_ack_s: Seconds = 10.0  # from a blow to the next acknowledgement, in every partition that it concerns
    converge_s: Seconds = 30.0  # from the end of the faults until every replica is in sync again
    failed_sends: Annotated[int, Meta(ge=0)] | None = None  # at most; None: as many as like
    ends_nodes: bool = False  # the faults may end a process by themselves
    events: list[str] = []  # kinds of events that nodes must have told


class Scenario(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"faults": "fault"}):
    """A whole file. `name` is that of the file."""

    title: str
    name: str = ""
    loses: bool = False  # it is made to lose acknowledged records, so its verdict is not good
    cluster: ClusterPart = ClusterPart()
    workload: WorkloadPart = WorkloadPart()
    members: MembersPart = MembersPart()
    timeline: TimelinePart = TimelinePart()
    faults: list[Fault] = field(default_factory=list)
    random: RandomPart | None = None
    checks: ChecksPart = ChecksPart()

    @property
    def verbs(self) -> set[str]:
        """Every kind of blow that may come."""
        return {fault.do for fault in self.faults} | set(self.random.weights if self.random is not None else ())

    def lasting(self, seconds: float) -> Scenario:
        """The same with an impact of so many seconds."""
        return replace(self, timeline=replace(self.timeline, impact=seconds))

    def cluster_config(self) -> ClusterConfig:
        """The cluster, with the links and the obedience that the blows need."""
        given = self.cluster.file
        if given:
            config = load_cluster(Path(given) if given.endswith(".toml") else default_config_path(given))
        else:
            config = local(self.cluster.brokers, name="chaos")
        return replace(
            config,
            cluster=replace(
                config.cluster,
                links="proxied" if self.verbs & set(LINKS) else "direct",
                faults="allowed" if self.verbs & set(INJECTED) else "refused",
                restart="never",
            ),
        )


def shipped() -> list[str]:
    """The names of the scenarios that come with Barnabas."""
    return sorted(path.stem for path in SCENARIOS.glob("*.toml"))


def load(name: str) -> Scenario:
    """A scenario by name, or from a path. Raises ClusterRefused in one sentence."""
    path = Path(name)
    if path.suffix != ".toml":
        path = SCENARIOS / f"{name}.toml"
        if not path.is_file():
            raise ClusterRefused(f"no scenario is called `{name}`, expected a path or one of: {', '.join(shipped())}.")
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ClusterRefused(f"{path} cannot be read: {(error.strerror or 'impossible').lower()}.") from None
    try:
        scenario = msgspec.convert(tomllib.loads(text), Scenario)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ClusterRefused(f"{path}: {error}.") from None
    problem = _problem(scenario)
    if problem:
        raise ClusterRefused(f"{path}: {problem}.")
    return replace(scenario, name=path.stem)


def _problem(scenario: Scenario) -> str:
    """What does not fit together; empty if all does."""
    members = scenario.members
    if members.killed_every and members.changed_every:
        return "[members] has `killed_every` and `changed_every`, expected one of them"
    churn = members.count and (members.killed_every or members.changed_every)
    if not (scenario.faults or scenario.random is not None or churn):
        return "there is no [[fault]], no [random] and no [members] that come and go, so nothing would be done"
    for number, fault in enumerate(scenario.faults, 1):
        if not fault.target and fault.do != "split":
            return f"[[fault]] number {number} has no `target`, expected a node, leader:TOPIC/P, controller or random"
        if fault.do == "split" and len(fault.groups) != 2:
            return f"[[fault]] number {number} needs `groups`, two lists of nodes"
        for text in (fault.target, fault.other):
            if text and text != EVERYBODY and not isinstance(parse(text), Target):
                return f"[[fault]] number {number}: {parse(text)}"
    known = set(Verb.__args__)  # type: ignore[attr-defined]
    for verb in scenario.random.weights if scenario.random is not None else ():
        if verb not in known or verb in ("split", "corrupt", "wipe", "elect-unclean"):
            return f"[random] has a weight for `{verb}`, which is not a blow at one node that can be undone"
    return ""
