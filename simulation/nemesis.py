"""The nemesis: breaks things at seeded times, within what the cluster is entitled to survive, and heals them at last.

The budget. Processes may die in any number and at any moment, and all machines may lose power at once: the cluster
must survive that (with durability "os" only one may, until it is in sync again everywhere). Disks may fill, fail with
an EIO or fail to flush: their node dies and comes back. Bytes that were durable may rot on one host only, in data
partitions only, below the recovery point only (above it nobody can tell rot from a torn tail), and only where
`min.insync` leaves another replica that has them.
A host whose disk was damaged is told to the oracle (`lossy`), which then does not hold its lost bytes against it.

Every fault is noted with its time, so a trace can show what had happened. `heal` ends the safety phase: from
then on everything works, and what does not converge is a bug in liveness.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from random import Random

import msgspec

from ..actors.replicas import key_of
from ..cluster.world import EPOCH_WALL_MS, Clock, Host, Micros, World
from ..storage.checkpoint import RECOVERY_POINTS, read_offsets
from ..storage.disk import Reader, StorageError
from ..storage.memory import MemoryDisk
from ..storage.records import InvalidBatch, iter_headers
from .network import HostileNetwork, Link
from .swarm import Swarm
from .views import DurableReader

WATCH_US = 200_000
SELDOM_US = 2_500_000
"""However seldom a seed's faults are, there is one for each of these spans."""
LONGEST_FLUSH_US = 8_000_000
YEAR_MS = 365 * 24 * 3600 * 1000


class Fault(msgspec.Struct, frozen=True):
    """One line of the fault log."""

    time_us: Micros
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.time_us / 1e6:11.6f}  {self.kind:<16} {self.what}"


