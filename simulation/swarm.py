"""What one seed means: the shape of the cluster, how mean its network and disks are, and which faults come how often.

A run that has every fault a little finds little: crashes hide what only a long pause shows. So the seed draws the
*rates* too (swarm testing, as TigerBeetle's VOPR does), each from a random stream of its own, and about half of them
are zero in any one run. `describe` is printed first, before anything can go wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from .moves import MOVES
from .network import NetworkRates, Streams

BEYOND = 0.1
"""The share of seeds in which more is broken than the cluster is entitled to survive."""

SURE = (
    ("crash", "crash_many", "stop_long"),
    ("power_loss", "power_loss_many", "power_loss_all"),
    ("cut", "cut_one_way", "isolate", "island"),
    ("siege", "besieged_leaders"),
)
"""At least one of each of these is always among a run's faults."""

SPOILING = ("bit_rot", "lost_write", "lying_disk", "older_disk", "wiped_disk")
"""And beyond the budget one of these."""

HUNTS = ("rotten_last",)
"""Plots that other runs do not draw (`moves.hunts`)."""

ROTTEN = frozenset(("rotten_first", "rotten_last"))
"""Plots that need a cluster that survives a disk that lies, and controllers when all brokers are gone."""

THREE = frozenset(("orphans", "uneven", "quiet_terms", "seesaw"))
"""Plots of three replicas."""

OFTEN = {"quiet_terms": 2, "uneven": 4, "seesaw": 3, "left_behind": 2, "uninformed": 2, "exile": 2}
"""Plots that come to their point seldom, and how many times as often an intense run is about one of them."""

PLOTS = (
    "comeback", "exile", "orphans", "left_behind", "quiet_terms", "seesaw", "last_standing", "blackout",
    "alone_in_charge", "rotten_first", "no_room", "uninformed", "uneven", "in_company", "second_thoughts", "old_news",
    "long_absence", *HUNTS,
)  # fmt: skip
"""Moves that are stories by themselves. An intense run is about a few of them."""


class Shape(msgspec.Struct, frozen=True):
    """The cluster and what it is asked to do."""

    controllers: int = 3
    brokers: int = 3
    combined: bool = True  # each controller is a broker too
    topics: int = 1
    partitions: int = 2
    replication: int = 3
    min_insync: int = 2
    durability: str = "fsync"
    segment_bytes: int = 65536
    producers: int = 3
    unsafe_producers: int = 1  # acks 0 or 1: what they lose does not count
    consumers: int = 2
    produce_every_ms: int = 40
    batch_records: int = 3
    value_bytes: int = 40
    rests_ms: int = 0  # for so long at a time half of the partitions are not written to; 0: they all are, always


class Times(msgspec.Struct, frozen=True):
    """How long disks take, and when connections are known to be gone."""

    flush_min_us: int = 100
    flush_mean_us: int = 500
    slow_flush: float = 0.0  # probability of one that takes up to `slow_flush_us`
    slow_flush_us: int = 2_000_000
    gone_us: int = 25_000
    gone_lost: float = 0.0
    held_for_next_life: float = 0.0
    skew_ms: int = 0  # wall clocks differ by up to so much from the beginning
    drift_ppm: int = 0  # and monotonic ones run at rates that differ by up to this


class Swarm(msgspec.Struct, frozen=True):
    """All that a seed decides beforehand."""

    seed: int
    shape: Shape
    network: NetworkRates
    times: Times
    weights: dict[str, float]  # faults by how often they are chosen; those not named do not happen
    fault_every_us: int  # mean time between faults
    down_us: int  # mean time until a process is started again
    cut_us: int  # mean length of a partition
    pause_us: int  # longest pause
    workloads: dict[str, dict[str, int | float | str | bool]] = {}  # those beside the first, with their settings
    beyond: bool = False  # more is broken than the cluster is entitled to survive
    in_turn: bool = False  # a move begins when the one before is over

    def describe(self) -> str:
        """A few readable lines."""
        shape, network, times = self.shape, self.network, self.times
        total = sum(self.weights.values())
        faults = ", ".join(f"{name} {100 * weight / total:.0f}%" for name, weight in sorted(self.weights.items()))
        kind = (
            "stream"
            if network.stream
            else (
                f"datagrams: lost {network.loss:.1%}, doubled {network.duplicate:.1%}, "
                f"old copies {network.old_duplicate:.2%} up to {network.old_us / 1e6:.0f} s"
            )
        )
        return "\n".join(
            (
                f"seed {self.seed}{', beyond what must be survived' if self.beyond else ''}",
                f"  cluster   {shape.controllers} controllers, {shape.brokers} brokers"
                f"{' (the same nodes)' if shape.combined else ''}; {shape.topics} topics x {shape.partitions}"
                f" partitions, replication {shape.replication}, min.insync {shape.min_insync},"
                f" durability {shape.durability}, segments of {shape.segment_bytes} B",
                f"  clients   {shape.producers} producers (+{shape.unsafe_producers} unsafe),"
                f" {shape.consumers} consumers, {shape.batch_records} records every {shape.produce_every_ms} ms",
                f"  network   {kind}; delay {network.min_us}-{network.mean_us} µs, far links {network.far_links:.0%};"
                f" broadcasts lost {network.broadcast_loss:.0%}, clog {network.clog:.2%},"
                f" cuts hold {network.holds:.0%}",
                f"            new connections deaf {network.connect_loss:.0%} up to {network.connect_us / 1000:.0f} ms,"
                f" broken ones leave something {network.left_over:.0%},"
                f" high-water mark {network.high_water or 'none'}",
                f"  disks     flush {times.flush_min_us}-{times.flush_mean_us} µs, slow {times.slow_flush:.1%}"
                f" up to {times.slow_flush_us / 1e6:.1f} s; hints of death after {times.gone_us / 1000:.0f} ms,"
                f" lost {times.gone_lost:.0%}; held for the next life {times.held_for_next_life:.0%}",
                f"  clocks    apart by up to {times.skew_ms} ms, {times.drift_ppm} ppm",
                f"  faults    one every {self.fault_every_us / 1e6:.1f} s: {faults}",
                f"            down {self.down_us / 1e6:.1f} s, cut {self.cut_us / 1e6:.1f} s, paused up to"
                f" {self.pause_us / 1e6:.1f} s",
                *(f"  workload  {name}: {_words(settings)}" for name, settings in sorted(self.workloads.items())),
            )
        )


