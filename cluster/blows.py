"""What can be done to the nodes of a cluster on this machine, one blow at a time, and how each is undone.

    arena = Arena(formatted, start=lambda nodes: cluster.restart(*nodes))
    arena.strike(Blow("kill", node=2))         # a sentence about what was done
    arena.undo(Blow("kill", node=2))           # it is started again
    arena.heal()                               # everything that was done, by whomever, is undone

    kill       kill -9, and the node is started again        stop       SIGSTOP, and SIGCONT
    restart    SIGTERM, and started again at once            wipe       kill -9, its data removed, and started again
    isolate    nothing passes between it and the others      cut        what it says does not reach another one
    split      two groups that do not hear each other        bridge     all but this node are two such groups
    slow       what it says and hears comes late             reset      its connections break, and are made again
    fill-disk  so many bytes are left on its disk            slow-disk  its flushes take longer
    fail-disk  its next flush fails                          clock      its wall clock is wrong
    corrupt    some bits of a log on its disk change
    elect-unclean  it is made leader of a partition that nobody leads, whatever it lacks

Blows on processes need nothing. Those on links need `links = "proxied"`, those on disks and clocks
`faults = "allowed"` in the cluster file; `corrupt` and `wipe` change files that belong to the cluster.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable, Sequence
from random import Random
from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from .formatting import EVENTS_FILE, LOG_FILE, OLD_EVENTS_FILE, ClusterRefused, Formatted
from .injection import NOTHING, Injection, inject, injected
from .link_control import LinkControl
from .processes import NodeProcess, kill, living, terminate
from .supervisor import STOP_PATIENCE, known_node

Verb = Literal[
    "kill", "stop", "restart", "wipe", "isolate", "cut", "split", "bridge", "slow", "reset", "fill-disk", "slow-disk",
    "fail-disk", "clock", "corrupt", "elect-unclean",
]  # fmt: skip
VERBS: tuple[str, ...] = get_args(Verb)
LINKS = ("isolate", "cut", "split", "bridge", "slow", "reset")
INJECTED = ("fill-disk", "slow-disk", "fail-disk", "clock")
KEPT_FILES = (EVENTS_FILE, OLD_EVENTS_FILE, LOG_FILE)  # by a wipe: what happened is still to be told


class Blow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing that is done to a node, or between nodes. Numbers that a verb does not use are 0."""

    do: Verb
    node: int = 0  # 0: all nodes at once (kill)
    other: int = 0  # of a cut: who does not hear `node`; 0: all others
    both: bool = False  # of a cut: nor does `node` hear them
    deaf: bool = False  # of a cut: it is heard, and does not hear
    groups: list[list[int]] = []  # of a split
    delay_ms: int = 0  # of slow and slow-disk
    jitter_ms: int = 0  # of slow
    bytes_per_s: int = 0  # of slow; 0: no limit
    left_bytes: int = 0  # of fill-disk
    offset_ms: int = 0  # of clock
    partition: str = ""  # of corrupt and elect-unclean: "orders-0"
    seed: int = 0  # of corrupt: which bits


