"""Every checker fires. No run of a right cluster shows that, so each test forges what the checker forbids.

A small calm cluster runs for a moment. Then somebody's state, or what the oracle remembers of it, is changed behind its
back, and the oracle looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from random import Random
from typing import Any, cast

import pytest
from msgspec.structs import replace

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation, Message, Payload
from barnabas.actors.messages import (
    Consumed,
    ConsumedPartition,
    Envelope,
    FetchLeadership,
    FoundOffset,
    IsrChange,
    MetadataUpdate,
    OffsetsFound,
    Partition,
    Produced,
    ProducedBatch,
    Vote,
    Voted,
)
from barnabas.cluster.world import Host
from barnabas.simulation.invariants.clients import _Request
from barnabas.simulation.invariants.contact import ContactChecker
from barnabas.simulation.mirror import Line
from barnabas.simulation.oracle import Violation
from barnabas.simulation.run import Options, Simulation
from barnabas.simulation.swarm import Shape
from barnabas.simulation.views import raft_of, replicas_of
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk
from barnabas.storage.records import Record, encode_batch, patch
from barnabas.storage.settings import LogSettings

SHAPE = Shape(partitions=1, producers=1, unsafe_producers=0, consumers=1, produce_every_ms=30)


class Calm:
    """A running cluster without faults, and short names for its parts."""

    def __init__(self, seed: int = 1, workloads: Collection[str] = (), shape: Shape = SHAPE) -> None:
        self.sim = Simulation(seed, Options(shape=shape, faults=False, workloads=workloads))
        self.sim.network.calm = True
        self.world = self.sim.world
        self.sim.start()
        assert self.world.run_while(lambda: self.sim.judge.acknowledged < 20, 20_000_000)
        self.partition: Partition = next(iter(self.sim.metadata.partitions))
        self.state: Any = self.sim.metadata.partitions[self.partition]
        self.leader = self.host(self.state.leader)
        self.follower = self.host(next((m for m in self.state.isr if m != self.state.leader), self.state.leader))
        self.active = next(h for h in self.world.hosts.values() if (raft := raft_of(h)) is not None and raft.leading)
        self.standby = next(h for h in self.world.hosts.values() if (r := raft_of(h)) is not None and not r.leading)

    def host(self, number: int) -> Host:
        return self.world.hosts[f"b{number}"]

    def replica(self, host: Host) -> Any:  # noqa: ANN401
        return replicas_of(host)[self.partition]

    def copy(self, host: Host) -> Any:  # noqa: ANN401
        return self.sim.copies.copies[host.name, self.partition]

    def look(self, host: Host) -> None:
        self.sim.oracle.look(self.world, host)

    def run(self) -> None:
        self.world.run_until(self.world.now + 2_000_000)

    def say(self, source: Host, to: str, body: Message, actor: str = "broker") -> None:
        self.sim.oracle.sent(self.world, source.name, to, self.envelope(source, body, actor))

    def envelope(self, source: Host, body: Message, actor: str = "broker") -> Envelope:
        return Envelope(1, f"{source.name}/{actor}", Incarnation(1), "producer", Incarnation(1), body)

    def committed_elsewhere(self) -> None:
        """The oracle is made to believe that much more is committed than anybody has."""
        self.sim.copies.history(self.partition).ends[10**6] = 77

    def batch(self, value: bytes, base: int, epoch: int) -> bytearray:
        data = bytearray(encode_batch([Record(None, value, (), 0)]))
        patch(data, base, epoch)
        return data


def r1(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    raft.role = "leading"
    calm.look(calm.standby)


def r1_followed(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    raft.leader = raft.id
    calm.look(calm.standby)


def r2_back(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    raft.epoch -= 1
    calm.look(calm.standby)


def r2_not_durable(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    vote = Vote("simulated", False, raft.epoch + 1, raft.id, "d", 1, "d", 0, 0)
    calm.say(calm.standby, "b1", vote, "controller")


def r3(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    others = sorted({*raft.voters} - {raft.id})
    for candidate in others:
        voted = Voted(False, raft.epoch, True, raft.id, "d", -1)
        calm.say(calm.standby, f"@b{candidate}#1", voted, "controller")


def r4(calm: Calm) -> None:
    raft: Any = raft_of(calm.active)
    calm.sim.quorum.leaders[raft.epoch] = (raft.id, calm.active.name, calm.active.life - 1)
    seen = calm.sim.quorum.seen[calm.active.name]
    seen.led, seen.key = -1, ()
    calm.look(calm.active)


def r5_state(calm: Calm) -> None:
    calm.sim.metadata._hashes[calm.sim.metadata.end] = "another state"
    calm.sim.metadata._seen.clear()
    calm.look(calm.active)


def r5_log(calm: Calm) -> None:
    raft: Any = raft_of(calm.active)
    calm.sim.quorum.batches[raft.log.end, raft.epoch] = (raft.log.end + 1, 5)
    calm.world.crash(calm.host(1).name if calm.active.name != "b1" else "b2")
    calm.run()
    calm.world.run_until(calm.world.now + 5_000_000)


def r6(calm: Calm) -> None:
    calm.sim.quorum.committed[10**6] = 77
    calm.sim.quorum.committed_in[10**6] = 0
    seen = calm.sim.quorum.seen[calm.active.name]
    seen.led, seen.key = -1, ()
    calm.look(calm.active)


def r7_back(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    raft.hw -= 1
    calm.look(calm.standby)


def r7_majority(calm: Calm) -> None:
    for seen in calm.sim.quorum.seen.values():
        seen.durable = 0
    raft: Any = raft_of(calm.active)
    seen = calm.sim.quorum.seen[calm.active.name]
    seen.hw, calm.sim.quorum.true_hw, seen.key = raft.hw - 1, raft.hw - 1, ()
    calm.look(calm.active)


def r8(calm: Calm) -> None:
    raft: Any = raft_of(calm.standby)
    raft.log.truncate_to(1)
    calm.look(calm.standby)


def r10(calm: Calm) -> None:
    calm.say(calm.active, "M", MetadataUpdate("simulated", 1, 1, 0, 10**6), "controller")


def r11(calm: Calm) -> None:
    raft: Any = raft_of(calm.active)
    raft.epoch_start = 10**6
    calm.sim.metadata._seen.clear()
    calm.look(calm.active)


def r13(calm: Calm) -> None:
    raft: Any = raft_of(calm.active)
    term = (calm.active.name, calm.active.life, raft.epoch)
    calm.world.now += 5_000_000
    checker = next(c for c in calm.sim.oracle.checkers if isinstance(c, ContactChecker))
    checker._last[term] = calm.world.now
    calm.look(calm.active)


def r15(calm: Calm) -> None:
    number, broker = next(iter(calm.sim.metadata.brokers.items()))
    calm.sim.metadata.brokers[number] = replace(cast(Any, broker), epoch=10**6)
    calm.sim.metadata.end -= 1
    calm.sim.metadata._seen.clear()
    calm.look(calm.active)


def durable(calm: Calm) -> None:
    copy = calm.copy(calm.follower)
    end = copy.mirror.end
    copy.mirror.lines.append(Line(end, end + 50, 0, 1, 1))
    copy.mirror._bases.append(end)
    copy.durable = end + 50
    calm.world.crash(calm.follower.name)
    calm.world.start(calm.follower.name)
    calm.run()


def p1(calm: Calm) -> None:
    end = calm.replica(calm.leader).log.end
    epoch = calm.state.leader_epoch
    calm.sim.copies.history(calm.partition).batches[end, epoch] = (end + 99, 5)
    calm.run()


def p2(calm: Calm) -> None:
    leader, follower = calm.replica(calm.leader), calm.replica(calm.follower)
    end, epoch = max(leader.log.end, follower.log.end), calm.state.leader_epoch
    for replica, host, value in ((leader, calm.leader, b"one"), (follower, calm.follower, b"two")):
        assert replica.log.end == end, "the cluster is between two writes"
        replica.log.append_replica(calm.batch(value, end, epoch))
        calm.look(host)


def p3(calm: Calm) -> None:
    history = calm.sim.copies.history(calm.partition)
    history.ends = dict.fromkeys(history.ends, 5)
    calm.copy(calm.leader).log = None
    calm.look(calm.leader)


def p4(calm: Calm) -> None:
    calm.committed_elsewhere()
    calm.sim.leaders._adopted.clear()
    calm.copy(calm.leader).key = ()
    calm.look(calm.leader)


def p5(calm: Calm) -> None:
    calm.committed_elsewhere()
    calm.copy(calm.follower).log = None
    calm.look(calm.follower)


def pristine(calm: Calm) -> None:
    """The controller says that nothing was ever committed, of a partition that has records."""
    calm.sim.metadata.partitions[calm.partition] = replace(calm.state, pristine=True)
    calm.look(calm.leader)
    calm.sim.leaders._candidates(calm.world, calm.partition)


def p6(calm: Calm) -> None:
    leading = calm.replica(calm.leader).role
    leading.isr, leading.min_insync, leading.partition_epoch = (calm.state.leader,), 1, 99
    calm.look(calm.leader)


def p7(calm: Calm) -> None:
    acked = calm.sim.judge.acked[calm.partition]
    first = next(iter(acked))
    acked[first] = acked[first]._replace(crc=1)
    calm.sim.oracle.at_rest(calm.world)


def _acknowledge(calm: Calm, base: int, count: int, crc: int) -> None:
    calm.sim.judge._requests["p1/producer", 1, calm.leader.name, 5] = _Request(-1, {calm.partition: (count, crc)})
    done = ProducedBatch(calm.partition, ErrorCode.NONE, base)
    calm.say(calm.leader, "@p1#1", Produced(5, [done]))


def p8_elsewhere(calm: Calm) -> None:
    line = calm.copy(calm.leader).mirror.lines[0]
    _acknowledge(calm, line.base, line.end - line.base, 12345)


def p8_not_durable(calm: Calm) -> None:
    line = calm.copy(calm.leader).mirror.lines[0]
    calm.copy(calm.follower).durable = 0
    _acknowledge(calm, line.base, line.end - line.base, line.crc)


def p8_too_few(calm: Calm) -> None:
    line = calm.copy(calm.leader).mirror.lines[0]
    calm.replica(calm.leader).role.min_insync = 9
    _acknowledge(calm, line.base, line.end - line.base, line.crc)


def p9(calm: Calm) -> None:
    replica = calm.replica(calm.leader)
    replica.hw = replica.log.end + 1
    calm.look(calm.leader)


def p10(calm: Calm) -> None:
    calm.replica(calm.leader).hw -= 1
    calm.look(calm.leader)


def p11(calm: Calm) -> None:
    calm.sim.judge._told[calm.partition] = [(0, 10**6)]
    calm.sim.judge._latest["p1/producer", 1, calm.leader.name, 5] = (calm.partition,)
    calm.say(calm.leader, "@p1#1", OffsetsFound(5, [FoundOffset(calm.partition, ErrorCode.NONE, 3)]))


def p12(calm: Calm) -> None:
    calm.sim.copies.history(calm.partition).true_hw = -1
    calm.copy(calm.follower).log = None
    calm.look(calm.follower)


def p12_leads(calm: Calm) -> None:
    """It is alone, but too few are in sync for that to count."""
    begin_to_lead(calm, isr=(calm.state.leader,))
    calm.replica(calm.leader).role.min_insync = 2
    calm.look(calm.leader)


def begin_to_lead(calm: Calm, isr: tuple[int, ...]) -> None:
    """The leader has just opened its log and begun a term, in one input, and says that all of it is committed."""
    replica, history = calm.replica(calm.leader), calm.sim.copies.history(calm.partition)
    history.true_hw = replica.hw - 1
    replica.role.isr, replica.role.start = isr, replica.hw
    replica.role.followers.clear()
    calm.copy(calm.leader).log = None


def p13(calm: Calm) -> None:
    calm.replica(calm.follower).log.truncate_to(1)
    calm.look(calm.follower)


def p14_epoch(calm: Calm) -> None:
    replica = calm.replica(calm.follower)
    replica.log.append_replica(calm.batch(b"x", replica.log.end, replica.leader_epoch + 1))
    calm.look(calm.follower)


def p14_end(calm: Calm) -> None:
    calm.replica(calm.follower).log.end += 1
    calm.look(calm.follower)


def p15(calm: Calm) -> None:
    calm.replica(calm.leader).log.epochs.entries.clear()
    calm.run()


def p15_no_entry(calm: Calm) -> None:
    replica = calm.replica(calm.leader)
    calm.copy(calm.leader).leading = None
    replica.role.epoch += 1
    calm.look(calm.leader)


def p16(calm: Calm) -> None:
    calm.sim.leaders.writers[calm.partition, calm.state.leader_epoch] = ("b9", 1)
    calm.run()


def p17(calm: Calm) -> None:
    calm.sim.leaders.fetched.clear()
    calm.copy(calm.leader).hw = 0
    calm.copy(calm.leader).key = ()
    calm.look(calm.leader)


def p17_fresh(calm: Calm) -> None:
    begin_to_lead(calm, isr=calm.state.isr)
    calm.sim.leaders.fetched.clear()
    calm.look(calm.leader)


def counted_for_more(calm: Calm) -> None:
    number = next(member for member in calm.state.isr if member != calm.state.leader)
    calm.replica(calm.leader).leading.followers[number].end = 10**6
    calm.copy(calm.leader).key = ()
    calm.look(calm.leader)


def counted_for_another_log(calm: Calm) -> None:
    """What was damaged is replaced by an empty log, and the leader's term goes on."""
    calm.sim.oracle.lossy.add(calm.follower.name)
    replica = calm.replica(calm.follower)
    replica.log = Log.open(MemoryDisk(Random(1)), "orders-0", bytes(16), LogSettings(), None)
    replica.copying.hw = 0
    calm.look(calm.follower)


