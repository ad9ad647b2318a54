"""Directed scenarios: a cluster on a good network, and exactly the misfortune that a historic bug needs.

A `Stage` is a simulated cluster with a healthy workload and short names for what its scenario acts upon. Each scenario
is harmless to a right cluster: it ends like every run, healed, converged and judged. With the bug that it was written
for it is not. Messages may be *forged*: what a dead life, an earlier epoch or a stranger could have sent arrives now.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from ..actors.errors import ErrorCode
from ..actors.kernel import Incarnation, Message
from ..actors.messages import Envelope, Fetch, Fetched, FetchedPartition, FetchPartition, Partition
from ..cluster.world import Onlooker, World
from ..storage.memory import MemoryDisk
from ..transport.codec import Codec
from .invariants.copies import Copy
from .network import NEVER, both_ways
from .report import Report
from .run import Options, Simulation, measured
from .swarm import Shape
from .views import broker_epoch_of, leading_of, raft_of, replicas_of

APART = Shape(combined=False, partitions=1, producers=2, unsafe_producers=2, consumers=2, produce_every_ms=20)
"""Brokers and controllers on hosts of their own, so that either can be cut off alone."""


class _Newest(Onlooker):
    """An observer that keeps the newest fetch of each broker."""

    def __init__(self) -> None:
        self.fetches: dict[str, Fetch] = {}

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        if type(envelope.body) is Fetch and envelope.sender.endswith("/broker"):
            self.fetches[source] = envelope.body


class Stage(Simulation):
    """A healthy cluster of one partition, some writes after its start."""

    def __init__(self, seed: int = 1, options: Options | None = None) -> None:
        super().__init__(seed, options or Options(shape=APART, faults=False, workloads=(), converge_s=6))
        self.network.calm = True
        self._newest = _Newest()
        self.world.observers.append(self._newest)

    def open(self) -> None:
        """Start, and wait for the first writes."""
        self.start()
        self.until(lambda: self.judge.acknowledged > 20)

    # --- Who is who ---

    @property
    def partition(self) -> Partition:
        return next(iter(self.metadata.partitions))

    @property
    def leader(self) -> str:
        """The host of the leader, as the controllers have decided."""
        return f"b{self.metadata.partitions[self.partition].leader}"

    def others(self, *names: str) -> list[str]:
        """The other brokers."""
        return [name for name in self.machines.brokers if name not in names]

    @property
    def controllers(self) -> list[str]:
        return sorted(self.machines.controllers.values())

    @property
    def active(self) -> str:
        """The host of the active controller."""
        hosts = self.world.hosts
        return next(n for n in self.controllers if (raft := raft_of(hosts[n])) is not None and raft.leading)

    @property
    def apps(self) -> list[str]:
        return self.workload.clients

    def copy(self, name: str) -> Copy:
        """What a broker has of the partition, as the checkers saw it last."""
        return self.copies.copies[name, self.partition]

    def disk(self, name: str) -> MemoryDisk:
        disk = self.world.hosts[name].disk
        assert isinstance(disk, MemoryDisk), "a simulated server has a simulated disk"
        return disk

    def in_sync(self, name: str) -> bool:
        return int(name[1:]) in self.metadata.partitions[self.partition].isr

    # --- What happens ---

    def wait(self, seconds: float) -> None:
        self.world.run_until(self.world.now + int(seconds * 1e6))

    def until(self, condition: Callable[[], bool], limit_s: float = 20.0) -> None:
        """Run until it is true. A scenario that does not come to its point has failed."""
        happened = self.world.run_while(lambda: not condition(), int(limit_s * 1e6))
        assert happened, "the scenario did not come to its point"

    def lose(self, name: str) -> None:
        """Kill a broker, and wait until it is out of the ISR."""
        self.world.crash(name)
        self.until(lambda: not self.in_sync(name))

    def cut(self, left: Sequence[str], right: Sequence[str]) -> None:
        """Nothing passes between them until `mend`."""
        self.network.cut(both_ways(left, right), NEVER)

    def silence(self, source: str, target: str) -> None:
        """Nothing of what `source` says reaches `target` until `mend`."""
        self.network.cut([(source, target)], NEVER)

    def mend(self) -> None:
        self.network.mend()

    def newest_fetch(self, name: str) -> Fetch:
        """What this broker has asked last."""
        return self._newest.fetches[name]

    def forge(self, source: str, target: str, body: Message, *, reply: bool = False) -> None:
        """This message of the broker at `source` arrives at the one at `target`, now."""
        node = self.world.hosts[target].node
        assert node is not None
        envelope = Envelope(1, f"{source}/broker", Incarnation(1), "broker", node.incarnation, body)
        frames = [bytes(frame) for frame in Codec().encode(envelope)]
        self.world.receive(self.world.hosts[target], frames, source if reply else f"@{source}#0")

    def forge_fetch(self, source: str, target: str, *, leader_epoch: int = 0, broker_epoch: int = 0) -> None:
        """A fetch that claims all that the leader has; its epochs are off by this much."""
        leading = leading_of(replicas_of(self.world.hosts[target])[self.partition])
        assert leading is not None
        log = replicas_of(self.world.hosts[target])[self.partition].log
        wanted = FetchPartition(
            self.partition, leading.epoch + leader_epoch, log.end, log.epochs.latest, log.end, self.copy(target).hw
        )
        epoch = broker_epoch_of(self.world.hosts[source]) + broker_epoch
        number = self.newest_fetch(source).id + 1  # an older one would be known to be late
        self.forge(source, target, Fetch(number, int(source[1:]), epoch, f"directory-{source}", 0, 0, 200, [wanted]))


# --- The scenarios ---


def _tail(stage: Stage) -> tuple[str, str]:
    """The leader is cut off from all servers, and writes a tail that nobody else has. The old leader, the new one."""
    old = stage.leader
    stage.cut([old], [*stage.others(old), *stage.controllers])
    stage.until(lambda: stage.leader not in (old, "b-1"))
    return old, stage.leader


def a_tail_comes_back(stage: Stage) -> None:
    """What the old leader wrote alone, the new one has in other words. It comes back, and must cut before anything."""
    old, _ = _tail(stage)
    stage.until(lambda: stage.copies.history(stage.partition).true_hw > stage.copy(old).mirror.end)
    stage.mend()
    stage.wait(4)


def a_tail_asks_to_join(stage: Stage) -> None:
    """It is far ahead with its tail, and the answers that tell it so are lost: that is no reason to let it join."""
    old, new = _tail(stage)
    stage.cut(stage.apps, [new])  # the new leader's log stays short
    stage.mend()
    stage.cut(stage.apps, [new])
    stage.silence(new, old)
    stage.wait(1)
    stage.mend()
    stage.silence(new, old)
    stage.wait(1)


def a_crash_after_a_cut(stage: Stage) -> None:
    """The tail was durable. It is cut, and the process dies before it could say so a second later."""
    old, _ = _tail(stage)
    stage.wait(1.5)
    stage.mend()
    end = stage.copy(old).mirror.end
    stage.until(lambda: stage.copy(old).mirror.end < end)
    stage.world.crash(old)
    stage.world.start(old)
    stage.wait(4)


def an_old_leader_and_its_listener(stage: Stage) -> None:
    """A leader sees nobody any more but one client, which sees nobody else. It must not tell it old news for long."""
    old = stage.leader
    rest = [*stage.others(old), *stage.controllers]
    stage.cut([old, "asker"], rest)
    stage.wait(12)


def a_fetch_of_a_dead_life(stage: Stage) -> None:
    """A follower lags. A fetch of an earlier life of it, or of somebody who poses as it, says that it has all."""
    leader = stage.leader
    follower = stage.others(leader)[0]
    stage.cut([leader], [follower])
    stage.wait(0.3)
    stage.forge_fetch(follower, leader, broker_epoch=-1)
    stage.wait(0.3)


def a_fetch_of_an_earlier_epoch(stage: Stage) -> None:
    """The same, for a fetch of an earlier leader epoch."""
    _another_leader(stage)
    leader = stage.leader
    follower = stage.others(leader)[0]
    stage.cut([leader], [follower])
    stage.wait(0.3)
    stage.forge_fetch(follower, leader, leader_epoch=-1)
    stage.wait(0.3)


def an_answer_of_an_earlier_epoch(stage: Stage) -> None:
    """A divergence that was found in an earlier epoch is told to a follower that is long past it."""
    _another_leader(stage)
    leader = stage.leader
    follower = stage.others(leader)[0]
    stage.silence(leader, follower)
    stage.wait(0.3)
    epoch = stage.metadata.partitions[stage.partition].leader_epoch
    part = FetchedPartition(stage.partition, ErrorCode.NONE, epoch - 1, 0, 0, diverging=(0, 0))
    stage.forge(leader, follower, Fetched(stage.newest_fetch(follower).id, ErrorCode.NONE, 1, 1, [part]), reply=True)
    stage.wait(0.3)


def _another_leader(stage: Stage) -> None:
    """One election later, with all in sync again."""
    old = stage.leader
    stage.world.crash(old)
    stage.until(lambda: stage.leader not in (old, "b-1"))
    stage.world.start(old)
    stage.until(lambda: stage.in_sync(old))
    stage.wait(0.3)


def a_follower_that_is_gone(stage: Stage) -> None:
    """A follower dies and is out of the ISR. Nobody waits for it any more."""
    follower = stage.others(stage.leader)[0]
    stage.wait(0.3)
    stage.lose(follower)
    before = stage.judge.acknowledged
    stage.wait(3)
    if stage.judge.acknowledged < before + 20:
        stage.oracle.violated("L5", f"{stage.judge.acknowledged - before} writes were acknowledged without {follower}")
    stage.world.start(follower)
    stage.wait(1)


def a_fenced_follower_keeps_up(stage: Stage) -> None:
    """A follower that no controller hears is fenced. It still copies all there is from the leader."""
    follower = stage.others(stage.leader)[0]
    stage.cut([follower], stage.controllers)
    stage.wait(6)


def a_new_leader_that_knows_little(stage: Stage) -> None:
    """A leader dies when more is committed than its successor knows; a follower has as much as that one knows of."""
    leader = stage.leader
    successor, follower = sorted(stage.others(leader))
    stage.cut([follower], stage.controllers)
    stage.until(lambda: not stage.in_sync(follower))
    stage.until(lambda: stage.copy(follower).mirror.end == stage.copy(successor).mirror.end)
    stage.cut([follower], [leader])
    history = stage.copies.history(stage.partition)

    def behind() -> bool:
        known = stage.copy(successor).hw
        return known <= stage.copy(follower).mirror.end < min(history.true_hw, stage.copy(successor).mirror.end)

    stage.until(behind)
    stage.world.crash(leader)
    stage.until(lambda: stage.leader == successor)
    stage.mend()
    stage.silence(successor, follower)
    stage.wait(3)
    stage.mend()
    stage.world.start(leader)
    stage.wait(1)


def elections_without_a_write(stage: Stage) -> None:
    """Two leaders in turn write nothing. The first one's epoch is one that the second has never heard of."""
    servers = [*stage.machines.brokers, *stage.controllers]
    stage.cut(stage.apps, servers)
    stage.wait(0.5)
    first = stage.leader
    stage.cut([first], [*stage.others(first), *stage.controllers])
    stage.until(lambda: stage.leader not in (first, "b-1"))
    second = stage.leader
    stage.wait(0.5)
    stage.cut([second], [*stage.others(second), *stage.controllers])
    stage.until(lambda: stage.leader not in (first, second, "b-1"))
    stage.wait(0.5)