class Nemesis:
    """Breaks `servers`; `clients` are only cut off. Call `begin`, run the world, call `heal`."""

    def __init__(
        self,
        world: World,
        network: HostileNetwork,
        swarm: Swarm,
        servers: Sequence[str],
        clients: Sequence[str] = (),
        damaged: Callable[[str], None] = lambda host: None,
        powerless: Callable[[str], None] = lambda host: None,
        may_lose_power: Callable[[str], bool] = lambda host: True,
    ) -> None:
        self.world = world
        self.network = network
        self.swarm = swarm
        self.servers = list(servers)
        self.clients = list(clients)
        self.damaged = damaged  # told of hosts whose durable bytes were spoilt
        self.may_lose_power = may_lose_power  # else it is only killed
        self.powerless = powerless  # told of hosts that lost power: their next boot is another one
        self.log: list[Fault] = []
        self.faults: Counter[str] = Counter()  # by kind: what was broken, and not what came of it
        self.healed = False
        self._random = world.random("nemesis")
        self._restarts: dict[str, Random] = {name: world.random(f"nemesis/restart/{name}") for name in servers}
        self._down: set[str] = set()  # will be started by somebody
        self._rotten: str | None = None
        self._kinds = [kind for kind in sorted(swarm.weights) if hasattr(self, f"_{kind}")]
        self._weights = [swarm.weights[kind] for kind in self._kinds]
        flush, gone, held = world.random("disk/flush"), world.random("gone"), world.random("held")
        world.flush_time = lambda host: min(self._flush_time(flush), LONGEST_FLUSH_US // host.slowness)
        world.gone_time = lambda watcher, name: self._gone_time(gone)
        world.holds_for_next_life = lambda source, target: held.random() < swarm.times.held_for_next_life

    def begin(self) -> None:
        """Start breaking things, a second from now."""
        self.world.at(1_000_000, self._next)
        self.world.at(WATCH_US, self._watch)

    def heal(self) -> None:
        """Everything works from now on: processes run, links carry, disks have room, clocks go right."""
        self.healed = True
        self._note("heal", "everything", counts=False)
        self.network.heal()
        for source in [*self.servers, *self.clients]:
            for target in [*self.servers, *self.clients]:
                self.world.reset_connections(source, target)
        for name in [*self.servers, *self.clients]:
            host = self.world.hosts[name]
            self.world.resume(name)
            host.slowness = 1
            self._mend_disk(host)
            if name in self.servers and host.node is None:
                self._down.discard(name)
                self._start(name)

    # --- The clockwork ---

    def _next(self) -> None:
        if self.healed:
            return
        kind = self._random.choices(self._kinds, self._weights)[0]
        getattr(self, f"_{kind}")()
        wait = self._exponential(self.swarm.fault_every_us) + 20_000
        due = (self.faults.total() + 1) * SELDOM_US - self.world.now
        self.world.at(min(wait, max(due, 20_000)), self._next)

    def _watch(self) -> None:
        """The supervisor: whoever died by itself is started again."""
        for name in self.servers:
            host = self.world.hosts[name]
            if host.node is None and name not in self._down:
                self._note("died", f"{name}: {host.stopped}", counts=False)
                self._restart_later(name)
        self.world.at(WATCH_US, self._watch)

    def _restart_later(self, name: str, delay: Micros | None = None) -> None:
        if name in self._down:
            return
        self._down.add(name)
        down = self._restarts[name].expovariate(1 / self.swarm.down_us)

        def restart() -> None:
            if name in self._down:
                self._down.discard(name)
                self._start(name)

        self.world.at(int(down) if delay is None else delay, restart)

    def _start(self, name: str) -> None:
        host = self.world.hosts[name]
        if host.node is None:
            self._mend_disk(host)
            self._note("start", name, counts=False)
            self.world.start(name)

    def _mend_disk(self, host: Host) -> None:
        if isinstance(host.disk, MemoryDisk):
            host.disk.full = None
            host.disk.fail_writes = False
            host.disk.fail_next_fsync = False
            host.disk.heal_reads()

    def _note(self, kind: str, what: str, *, counts: bool = True) -> None:
        self.log.append(Fault(self.world.now, kind, what))
        if counts:
            self.faults[kind] += 1

    def _exponential(self, mean: float) -> Micros:
        return int(self._random.expovariate(1 / mean))

    def _alive(self) -> list[str]:
        return [name for name in self.servers if self.world.hosts[name].node is not None]

    def _victim(self) -> str | None:
        alive = self._alive()
        return self._random.choice(alive) if alive else None

    def _victims(self, at_least: int = 1) -> list[str]:
        alive = self._alive()
        if not alive:
            return []
        count = self._random.randint(min(at_least, len(alive)), len(alive))
        return sorted(self._random.sample(alive, count))

    # --- Processes ---

    def _crash(self) -> None:
        self._kill("crash", [self._victim()])

    def _crash_many(self) -> None:
        self._kill("crash", self._victims(2))

    def _power_loss(self) -> None:
        self._kill("power_loss", [self._victim()])

    def _power_loss_many(self) -> None:
        self._kill("power_loss", self._victims(2))

    def _power_loss_all(self) -> None:
        """Those that are dead already lose power too: their page caches are gone."""
        self._kill("power_loss", self.servers)

    def _kill(self, kind: str, victims: Sequence[str | None]) -> None:
        """At once, or one after the other within two seconds."""
        spread = self._random.choice((0, 0, 100_000, 2_000_000)) if len(victims) > 1 else 0
        for place, name in enumerate(victims):
            if name is None:
                continue

            def strike(name: str = name, first: bool = place == 0) -> None:
                if self.healed:
                    return
                if kind == "crash" or not self.may_lose_power(name):
                    alive = self.world.hosts[name].node is not None
                    self._note("crash", name, counts=first and alive)
                    self.world.crash(name)
                else:
                    self._note(kind, name, counts=first)
                    self.world.power_loss(name)
                    self.powerless(name)
                self._restart_later(name)

            self.world.at(self._random.randint(0, spread) if spread else 0, strike)

    def _stop_long(self) -> None:
        """Down for long, so that others go on without it."""
        name = self._victim()
        if name is not None:
            self._note("stop_long", name)
            self.world.crash(name)
            self._restart_later(name, 4_000_000 + self._exponential(self.swarm.down_us))

    def _pause(self) -> None:
        name = self._victim()
        if name is not None:
            duration = self._random.randint(50_000, self.swarm.pause_us)
            self._note("pause", f"{name} for {duration / 1e6:.2f} s")
            self.world.pause(name, duration)

    # --- The network ---

    def _cut(self) -> None:
        """Two sides."""
        names = self._random.sample(self.servers, len(self.servers))
        left = sorted(names[: self._random.randint(1, max(1, len(names) - 1))])
        right = sorted(set(names) - set(left))
        self._sever("cut", f"{left} from {right}", both_ways(left, right))

    def _cut_one_way(self) -> None:
        source, target = self._random.sample(self.servers, 2) if len(self.servers) > 1 else (self.servers * 2)
        self._sever("cut_one_way", f"{source} to {target}", [(source, target)])

    def _isolate(self) -> None:
        """One server, from servers and clients alike."""
        name = self._random.choice(self.servers)
        others = [other for other in [*self.servers, *self.clients] if other != name]
        self._sever("isolate", name, both_ways([name], others))

    def _ring(self) -> None:
        """Each sees its neighbours only: every node has a majority, and no two the same (five nodes and more)."""
        names = self._random.sample(self.servers, len(self.servers))
        near = {*pairwise([*names, names[0]])}
        near |= {(target, source) for source, target in near}
        far = [(a, b) for a in names for b in names if a != b and (a, b) not in near]
        self._sever("ring", " ".join(names), far)

    def _bridge(self) -> None:
        """One node sees both sides, which do not see each other."""
        names = self._random.sample(self.servers, len(self.servers))
        middle = (len(names) - 1) // 2
        left, right = names[1 : 1 + middle], names[1 + middle :]
        self._sever("bridge", f"{left} and {right} over {names[0]}", both_ways(left, right))

    def _clients_cut(self) -> None:
        """Servers see each other; the clients do not see one of them."""
        name = self._random.choice(self.servers)
        self._sever("clients_cut", f"clients from {name}", both_ways([name], self.clients))

    def _sever(self, kind: str, what: str, links: Sequence[Link]) -> None:
        if not links:
            return
        duration = self._exponential(self.swarm.cut_us) + 100_000
        hold = self._random.random() < self.swarm.network.holds
        self._note(kind, f"{what} for {duration / 1e6:.2f} s{', held' if hold else ''}")
        self.network.cut(links, self.world.now + duration, hold=hold)
        if not hold:
            for source, target in sorted(set(links)):
                if self._random.random() < 0.5:  # the kernel gave up; others notice by silence only
                    self.world.reset_connections(source, target)

    def _clog(self) -> None:
        source, target = self._random.sample([*self.servers, *self.clients], 2)
        duration = self._exponential(self.swarm.network.clog_us)
        self._note("clog", f"{source} to {target} for {duration / 1e6:.2f} s")
        self.network.clog([(source, target)], self.world.now + duration)

    def _swizzle(self) -> None:
        """Stop the links of a random subset one by one, and let them go in another order (FoundationDB)."""
        names = self._victims()
        if not names:
            return
        order = self._random.sample(names, len(names))
        step = self._random.randint(50_000, 800_000)
        self._note("swizzle", f"{names}, then {order}, {step / 1e6:.2f} s apart")
        for place, name in enumerate(names):
            until = self.world.now + step * (len(names) + order.index(name) + 1)
            links = both_ways([name], [other for other in self.servers if other != name])

            def stop(links: Sequence[Link] = links, until: Micros = until) -> None:
                if not self.healed:
                    self.network.clog(links, until)

            self.world.at(step * place, stop)

    def _reset(self) -> None:
        source, target = self._random.sample([*self.servers, *self.clients], 2)
        self._note("reset", f"{source} to {target}")
        self.world.reset_connections(source, target)

    def _false_gone(self) -> None:
        watcher, name = self._random.sample(self.servers, 2) if len(self.servers) > 1 else (self.servers * 2)
        if watcher != name:
            self._note("false_gone", f"{watcher} is told that {name} is gone")
            self.world.hint_gone(watcher, name)

    # --- Disks ---

    def _slow_disk(self) -> None:
        name = self._random.choice(self.servers)
        host = self.world.hosts[name]
        factor = self._random.choice((5, 50, 500))
        duration = self._exponential(3_000_000)
        self._note("slow_disk", f"{name} x{factor} for {duration / 1e6:.2f} s")
        host.slowness = factor
        self.world.at(duration, lambda: setattr(host, "slowness", 1))

    def _disk_full(self) -> None:
        name = self._random.choice(self.servers)
        disk = self.world.hosts[name].disk
        if not isinstance(disk, MemoryDisk):
            return
        duration = self._exponential(2_000_000)
        self._note("disk_full", f"{name} for {duration / 1e6:.2f} s")
        disk.full = disk.usage() + self._random.randint(0, 20_000)
        self.world.at(duration, lambda: setattr(disk, "full", None))

    def _io_error(self) -> None:
        self._break("io_error", "fail_writes")

    def _fsync_failure(self) -> None:
        self._break("fsync_failure", "fail_next_fsync")

    def _break(self, kind: str, switch: str) -> None:
        name = self._victim()
        if name is not None:
            self._note(kind, name)
            setattr(self.world.hosts[name].disk, switch, True)

    def _bit_rot(self) -> None:
        """One host only, data partitions only, and only if others have the bytes."""
        shape = self.swarm.shape
        if shape.min_insync < 2 or shape.durability == "os":  # there a loss of power is damage enough
            return
        if self._rotten is None:
            self._rotten = self._random.choice(self.servers)
        disk = self.world.hosts[self._rotten].disk
        if not isinstance(disk, MemoryDisk):
            return
        paths = [path for path in _files(disk, "") if path.endswith(".log") and not path.startswith("metadata/")]
        paths = [path for path in paths if disk.size(path)]
        if not paths:
            return
        path = self._random.choice(paths)
        proven = _below_recovery_point(disk, path)
        if not proven:
            return
        offset = self._random.randrange(proven)
        self._note("bit_rot", f"{self._rotten}: {path} at {offset}")
        disk.corrupt(path, offset, self._random.randrange(8))
        self.damaged(self._rotten)

    # --- Clocks ---

    def _wall_jump(self) -> None:
        host = self.world.hosts[self._random.choice(self.servers)]
        span = self._random.choice((200, 60_000, 3_600_000, YEAR_MS))
        offset = self._random.randint(-span, span)
        self._note("wall_jump", f"{host.name} by {offset} ms")
        host.clock.wall_offset_ms = max(offset, 1 - EPOCH_WALL_MS)

    def _drift(self) -> None:
        """The monotonic clock of the next life is up to 1% fast or slow (a running one cannot jump)."""
        name = self._victim()
        if name is not None:
            rate = self._random.randint(-10_000, 10_000)
            self._note("drift", f"{name} restarts with {rate} ppm")
            self.world.crash(name)
            host = self.world.hosts[name]
            host.clock = Clock(rate, host.clock.wall_offset_ms)
            self._restart_later(name)

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


def both_ways(left: Sequence[str], right: Sequence[str]) -> list[Link]:
    """All links between two groups."""
    return [pair for a in left for b in right for pair in ((a, b), (b, a))]


def _below_recovery_point(disk: MemoryDisk, path: str) -> int:
    """How many bytes of a segment a recovery would not take for a torn tail, whatever is lost now."""
    key = key_of(path.partition("/")[0])
    readers: tuple[Reader, Reader] = (disk, DurableReader(disk))
    try:
        points = [read_offsets(reader, RECOVERY_POINTS).offsets or {} for reader in readers]
    except StorageError:
        return 0
    point = min(found.get(key, 0) if key is not None else 0 for found in points)
    proven = 0
    try:
        for position, header in iter_headers(disk.read(path, 0, disk.size(path) or 0)):
            if header.next_offset > point:
                break
            proven = position + header.size
    except InvalidBatch:
        pass  # it is rotten already
    return proven


def _files(disk: MemoryDisk, directory: str) -> list[str]:
    """All paths below a directory, sorted."""
    found = []
    for name in disk.list(directory):
        path = f"{directory}{name}"
        found += _files(disk, path) if name.endswith("/") else [path]
    return found