def p18(calm: Calm) -> None:
    calm.sim.leaders.fetched.clear()
    before = replace(calm.state, isr=(calm.state.leader,))
    calm.sim.leaders._joined(before, calm.state)


def p18_proposed(calm: Calm) -> None:
    leading = calm.replica(calm.leader).role
    leading.isr = (calm.state.leader,)
    leading.proposal = IsrChange(calm.partition, leading.epoch, 0, [(calm.state.leader, 1), (9, 9)])
    calm.look(calm.leader)


def p19_shape(calm: Calm) -> None:
    calm.sim.metadata._shape(replace(calm.state, leader=9))


def p19_step(calm: Calm) -> None:
    calm.sim.metadata._step(calm.partition, calm.state, replace(calm.state, isr=(1,)))


def _serve(calm: Calm, records: bytes, hw: int) -> None:
    part = ConsumedPartition(calm.partition, ErrorCode.NONE, hw, 0, Payload(records) if records else None)
    calm.say(calm.leader, "@r1#1", Consumed(5, [part]))


def p20_records(calm: Calm) -> None:
    _serve(calm, bytes(calm.batch(b"x", 10**6, 0)), -1)


def p20_hw(calm: Calm) -> None:
    _serve(calm, b"", 10**6)


def p21(calm: Calm) -> None:
    _serve(calm, bytes(calm.batch(b"never written", 0, 0)), -1)