def a_controller_alone(stage: Stage) -> None:
    """The active controller hears no other any more."""
    active = stage.active
    stage.cut([active], [name for name in stage.controllers if name != active])
    stage.wait(7)


def two_elections(stage: Stage) -> None:
    """Leaders come and go."""
    _another_leader(stage)
    _another_leader(stage)


def a_join_whose_answer_is_lost(stage: Stage) -> None:
    """The controller takes a follower in. The leader that asked for it does not hear so, and must count on it."""
    leader = stage.leader
    follower = stage.others(leader)[0]
    stage.lose(follower)
    stage.world.start(follower)
    node = stage.world.hosts[leader]

    def known() -> bool:
        leading = leading_of(replicas_of(node)[stage.partition])
        return leading is not None and leading.proposal is not None

    stage.until(known)
    for controller in stage.controllers:
        stage.silence(controller, leader)
    stage.wait(2)


def an_epoch_that_the_leader_never_had(stage: Stage) -> None:
    """Two replicas write a batch each, at the same offsets, in two epochs, and neither hears of the other's. The third
    leader has the tail of the first epoch, and is followed by the one with that of the second.
    """
    first = stage.leader
    away, second = stage.others(first)
    stage.lose(away)
    stage.cut([first], [second])
    stage.wait(0.05)
    stage.cut(stage.apps, [second])
    end = stage.copy(second).mirror.end
    stage.until(lambda: stage.copy(first).mirror.end > end)
    stage.world.crash(first)
    stage.until(lambda: stage.leader == second and stage.copy(second).leading is not None)
    stage.mend()
    stage.until(lambda: stage.copy(second).mirror.end > end)  # not acknowledged: it is alone
    stage.world.crash(second)
    stage.until(lambda: stage.leader == "b-1")
    stage.world.start(first)
    stage.until(lambda: stage.leader == first)
    stage.world.start(second)
    stage.wait(1)
    stage.world.start(away)
    stage.wait(1)


