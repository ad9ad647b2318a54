"""The nemesis: breaks things at seeded times, within the budget, and heals them at last.

It is a clock and a bag of moves (`fault`, `moves/`): every now and then it draws a move by the weights of the seed, the
move yields faults, and each strikes at its time. What struck is noted with its time and kept as a step of the run's
schedule, so a run can be told, played again and shortened.

What the cluster is entitled to survive is the `budget`'s business; a move asks it, and so does a fault when it strikes,
since a schedule may have been changed.

Beside it stands a supervisor: whoever died by itself is started again. `heal` ends the safety phase: from then on
everything works, and what does not converge is a bug in liveness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import partial
from random import Random

import msgspec

from ..actors.kernel import Address, Event
from ..cluster.world import Clock, Host, Micros, Onlooker, World
from ..storage.memory import Killed, MemoryDisk
from ..storage.memory_tree import Snapshot
from .budget import Budget
from .fault import Fault, When
from .moves import MOVES
from .network import HostileNetwork
from .swarm import Swarm

WATCH_US = 200_000
SELDOM_US = 2_500_000
"""However seldom a seed's faults are, there is one for each of these spans."""
LONGEST_FLUSH_US = 8_000_000


class Note(msgspec.Struct, frozen=True):
    """One line of the fault log."""

    time_us: Micros
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.time_us / 1e6:11.6f}  {self.kind:<16} {self.what}"