class Arena:
    """The nodes of one cluster, which lives on this machine as processes. Refusals are ClusterRefused."""

    def __init__(
        self,
        formatted: Formatted,
        start: Callable[[Sequence[int]], None],
        elect: Callable[[str, int, int], str] | None = None,
    ) -> None:
        self.formatted = formatted
        self._start = start
        self._elect = elect  # topic, partition and node: what is wrong, if anything
        self._directory = formatted.directory

    @property
    def nodes(self) -> list[int]:
        return [node.id for node in self.formatted.config.nodes]

    def alive(self) -> dict[int, NodeProcess]:
        """The nodes that live, stopped ones too."""
        return {process.node: process for process in living(self._directory)}

    # --- Blows ---

    def strike(self, blow: Blow) -> str:
        """Do it; what was done, in a sentence. It is in force on return."""
        if blow.node:
            known_node(self.formatted, blow.node)
        match blow.do:
            case "kill" | "stop" | "restart" | "wipe":
                return self._strike_process(blow)
            case "isolate" | "cut" | "split" | "bridge" | "slow" | "reset":
                return self._strike_links(blow)
            case "fill-disk":
                self._inject(blow.node, room_bytes=blow.left_bytes)
                return f"node {blow.node} was told that its disk has {blow.left_bytes} bytes left"
            case "slow-disk":
                self._inject(blow.node, flush_delay_ms=blow.delay_ms)
                return f"node {blow.node} was told to take {blow.delay_ms} ms longer for each flush"
            case "fail-disk":
                self._inject(blow.node, fail_flush=True)
                return f"node {blow.node} was told to fail its next flush"
            case "clock":
                self._inject(blow.node, clock_ms=blow.offset_ms)
                return f"the clock of node {blow.node} was set {blow.offset_ms / 1000:+g} s"
            case "corrupt":
                return self._corrupt(blow)
            case "elect-unclean":
                return self._elect_unclean(blow)

    def undo(self, blow: Blow) -> str:
        """The opposite; empty if there is nothing to undo."""
        match blow.do:
            case "kill" | "wipe" | "fail-disk" if dead := self._dead(blow):
                for node in dead:
                    self._inject_nothing(node)
                self._start(dead)
                return f"{_names(dead)} {'was' if len(dead) == 1 else 'were'} started again"
            case "stop":
                return self._continue(blow.node)
            case "bridge":  # the node itself hears everybody: the ways between the others were cut
                self._links.heal(*(node for node in self.nodes if node != blow.node))
                return f"the links of all but node {blow.node} were healed"
            case "isolate" | "cut" | "split" | "slow":
                self._links.heal(*([blow.node] if blow.node else []))
                return f"the links of {f'node {blow.node}' if blow.node else 'all nodes'} were healed"
            case "fill-disk" | "slow-disk" | "clock" | "fail-disk":
                self._inject_nothing(blow.node)
                return f"node {blow.node} was told to behave as it is"
            case _:
                return ""

    def heal(self) -> list[str]:
        """Continue who is stopped, mend every link, take back every order, start who is dead."""
        done = []
        alive = self.alive()
        for node, process in alive.items():
            if process.state() == "paused":
                done.append(self._continue(node))
        if self.formatted.links is not None and any(way.faulty for way in self._links.ways()):
            self._links.heal()
            done.append("all links were healed")
        for node in self.nodes:
            if injected(self.formatted.config.data_of(self.formatted.config.node(node))) != NOTHING:
                self._inject_nothing(node)
                done.append(f"node {node} was told to behave as it is")
        dead = self._dead(Blow("kill"))
        if dead:
            self._start(dead)
            done.append(f"{_names(dead)} {'was' if len(dead) == 1 else 'were'} started again")
        return done

    def _dead(self, blow: Blow) -> list[int]:
        """Of the nodes that a blow is about, those that do not live."""
        alive = self.alive()
        return [node for node in ([blow.node] if blow.node else self.nodes) if node not in alive]

    # --- Processes ---

    def _strike_process(self, blow: Blow) -> str:
        if blow.do == "kill" and not blow.node:
            alive = self.alive()
            kill(alive.values())
            return f"{_names(list(alive))} were killed (kill -9)"
        process = self.alive().get(blow.node)
        if process is None:
            raise ClusterRefused(f"node {blow.node} is not running: `barnabas chaos heal` starts it again.")
        match blow.do:
            case "kill":
                kill([process])
                return f"node {blow.node} was killed (kill -9 of process {process.pid})"
            case "stop":
                process.signal(signal.SIGSTOP)
                return f"node {blow.node} was stopped (SIGSTOP of process {process.pid})"
            case "wipe":
                kill([process])
                self._wipe(blow.node)
                return f"node {blow.node} was killed and its data removed"
            case _:
                terminate([process], STOP_PATIENCE)
                self._start([blow.node])
                return f"node {blow.node} was ended in good order and started again"

    def _continue(self, node: int) -> str:
        process = self.alive().get(node)
        if process is None or not process.signal(signal.SIGCONT):
            return ""
        return f"node {node} goes on"

    def _wipe(self, node: int) -> None:
        """As after a disk was replaced."""
        directory = self.formatted.config.data_of(self.formatted.config.node(node))
        for path in directory.iterdir():
            if path.name in KEPT_FILES:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    # --- Links ---

    @property
    def _links(self) -> LinkControl:
        return LinkControl(self.formatted)

    def _strike_links(self, blow: Blow) -> str:
        links, others = self._links, [node for node in self.nodes if node != blow.node]
        match blow.do:
            case "isolate":
                links.isolate(blow.node)
                return f"node {blow.node} was cut off from all others"
            case "cut":
                for other in [blow.other] if blow.other else others:
                    if not blow.deaf:
                        links.cut(blow.node, other)
                    if blow.deaf or blow.both:
                        links.cut(other, blow.node)
                whom = f"node {blow.other}" if blow.other else "the others"
                if blow.deaf:
                    return f"node {blow.node} does not hear {whom}"
                return f"node {blow.node} is not heard by {whom}{', nor does it hear them' if blow.both else ''}"
            case "split":
                self._split(links, blow.groups)
                return f"the nodes were split into {' and '.join(map(str, blow.groups))}"
            case "bridge":
                half = len(others) // 2
                self._split(links, [others[:half], others[half:]])
                return f"only node {blow.node} still hears both {others[:half]} and {others[half:]}"
            case "slow":
                for other in others:
                    for pair in ((blow.node, other), (other, blow.node)):
                        links.slow(
                            *pair, delay_ms=blow.delay_ms, jitter_ms=blow.jitter_ms, bytes_per_s=blow.bytes_per_s
                        )
                return f"the links of node {blow.node} are {blow.delay_ms} ms slower"
            case _:
                for other in others:
                    links.reset(blow.node, other)
                return f"the connections of node {blow.node} were broken"

    def _split(self, links: LinkControl, groups: Sequence[Sequence[int]]) -> None:
        for group in groups:
            for node in group:
                for other in (other for another in groups if another is not group for other in another):
                    links.cut(node, other)

    # --- Disks and clocks ---

    def _inject(self, node: int, **what: int) -> None:
        directory = self.formatted.config.data_of(self.formatted.config.node(node))
        inject(self.formatted, node, replace(injected(directory), **what))

    def _inject_nothing(self, node: int) -> None:
        directory = self.formatted.config.data_of(self.formatted.config.node(node))
        if injected(directory) != NOTHING:
            inject(self.formatted, node, Injection())

    def _elect_unclean(self, blow: Blow) -> str:
        topic, _, index = blow.partition.rpartition("-")
        wrong = "nobody here can ask for it" if self._elect is None else self._elect(topic, int(index), blow.node)
        if wrong:
            raise ClusterRefused(f"node {blow.node} was not made leader of {blow.partition}: {wrong}.")
        return f"node {blow.node} was made leader of {blow.partition}, whatever it lacks"

    def _corrupt(self, blow: Blow) -> str:
        """Change bits in the older half of a partition's first file, of which nobody may have a copy in memory."""
        directory = self.formatted.config.data_of(self.formatted.config.node(blow.node))
        logs = sorted((directory / blow.partition).glob("*.log"))
        if not logs:
            raise ClusterRefused(f"node {blow.node} has no log of {blow.partition}: write something to it first.")
        path, chance = logs[0], Random(blow.seed)
        size = path.stat().st_size
        places = sorted(chance.randrange(size // 2) for _ in range(2)) if size > 1 else [0]
        with path.open("r+b") as file:
            for place in places:
                file.seek(place)
                byte = file.read(1)
                file.seek(place)
                file.write(bytes([byte[0] ^ 1 << chance.randrange(8)]))
        return f"two bits of {blow.partition}/{path.name} of node {blow.node} were flipped, at bytes {places}"


def _names(nodes: Sequence[int]) -> str:
    return f"node {nodes[0]}" if len(nodes) == 1 else f"nodes {', '.join(map(str, nodes))}"