def a_tail_that_waited_for_more(stage: Stage) -> None:
    """A follower has a tail that the next leader lacks, and the last answer it got was one without records. When it
    comes to the next leader, that one is already further than it.
    """
    leader = stage.leader
    state = stage.metadata.partitions[stage.partition]
    heir, follower = (f"b{number}" for number in state.replicas if f"b{number}" != leader)
    stage.network.clog([(heir, leader)], stage.world.now + 300_000)
    end = stage.copy(heir).mirror.end
    stage.until(lambda: stage.copy(heir).mirror.end > end)
    stage.silence(leader, heir)
    stage.until(lambda: stage.copy(follower).mirror.end > stage.copy(heir).mirror.end)
    stage.cut(stage.apps, stage.machines.brokers)
    stage.wait(0.6)  # what the heir has is committed: the follower is told so, and gets nothing else
    stage.world.crash(leader)
    stage.until(lambda: stage.leader == heir)
    stage.mend()
    stage.cut([heir], [follower])
    stage.until(lambda: stage.copy(heir).mirror.end > stage.copy(follower).mirror.end)
    stage.mend()
    stage.wait(1)
    stage.world.start(leader)
    stage.wait(1)


def sessions_that_end_at_once(stage: Stage) -> None:
    """Nobody hears two brokers, the only ones in sync, when a new controller becomes active: their sessions last
    equally long from then on.
    """
    away = stage.others(stage.leader)[0]
    stage.lose(away)
    active = stage.active
    stage.cut(stage.machines.brokers, stage.controllers)
    stage.wait(2.7)
    stage.world.crash(active)
    stage.wait(6)
    stage.mend()
    stage.world.start(active)
    stage.world.start(away)
    stage.wait(2)


AnyStage = TypeVar("AnyStage", bound=Stage)


def play(scenario: Callable[[AnyStage], None], seed: int, stages: Callable[[int], AnyStage]) -> Report:
    """A scenario from its beginning to the judgement, on one of these stages."""
    stage = stages(seed)

    def body() -> list[str]:
        stage.open()
        scenario(stage)
        return stage.settle()

    return measured(stage, body)