def _words(settings: dict[str, int | float | str | bool]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def _maybe(random: Random, high: float) -> float:
    """Zero half of the time."""
    value = random.uniform(0, high)
    return value if random.random() < 0.5 else 0.0


def draw(
    seed: int,
    streams: Streams,
    shape: Shape | None = None,
    *,
    clusters: bool = True,
    beyond: bool = False,
    intense: bool = False,
) -> Swarm:
    """The configuration of a seed; a given shape replaces the drawn one.

    Without `clusters` the cluster is always the usual one, three nodes that are brokers and controllers; topics,
    clients and everything else are drawn all the same. Without `beyond` the budget is kept by all seeds.

    `intense`: few partitions on few brokers that are written to all the time, and a few plots that come often. That
    finds more in a short run, and less of what large clusters and rare faults bring about.
    """
    further = beyond and streams.random("swarm/beyond").random() < BEYOND
    spans = _spans(streams.random("swarm/spans"))
    weights = _plotted(streams) if intense else _weights(streams, (*SURE, SPOILING) if further else SURE)
    if shape is None:
        of = streams.random("swarm/shape")
        shape = _fit(_small(of), weights) if intense else _shape(of, clusters=clusters)
    return Swarm(
        seed=seed,
        shape=shape,
        network=(_near if intense else _network)(streams.random("swarm/network")),
        times=_times(streams.random("swarm/times")),
        weights=weights,
        beyond=further,
        in_turn=intense and len(weights) == 1,
        fault_every_us=2 * spans["fault_every_us"] if intense else spans["fault_every_us"],
        down_us=spans["down_us"],
        cut_us=spans["cut_us"],
        pause_us=spans["pause_us"],
    )


def _shape(random: Random, *, clusters: bool) -> Shape:
    combined, controllers, brokers = _cluster(random) if clusters else (True, 3, 3)
    replication = min(brokers, random.choice((3, 3, 3, 3, 2, 5) if clusters else (3, 3, 3, 2)))
    return Shape(
        controllers=controllers,
        brokers=brokers,
        combined=combined,
        topics=random.choice((1, 1, 2)),
        partitions=random.choice((1, 2, 3, 4)),
        replication=replication,
        min_insync=min(replication, 3 if replication == 5 else random.choice((2, 2, 2, 1))),
        durability="fsync" if random.random() < 0.75 else "os",
        segment_bytes=random.choice((4096, 16384, 65536, 1 << 20)),
        producers=random.randint(1, 4),
        unsafe_producers=random.choice((0, 0, 1, 2)),
        consumers=random.randint(1, 3),
        produce_every_ms=random.choice((20, 40, 80, 150)),
        batch_records=random.randint(1, 6),
        value_bytes=random.choice((16, 40, 200, 900)),
    )


def _small(random: Random) -> Shape:
    """What has least to do with anything but itself: of an intense run."""
    combined = random.random() < 0.35
    brokers = 3 if combined else random.choice((3, 3, 3, 2, 4))
    replication = min(brokers, random.choice((3, 3, 3, 3, 3, 2)))
    return Shape(
        controllers=3,
        brokers=brokers,
        combined=combined,
        topics=1,
        partitions=random.choice((1, 2, 2)),
        replication=replication,
        min_insync=min(replication, random.choice((2, 2, 2, 1))),
        durability="fsync" if random.random() < 0.6 else "os",
        segment_bytes=random.choice((4096, 16384, 65536)),
        producers=random.randint(1, 2),
        unsafe_producers=random.choice((0, 1, 1, 2)),
        consumers=1,
        produce_every_ms=random.choice((10, 20, 40)),
        batch_records=random.randint(1, 4),
        value_bytes=random.choice((16, 40, 200)),
        rests_ms=random.choice((0, 0, 700, 6000)),
    )


def _fit(shape: Shape, weights: dict[str, float]) -> Shape:
    """Of an intense run: one in which its plots may happen."""
    rotten = not ROTTEN.isdisjoint(weights)
    if rotten or not THREE.isdisjoint(weights):
        shape = msgspec.structs.replace(shape, brokers=max(3, shape.brokers), replication=3)
    return msgspec.structs.replace(shape, combined=False, min_insync=2, durability="fsync") if rotten else shape


def _cluster(random: Random) -> tuple[bool, int, int]:
    """Whether controllers are brokers too, and how many there are of each."""
    if random.random() < 0.5:
        number = random.choice((1, 3, 3, 5))
        return True, number, number
    return False, random.choice((1, 3, 3, 5)), random.choice((1, 2, 3, 3, 4, 5, 6, 7))


def _network(random: Random) -> NetworkRates:
    stream = random.random() < 0.6
    min_us = int(random.uniform(50, random.choice((300, 300, 5_000))))
    return NetworkRates(
        stream=stream,
        min_us=min_us,
        mean_us=min_us + int(random.uniform(100, random.choice((1_000, 1_000, 10_000, 60_000)))),
        far_links=_maybe(random, 0.4),
        far_scale=random.randint(2, 20),
        loss=0.0 if stream else _maybe(random, 0.2),
        duplicate=0.0 if stream else _maybe(random, 0.2),
        old_duplicate=0.0 if stream else _maybe(random, 0.02),
        old_us=int(random.uniform(1e6, 60e6)),
        broadcast_loss=_maybe(random, 0.5),
        clog=_maybe(random, 0.002),
        clog_us=int(random.uniform(50_000, 3_000_000)),
        holds=_maybe(random, 1.0),
        connect_loss=_maybe(random, 1.0),
        connect_us=int(random.uniform(1_000, 300_000)),
        left_over=_maybe(random, 1.0),
        high_water=random.choice((0, 0, 256, int(random.uniform(10, 100)))),
    )


def _near(random: Random) -> NetworkRates:
    """Of an intense run: so fast that much happens; datagrams are often delivered again when what they say is over."""
    rates = _network(random)
    rates = msgspec.structs.replace(
        rates, mean_us=rates.min_us + min(rates.mean_us, 5_000), far_scale=min(rates.far_scale, 5)
    )
    again = random.choice((0.0, random.uniform(0.01, 0.1), random.uniform(0.1, 0.6)))
    late_us = int(random.uniform(0.2e6, random.choice((1e6, 6e6))))
    return rates if rates.stream else msgspec.structs.replace(rates, old_duplicate=again, old_us=late_us)


def _times(random: Random) -> Times:
    min_us = int(random.uniform(50, 500))
    return Times(
        flush_min_us=min_us,
        flush_mean_us=min_us + int(random.uniform(100, random.choice((1_000, 5_000, 20_000)))),
        slow_flush=_maybe(random, 0.01),
        slow_flush_us=int(random.uniform(100_000, 4_000_000)),
        gone_us=int(random.uniform(5_000, 100_000)),
        gone_lost=random.choice((0.0, 0.0, random.uniform(0, 0.5), 1.0)),
        held_for_next_life=_maybe(random, 1.0),
        skew_ms=int(_maybe(random, 600_000)),
        drift_ppm=int(_maybe(random, 10_000)),
    )


def _weights(streams: Streams, sure: Sequence[Sequence[str]]) -> dict[str, float]:
    """Each move has a stream of its own, so a new one leaves the others alone."""
    weights = {}
    for name in MOVES:
        if name in HUNTS:
            continue
        random = streams.random(f"swarm/move/{name}")
        if random.random() < 0.5:
            weights[name] = random.uniform(0.2, 1.0)
    for group in sure:
        if not any(name in weights for name in group):
            weights[streams.random(f"swarm/sure/{group[0]}").choice(group)] = 1.0
    return weights


def _plotted(streams: Streams) -> dict[str, float]:
    """Of an intense run: one plot and nothing else, or a few above all, and a part of everything else.

    A story that takes seconds is seldom told to its end where others begin meanwhile.
    """
    random = streams.random("swarm/plots")
    if random.random() < 0.7:
        return {random.choices(PLOTS, [OFTEN.get(name, 1) for name in PLOTS])[0]: 1.0}
    plots = random.sample(PLOTS, random.choice((2, 3, 4)))
    others = {name: weight / 4 for name, weight in _weights(streams, SURE).items() if name not in PLOTS}
    share = sum(others.values())
    return {**others, **{name: 4 * share / len(plots) for name in plots}}


def _spans(random: Random) -> dict[str, int]:
    return {
        "fault_every_us": int(random.uniform(0.5e6, 2e6)),
        "down_us": int(random.uniform(0.1e6, 6e6)),
        "cut_us": int(random.uniform(0.5e6, 8e6)),
        "pause_us": int(random.uniform(0.2e6, 9e6)),
    }