def p22(calm: Calm) -> None:
    judge = calm.sim.judge
    judge._sequences = dict.fromkeys(judge._sequences, 10**6)
    calm.run()


FORGERIES: dict[str, list[Callable[[Calm], None]]] = {
    "R1": [r1, r1_followed],
    "R2": [r2_back, r2_not_durable],
    "R3": [r3],
    "R4": [r4],
    "R5": [r5_state, r5_log],
    "R6": [r6],
    "R7": [r7_back, r7_majority],
    "R8": [r8],
    "R10": [r10],
    "R11": [r11],
    "R13": [r13],
    "R15": [r15],
    "DURABLE": [durable],
    "COUNTED": [counted_for_more, counted_for_another_log],
    "PRISTINE": [pristine],
    "P1": [p1],
    "P2": [p2],
    "P3": [p3],
    "P4": [p4],
    "P5": [p5],
    "P6": [p6],
    "P7": [p7],
    "P8": [p8_elsewhere, p8_not_durable, p8_too_few],
    "P9": [p9],
    "P10": [p10],
    "P11": [p11],
    "P12": [p12, p12_leads],
    "P13": [p13],
    "P14": [p14_epoch, p14_end],
    "P15": [p15, p15_no_entry],
    "P16": [p16],
    "P17": [p17, p17_fresh],
    "P18": [p18, p18_proposed],
    "P19": [p19_shape, p19_step],
    "P20": [p20_records, p20_hw],
    "P21": [p21],
    "P22": [p22],
}