class Nemesis(Onlooker):
    """Breaks `servers`; `clients` are only cut off. Call `begin`, run the world, call `heal`."""

    def __init__(
        self,
        world: World,
        network: HostileNetwork,
        swarm: Swarm,
        servers: Sequence[str],
        clients: Sequence[str] = (),
        budget: Budget | None = None,
        record: Callable[[Fault], None] = lambda fault: None,
    ) -> None:
        self.world = world
        self.network = network
        self.swarm = swarm
        self.servers = list(servers)
        self.clients = list(clients)
        self.budget = budget or Budget()
        self.random = world.random("nemesis")  # for moves only: faults have their chance written into them
        self.backups: dict[str, Snapshot] = {}  # copies of disks
        self.mortal: list[str] = []  # clients that may be killed
        self.log: list[Note] = []
        self.faults: Counter[str] = Counter()  # by kind: what was broken, and not what came of it
        self.healed = False
        self._record = record
        self._downs: dict[str, Random] = {name: world.random(f"nemesis/down/{name}") for name in servers}
        self._supervisor: dict[str, Random] = {name: world.random(f"nemesis/supervisor/{name}") for name in servers}
        self._down: set[str] = set()  # will be started by somebody
        self._dead: frozenset[str] = frozenset()  # for good
        self._plugs: set[str] = set()  # lose power when their process is killed in the middle of a write
        self._awaited: list[tuple[Micros, When]] = []  # until when
        world.on_failure = self._on_failure
        world.observers.append(self)
        self._moves = [name for name in MOVES if name in swarm.weights]
        self._weights = [swarm.weights[name] for name in self._moves]
        flush, gone, held = world.random("disk/flush"), world.random("gone"), world.random("held")
        world.flush_time = lambda host: min(self._flush_time(flush), LONGEST_FLUSH_US // host.slowness)
        world.gone_time = lambda watcher, name: self._gone_time(gone)
        world.holds_for_next_life = lambda source, target: held.random() < swarm.times.held_for_next_life

    def begin(self, *, draw: bool = True) -> None:
        """At the very beginning: set the clocks, and start breaking things a second later if faults are drawn."""
        clocks, times = self.world.random("clocks"), self.swarm.times
        for name in [*self.servers, *self.clients]:
            drift = clocks.randint(-times.drift_ppm, times.drift_ppm)
            self.world.hosts[name].clock = Clock(drift, clocks.randint(-times.skew_ms, times.skew_ms))
        self.world.at(WATCH_US, self._watch)
        if draw:
            self.world.at(1_000_000, self._next, first=True)

    def leave(self, names: Collection[str]) -> None:
        """These die for good, although all is healed."""
        self._dead = frozenset(names)
        for name in names:
            self._note("leave", name)
            self.world.crash(name)

    def heal(self) -> None:
        """Everything works from now on: processes run, links carry, disks have room, clocks go right."""
        self.healed = True
        self._note("heal", "everything")
        self.network.heal()
        for source in [*self.servers, *self.clients]:
            for target in [*self.servers, *self.clients]:
                self.world.reset_connections(source, target)
        for name in [*self.servers, *self.clients]:
            host = self.world.hosts[name]
            if isinstance(host.disk, MemoryDisk):
                host.disk.lying_fsync = False
                host.disk.full = None
                host.disk.heal_reads()
            self.world.resume(name)
            host.slowness = 1
            host.cpu_us = 0
            self.world.hurry(host)
            self._new_disk(host)
            if host.node is None:
                self._down.discard(name)
                self._start(name)

    # --- The clockwork ---

    def _next(self) -> None:
        if self.healed:
            return
        over = 0
        if self._moves:
            drawn = MOVES[self.random.choices(self._moves, self._weights)[0]]
            for delay, fault in drawn(self):
                over = max(over, delay + (fault.for_us if isinstance(fault, When) else fault.lasts_us))
                self._later(delay, fault)
        wait = self.exponential(self.swarm.fault_every_us) + 20_000
        if self.swarm.in_turn:
            self.world.at(max(wait, over) if over else min(wait, SELDOM_US), self._next, first=True)
            return
        due = (self.faults.total() + 1) * SELDOM_US - self.world.now
        self.world.at(min(wait, max(due, 20_000)), self._next, first=True)

    def _later(self, delay: Micros, fault: Fault | When) -> None:
        begin = partial(self._await, fault) if isinstance(fault, When) else partial(self.strike, fault)
        if delay <= 0:
            begin()
        else:
            self.world.at(delay, begin, first=True)

    def _await(self, when: When) -> None:
        self._awaited.append((self.world.now + when.for_us, when))

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        """What a move has waited for has come; it strikes when whoever says so has done its work."""
        if not self._awaited or self.healed:
            return
        self._awaited = [(until, when) for until, when in self._awaited if until >= world.now]
        for waiting in self._awaited[:]:
            when = waiting[1]
            if type(event) is when.event and when.host in ("", host.name):
                self._awaited.remove(waiting)
                for delay, fault in when.then():
                    self._later(max(delay, 1), fault)

    def strike(self, fault: Fault) -> None:
        """Let it happen now, and note it."""
        if self.healed or not self.world.hosts.keys() >= {*fault.hosts}:
            return
        at = len(self.log)
        if fault.strike(self):
            self.log.insert(at, Note(self.world.now, fault.kind, fault.sentence()))
            self.faults[fault.kind] += not fault.harmless
            self._record(fault)

    def _watch(self) -> None:
        """The supervisor: whoever died by itself is started again, and at once when everything works.

        Whoever was told to stop before the healing ends when it has handed over what it leads, which may be after it.
        """
        for name in self.servers:
            host = self.world.hosts[name]
            if host.node is None and name not in self._down and name not in self._dead:
                self._note("died", f"{name}: {host.stopped}")
                down_us = 0 if self.healed else int(self._supervisor[name].expovariate(1 / self.swarm.down_us))
                self._restart_later(name, down_us)
        self.world.at(WATCH_US, self._watch)

    def _restart_later(self, name: str, delay: Micros) -> None:
        if name in self._down:
            return
        self._down.add(name)

        def restart() -> None:
            if name in self._down:
                self._down.discard(name)
                self._start(name)

        self.world.at(delay, restart)

    def _start(self, name: str) -> None:
        host = self.world.hosts[name]
        if host.node is None and name not in self._dead:
            self._new_disk(host)
            self._note("start", name)
            self.world.start(name)

    def _new_disk(self, host: Host) -> None:
        """What failed was replaced, with what was on it."""
        if isinstance(host.disk, MemoryDisk):
            host.disk.fail_writes = False
            host.disk.fail_next_fsync = False
            host.disk.dies_in = None

    def _note(self, kind: str, what: str) -> None:
        self.log.append(Note(self.world.now, kind, what))

    # --- For moves: chance ---

    def exponential(self, mean: float) -> Micros:
        return int(self.random.expovariate(1 / mean))

    def down_us(self, name: str) -> Micros:
        """How long a process is down; each host's is a stream of its own."""
        return int(self._downs[name].expovariate(1 / self.swarm.down_us))

    def seed(self) -> int:
        """For a fault that decides by chance itself."""
        return self.random.getrandbits(32)

    def chosen(self, names: Sequence[str]) -> str:
        return self.random.choice(names)

    def shuffled(self) -> list[str]:
        """All servers in some order."""
        return self.random.sample(self.servers, len(self.servers))

    def pair(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Two different ones, as a list of one; empty if there are no two."""
        if len(names) < 2:
            return []
        first, second = self.random.sample(names, 2)
        return [(first, second)]

    def one_alive(self) -> list[str]:
        """A server that runs, as a list of one; empty if none does."""
        alive = self._alive()
        return [self.random.choice(alive)] if alive else []

    def victims(self, at_least: int = 1) -> list[str]:
        """Some of the servers that run."""
        alive = self._alive()
        if not alive:
            return []
        count = self.random.randint(min(at_least, len(alive)), len(alive))
        return sorted(self.random.sample(alive, count))

    def spoilable(self) -> list[str]:
        """A server whose disk may be damaged, as a list of one; empty if there is none."""
        names = [name for name in self.servers if self.budget.may_spoil(name)]
        return [self.random.choice(names)] if names else []

    def _alive(self) -> list[str]:
        return [name for name in self.servers if self.world.hosts[name].node is not None]

    # --- For faults ---

    def kill(self, name: str, down_us: Micros) -> bool:
        """kill -9, and another life after a while. False if it was dead already (and will be started all the same)."""
        alive = self.world.hosts[name].node is not None
        self.world.crash(name)
        self._restart_later(name, down_us)
        return alive

    def start_later(self, name: str, delay: Micros) -> None:
        """A client, which nobody else starts."""

        def start() -> None:
            if self.world.hosts[name].node is None:
                self._note("start", name)
                self.world.start(name)

        self.world.at(delay, start)

    def lose_power_with(self, name: str) -> None:
        """When this process is killed in the middle of a write, its machine loses power."""
        self._plugs.add(name)

    def _on_failure(self, host: Host, error: Exception) -> None:
        if isinstance(error, Killed) and host.name in self._plugs:
            self.world.at(0, partial(self._unplug, host.name), first=True)
        self._plugs.discard(host.name)

    def _unplug(self, name: str) -> None:
        if not self.healed and self.budget.may_lose_power(name):
            self.world.power_loss(name)
            self.budget.lost_power(name)

    def disk(self, name: str) -> MemoryDisk:
        """The disk of a server."""
        disk = self.world.hosts[name].disk
        assert isinstance(disk, MemoryDisk), "a simulated server has a simulated disk"
        return disk

    # --- What the world asks ---

    def _flush_time(self, random: Random) -> Micros:
        times = self.swarm.times
        if not self.healed and times.slow_flush and random.random() < times.slow_flush:
            return random.randrange(times.slow_flush_us)
        mean = times.flush_mean_us - times.flush_min_us
        return times.flush_min_us + int(random.expovariate(1 / mean))

    def _gone_time(self, random: Random) -> Micros | None:
        if random.random() < self.swarm.times.gone_lost:
            return None
        return int(random.expovariate(1 / self.swarm.times.gone_us))