@pytest.mark.parametrize(
    ("invariant", "forge"),
    [pytest.param(name, forge, id=forge.__name__) for name, forges in FORGERIES.items() for forge in forges],
)
def test_a_forged_violation_is_found(invariant: str, forge: Callable[[Calm], None]) -> None:
    calm = Calm()
    with pytest.raises(Violation) as found:
        forge(calm)
    assert found.value.invariant == invariant, str(found.value)


def test_who_opens_its_log_and_leads_alone_in_one_input_may_have_all_of_it_committed() -> None:
    calm = Calm(shape=replace(SHAPE, replication=1, min_insync=1))
    begin_to_lead(calm, isr=(calm.state.leader,))
    calm.look(calm.leader)
    assert calm.sim.copies.history(calm.partition).true_hw == calm.replica(calm.leader).hw


def test_what_a_leader_commits_and_lets_expire_in_one_input_is_known_to_be_committed() -> None:
    """Seed 10173: an in-sync set that had grown moved the high watermark, and retention let all of that go at once."""
    calm = Calm(shape=replace(SHAPE, replication=1, min_insync=1))
    replica, history = calm.replica(calm.leader), calm.sim.copies.history(calm.partition)
    end, epoch = replica.log.end, replica.leader_epoch
    replica.log.append(calm.batch(b"not committed yet", end, epoch), epoch, 0)
    calm.look(calm.leader)
    assert history.newest()[0] == history.true_hw <= end
    replica.hw = end + 1
    replica.log.roll()
    replica.log.advance_start(end + 1)
    replica.log.append(calm.batch(b"in the same input", end + 1, epoch), epoch, 0)
    calm.look(calm.leader)
    assert history.newest()[0] == history.true_hw == end + 1
    assert history.committed[end].base == end


def test_what_one_copy_let_expire_another_may_acknowledge_again_if_it_was_committed() -> None:
    """Seed 11009: the log of an earlier leader began later than that of the next, whose producer repeated itself."""
    calm = Calm()
    line = calm.copy(calm.leader).mirror.lines[0]
    calm.replica(calm.follower).log.advance_start(line.end + 1)
    calm.look(calm.follower)
    assert calm.copy(calm.follower).mirror.begin > line.end
    _acknowledge(calm, line.base, line.end - line.base, line.crc)
    del calm.sim.copies.history(calm.partition).ends[line.end]
    with pytest.raises(Violation, match="P8"):
        _acknowledge(calm, line.base, line.end - line.base, line.crc)


def test_a_copy_is_forgotten_when_it_goes_also_if_the_news_of_that_came_before() -> None:
    calm = Calm()
    broker: Any = calm.follower.node and calm.follower.node.actors["broker"]
    state = broker.image.partitions[calm.partition]
    broker.image.partitions[calm.partition] = replace(state, replicas=(calm.state.leader,))
    calm.look(calm.follower)
    assert (calm.follower.name, calm.partition) in calm.sim.copies.copies
    del broker.replicas[calm.partition]
    calm.look(calm.follower)
    assert (calm.follower.name, calm.partition) not in calm.sim.copies.copies


def test_who_dies_while_it_cuts_its_log_has_taken_back_before_what_it_called_durable() -> None:
    """Seed 10141: the cut was rightful, the recovery point low enough, and nobody saw the end of that input."""
    calm = Calm()
    log, copy = calm.replica(calm.follower).log, calm.copy(calm.follower)
    calm.world.run_until(calm.world.now + 1_000_000)
    assert copy.durable == log.recovery_point > 5
    log.truncate_to(5)
    calm.world.crash(calm.follower.name)
    calm.follower.disk.replace("recovery-point-offset-checkpoint", b"0\n0\n")
    calm.world.start(calm.follower.name)
    calm.run()
    assert calm.copy(calm.follower).fresh is False
    assert calm.sim.oracle.premises["DURABLE"]


def test_a_calm_cluster_breaks_no_promise_and_tests_most() -> None:
    calm = Calm()
    calm.run()
    calm.say(calm.leader, "b1", FetchLeadership(1, None))
    held = set(calm.sim.oracle.premises)
    assert {"R1", "R2", "R3", "R4", "R5", "R7", "R10", "R11"} <= held
    assert {"P1", "P9", "P10", "COUNTED"} <= held
    assert {"P2", "P3", "P4", "P5", "P6", "P8", "P11", "P12", "P14", "P15", "P16", "P17", "P20", "P21", "P22"} <= held
