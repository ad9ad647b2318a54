"""Elections: single rules by name, then any sequence of them against a ghost that knows what was committed."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.elections import (
    Restart,
    choose_leader,
    damage_change,
    fence_changes,
    isr_change,
    leads,
    registration_changes,
    stop_changes,
    unfence_changes,
)
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import Partition, RecoveredReplica, TopicId
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerStopping,
    BrokerUnfenced,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    TopicCreated,
)
from barnabas.actors.metadata_state import PartitionState

T = TopicId("T" * 22)
P = Partition(T, 0)
PROVED = Restart(same_directory=True, same_boot=True, clean=False, recovered={})
WIPED = Restart(same_directory=False, same_boot=True, clean=False, recovered={})
REBOOTED = Restart(same_directory=True, same_boot=False, clean=False, recovered={})


class Cluster:
    """An image, and what the controller does to it in one batch each."""

    def __init__(
        self,
        replicas: Sequence[int] = (1, 2, 3),
        durability: str = "fsync",
        min_insync: int = 2,
        isr: Sequence[int] = (),
    ) -> None:
        isr = isr or replicas
        self.image = MetadataImage()
        self.lives = 0
        for broker in replicas:
            self.apply(self._registered(broker))
            if broker in isr:
                self.apply(BrokerUnfenced(broker, self.image.brokers[broker].epoch))
        configs = {"durability": durability, "min.insync.replicas": str(min_insync)}
        created = PartitionCreated(P, list(replicas), list(isr), isr[0])
        self.apply(TopicCreated(T, "orders", configs), created)

    @property
    def state(self) -> PartitionState:
        return self.image.partitions[P]

    def apply(self, *records: MetadataRecord) -> None:
        self.image.apply(records, self.image.end)
        assert self.image.violations() == []

    def _registered(self, broker: int) -> BrokerRegistered:
        self.lives += 1
        return BrokerRegistered(broker, Incarnation(self.lives), f"d{broker}", f"b{broker}", "")

    def fence(self, *brokers: int) -> None:
        fenced = [BrokerFenced(broker, self.image.brokers[broker].epoch) for broker in brokers]
        self.apply(*fenced, *fence_changes(self.image, brokers))

    def unfence(self, broker: int) -> None:
        unfenced = BrokerUnfenced(broker, self.image.brokers[broker].epoch)
        self.apply(unfenced, *unfence_changes(self.image, broker))

    def restart(self, broker: int, restart: Restart = PROVED) -> None:
        self.apply(self._registered(broker), *registration_changes(self.image, broker, restart))

    def stop(self, broker: int) -> None:
        stopping = BrokerStopping(broker, self.image.brokers[broker].epoch)
        self.apply(stopping, *stop_changes(self.image, broker))

    def propose(self, *isr: int) -> None:
        change = isr_change(self.image, self.state, isr)
        if change is not None:
            self.apply(change)

    def seen(self) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
        return self.state.leader, self.state.isr, self.state.elr


def test_the_first_unfenced_replica_in_sync_leads() -> None:
    cluster = Cluster((2, 3, 1))
    cluster.fence(2)
    assert cluster.seen() == (3, (3, 1), ())
    assert cluster.state.leader_epoch == 1


def test_a_leader_stays_when_the_preferred_one_is_back() -> None:
    cluster = Cluster()
    cluster.fence(1)
    cluster.unfence(1)
    cluster.propose(1, 2, 3)
    assert cluster.seen() == (2, (1, 2, 3), ())
    assert cluster.state.leader_epoch == 1


def test_a_follower_that_leaves_does_not_bump_the_leader_epoch() -> None:
    cluster = Cluster()
    cluster.fence(3)
    assert (cluster.state.leader, cluster.state.leader_epoch, cluster.state.partition_epoch) == (1, 0, 1)


def test_whoever_leaves_an_isr_that_is_too_small_stays_eligible() -> None:
    cluster = Cluster()
    cluster.fence(1)
    cluster.fence(2)
    assert cluster.seen() == (3, (3,), (2,))
    cluster.fence(3)
    assert cluster.seen() == (-1, (), (2, 3))


def test_the_first_eligible_one_that_is_back_leads() -> None:
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    cluster.unfence(1)
    assert cluster.state.leader == -1, "it left while the ISR sufficed, so it may lack records"
    cluster.unfence(2)
    assert cluster.seen() == (2, (2,), (3,))


def test_the_elr_is_empty_again_when_the_isr_suffices() -> None:
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    cluster.unfence(2)
    cluster.unfence(1)
    cluster.propose(1, 2)
    assert cluster.seen() == (2, (1, 2), ())


def test_three_that_fall_at_once_leave_what_three_leave_one_after_the_other() -> None:
    at_once, in_turn = Cluster(), Cluster()
    at_once.fence(1, 2, 3)
    for broker in (1, 2, 3):
        in_turn.fence(broker)
    assert at_once.seen() == in_turn.seen()


def test_a_topic_with_one_replica_waits_for_it() -> None:
    cluster = Cluster((1,))
    cluster.fence(1)
    assert cluster.seen() == (-1, (), (1,))
    cluster.unfence(1)
    assert cluster.seen() == (1, (1,), ())


def test_a_new_incarnation_of_the_leader_ends_its_leader_epoch_even_if_it_leads_again() -> None:
    cluster = Cluster((1,))
    cluster.restart(1)
    assert (cluster.state.leader, cluster.state.leader_epoch) == (-1, 1)
    cluster.unfence(1)
    assert (cluster.state.leader, cluster.state.leader_epoch) == (1, 2)


def test_an_unclean_restart_keeps_its_place_if_everything_was_on_disk() -> None:
    cluster = Cluster()
    cluster.fence(1)
    cluster.restart(2, REBOOTED)
    assert cluster.seen() == (3, (3,), (2,))


def test_a_new_boot_proves_nothing_for_a_topic_kept_in_the_page_cache() -> None:
    cluster = Cluster(durability="os")
    cluster.fence(1)
    cluster.restart(2, REBOOTED)
    assert cluster.seen() == (3, (3,), ())
    assert cluster.state.last_known_elr == (2,)


def test_the_same_boot_or_a_clean_stop_proves_it() -> None:
    for proof in (PROVED, Restart(same_directory=True, same_boot=False, clean=True, recovered={})):
        cluster = Cluster(durability="os")
        cluster.fence(1)
        cluster.restart(2, proof)
        assert cluster.seen() == (3, (3,), (2,))


def test_another_directory_leaves_isr_and_elr_whatever_else_is_claimed() -> None:
    cluster = Cluster()
    cluster.fence(1, 2)
    cluster.restart(2, WIPED)
    assert cluster.seen() == (3, (3,), ())
    cluster.restart(3, WIPED)
    assert cluster.seen() == (-1, (), ())
    assert cluster.state.last_known_elr == (2, 3)
    cluster.unfence(2)
    cluster.unfence(3)
    assert cluster.state.leader == -1, "no election is unclean"


def rebooted(end: int, epoch: int = 0) -> Restart:
    """A loss of power, after which the log ends there."""
    found = RecoveredReplica(P, end, durable=True, epoch=epoch)
    return Restart(same_directory=True, same_boot=False, clean=False, recovered={P: found})


def test_after_a_loss_of_power_of_all_the_longest_log_leads_and_not_the_first_one_back() -> None:
    """b1 is back first, and the end of its log has rotted away: nobody can tell that from a torn tail."""
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    cluster.restart(3, rebooted(7))
    cluster.unfence(3)
    assert cluster.seen() == (-1, (), (2, 3)), "one disk's word is not enough where two were needed"
    cluster.restart(2, rebooted(10))
    assert cluster.seen() == (-1, (), (2, 3)), "it is not in yet"
    cluster.unfence(2)
    assert cluster.seen() == (2, (2,), (3,))


def test_the_epoch_of_the_last_record_counts_before_the_length() -> None:
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    for broker, end, epoch in ((2, 50, 3), (3, 10, 4)):
        cluster.restart(broker, rebooted(end, epoch))
        cluster.unfence(broker)
    assert cluster.state.leader == 3


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_who_ends_below_the_beginning_of_an_empty_log_lacks_what_was_committed(order: tuple[int, ...]) -> None:
    """b2 began anew at 50 and has no record yet; b3 has the disk of long ago."""
    logs = {2: rebooted(50, -1), 3: rebooted(10, 4)}
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    for broker in order:
        cluster.restart(broker, logs[broker])
        cluster.unfence(broker)
    assert cluster.state.leader == 2


def test_an_empty_log_is_behind_who_has_records_beyond_it() -> None:
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    for broker, end, epoch in ((2, 50, -1), (3, 51, 4)):
        cluster.restart(broker, rebooted(end, epoch))
        cluster.unfence(broker)
    assert cluster.state.leader == 3


def test_whoever_never_stopped_leads_at_once_and_so_does_who_died_alone() -> None:
    for back in ([], [PROVED]):
        cluster = Cluster()
        cluster.fence(1, 2, 3)
        cluster.restart(3, rebooted(7))
        cluster.unfence(3)
        for restart in back:
            cluster.restart(2, restart)
        cluster.unfence(2)
        assert cluster.seen() == (2, (2,), (3,))


def test_a_torn_tail_needs_a_witness_although_the_machine_never_stopped() -> None:
    torn = RecoveredReplica(P, 7, durable=True, cut=True)
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    cluster.restart(3, Restart(same_directory=True, same_boot=True, clean=False, recovered={P: torn}))
    cluster.unfence(3)
    assert cluster.state.leader == -1


def test_one_that_proved_nothing_was_the_wrong_one_already() -> None:
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    cluster.restart(2, WIPED)
    cluster.restart(3, rebooted(7))
    cluster.unfence(3)
    assert cluster.seen() == (3, (3,), ())


def test_a_claim_ends_with_the_place_in_the_elr() -> None:
    cluster = Cluster()
    cluster.fence(1, 2)
    cluster.restart(2, rebooted(7))
    assert [claim.broker for claim in cluster.state.claims] == [2]
    cluster.unfence(2)
    cluster.propose(2, 3)
    assert cluster.state.claims == ()


def test_a_clean_restart_does_not_heal_what_a_loss_of_power_took() -> None:
    cluster = Cluster()
    cluster.fence(1, 2, 3)
    cluster.restart(3, rebooted(7))
    cluster.unfence(3)
    cluster.restart(3, PROVED)
    cluster.unfence(3)
    assert cluster.state.leader == -1


def test_a_damaged_partition_loses_its_place_and_the_others_do_not() -> None:
    damaged = RecoveredReplica(P, 5, durable=True, damaged="a bad CRC at offset 3")
    cluster = Cluster()
    cluster.fence(1)
    cluster.restart(2, Restart(same_directory=True, same_boot=True, clean=True, recovered={P: damaged}))
    assert cluster.seen() == (3, (3,), ())


def test_a_leader_that_finds_damage_hands_over() -> None:
    cluster = Cluster()
    change = damage_change(cluster.image, 1, P, cluster.state.leader_epoch)
    assert change is not None
    cluster.apply(change)
    assert cluster.seen() == (2, (2, 3), ())
    assert damage_change(cluster.image, 1, Partition(T, 9), 0) is None


@pytest.mark.parametrize("broker", [2, 3])
def test_where_a_log_is_damaged_all_prove_anew_what_they_have(broker: int) -> None:
    cluster = Cluster()
    cluster.propose(1, 2)
    epoch = cluster.state.leader_epoch
    change = damage_change(cluster.image, broker, P, epoch)
    assert change is not None
    cluster.apply(change)
    assert cluster.state.leader == 1
    assert broker not in cluster.state.isr
    assert cluster.state.leader_epoch == epoch + 1
    assert damage_change(cluster.image, broker, P, epoch) is None  # it is said again, or comes late


def test_a_stopping_leader_hands_over_and_leaves_the_isr() -> None:
    cluster = Cluster()
    cluster.stop(1)
    assert cluster.seen() == (2, (2, 3), ())
    assert leads(cluster.image, 1) == 0


def test_a_stopping_leader_waits_for_an_heir_that_is_catching_up() -> None:
    cluster = Cluster()
    cluster.propose(1)
    cluster.image.partitions[P] = _only(cluster.state)
    cluster.stop(1)
    assert cluster.seen() == (1, (1,), ())
    cluster.propose(1, 3)
    cluster.apply(*stop_changes(cluster.image, 1))
    assert cluster.seen() == (3, (3,), (1,))


def test_a_stopping_leader_without_an_heir_leaves_a_partition_that_waits_for_it() -> None:
    cluster = Cluster((1,))
    cluster.stop(1)
    assert cluster.seen() == (-1, (), (1,))
    cluster.restart(1)
    cluster.unfence(1)
    assert cluster.state.leader == 1


def test_when_all_stop_the_last_ones_stay_eligible() -> None:
    cluster = Cluster()
    for broker in (1, 2, 3):
        cluster.stop(broker)
    assert cluster.seen() == (-1, (), (2, 3))


def test_stopping_brokers_are_not_elected() -> None:
    cluster = Cluster()
    cluster.stop(2)
    assert choose_leader(cluster.state, lambda b: cluster.image.may_lead(b) and b != 1, 2) == 3


def _only(state: PartitionState) -> PartitionState:
    """The same without an ELR: its members have lost their disks meanwhile."""
    return PartitionState(P, state.replicas, state.isr, (), (), state.leader, state.leader_epoch, state.partition_epoch)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(1, 5), st.integers(1, 3), st.sampled_from(["fsync", "os"]))
def test_isr_and_elr_always_hold_all_that_was_committed(
    seed: int, count: int, min_insync: int, durability: str
) -> None:
    """P5 and P19 after any sequence. The ghost: how much each replica has; a write is committed when all in sync have
    it and they are enough; a wiped disk has nothing.
    """
    random = Random(seed)
    replicas = list(range(1, count + 1))
    cluster = Cluster(replicas, durability, min_insync)
    ends, committed = dict.fromkeys(replicas, 0), 0
    for _ in range(40):
        brokers = cluster.image.brokers
        broker = random.choice(replicas)
        before = cluster.state
        match random.randrange(7):
            case 0:
                cluster.fence(*[b for b in random.sample(replicas, random.randint(1, count)) if not brokers[b].fenced])
            case 1 | 2 if brokers[broker].fenced:
                cluster.unfence(broker)
            case 3:
                proof = random.choice((PROVED, REBOOTED, WIPED))
                if proof is WIPED or (proof is REBOOTED and durability == "os"):
                    ends[broker] = 0
                cluster.restart(broker, proof)
            case 4 if random.randrange(3) == 0 and not brokers[broker].stopping:
                cluster.stop(broker)
            case 5 | 6 if before.leader != -1:
                able = [b for b in replicas if cluster.image.may_lead(b) and b != before.leader]
                isr = [before.leader, *random.sample(able, random.randint(0, len(able)))]
                for joined in set(isr) - set(before.isr):
                    ends[joined] = ends[before.leader]  # the leader lets nobody in who has less than the committed
                cluster.propose(*isr)
            case _:
                pass
        state = cluster.state
        assert (state.leader_epoch > before.leader_epoch) == (state.leader != before.leader)
        if state.leader != -1 and len(state.isr) >= cluster.image.min_insync(state):
            committed += 1
            ends.update(dict.fromkeys(state.isr, committed))
        for member in (*state.isr, *state.elr):
            assert ends[member] >= committed, f"b{member} has {ends[member]} of {committed}: {state}"


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(2, 5), st.integers(1, 3))
def test_whoever_leads_has_everything_committed_although_too_few_disks_lie(
    seed: int, count: int, min_insync: int
) -> None:
    """Fewer than min.insync disks lose any part of a log with the power, and say nothing. The ghost: logs as lists of
    leader epochs; committed is what all in sync have while they are enough.
    """
    random = Random(seed)
    replicas = list(range(1, count + 1))
    cluster = Cluster(replicas, "fsync", min_insync)
    liars = set(random.sample(replicas, min(min_insync, count) - 1))
    logs: dict[int, list[int]] = {replica: [] for replica in replicas}
    committed: list[int] = []
    for _ in range(60):
        brokers = cluster.image.brokers
        broker = random.choice(replicas)
        before = cluster.state
        match random.randrange(8):
            case 0 | 1:
                cluster.fence(*[b for b in random.sample(replicas, random.randint(1, count)) if not brokers[b].fenced])
            case 2 | 3 if brokers[broker].fenced:
                cluster.unfence(broker)
            case 4 | 5 if random.randrange(3) == 0:
                cluster.restart(broker, PROVED)
            case 4 | 5:
                if broker in liars:
                    del logs[broker][random.randint(0, len(logs[broker])) :]
                cluster.restart(broker, rebooted(len(logs[broker]), logs[broker][-1] if logs[broker] else -1))
            case _ if before.leader != -1:
                logs[before.leader] += [before.leader_epoch] * random.randint(0, 2)
                able = [b for b in replicas if cluster.image.may_lead(b) and b != before.leader]
                isr = [before.leader, *random.sample(able, random.randint(0, len(able)))]
                for joined in isr:
                    logs[joined] = list(logs[before.leader])
                cluster.propose(*isr)
        state = cluster.state
        if state.leader == -1:
            continue
        log = logs[state.leader]
        assert log[: len(committed)] == committed, f"b{state.leader} has {log} of {committed}: {state}"
        if len(state.isr) >= cluster.image.min_insync(state):
            end = min(len(logs[member]) for member in state.isr)
            same = all(logs[member][:end] == log[:end] for member in state.isr)
            if same and end > len(committed):
                committed = log[:end]


@given(st.permutations([1, 2, 3, 4]), st.integers(1, 4), st.integers(1, 4))
def test_simultaneous_ends_equal_sequential_ones(order: list[int], count: int, min_insync: int) -> None:
    at_once, in_turn = (Cluster((1, 2, 3, 4), min_insync=min_insync) for _ in range(2))
    at_once.fence(*order[:count])
    for broker in order[:count]:
        in_turn.fence(broker)
    assert at_once.seen() == in_turn.seen()


def test_every_change_is_a_record_that_says_the_whole_state() -> None:
    [change] = fence_changes(Cluster().image, [1])
    assert change == PartitionChanged(P, 2, 1, 1, [2, 3])


def young(*isr: int, replicas: Sequence[int] = (1, 2, 3), min_insync: int = 2) -> Cluster:
    """A partition that was made while only these were up."""
    cluster = Cluster(replicas, min_insync=min_insync, isr=isr)
    assert cluster.state.pristine == (len(isr) < min_insync)
    return cluster


def test_where_nothing_can_be_committed_yet_anybody_may_lead_once_no_place_is_left() -> None:
    cluster = young(2)
    cluster.fence(2)
    cluster.unfence(1)
    assert cluster.seen() == (-1, (), (2,)), "it may have what acks=1 was told"
    cluster.restart(2, WIPED)
    assert cluster.seen() == (1, (1,), ())
    assert cluster.state.leader_epoch == 2
    assert cluster.state.last_known_elr == (2,)


def test_whoever_comes_first_leads_where_nothing_was_ever_committed() -> None:
    cluster = young(2)
    cluster.restart(2, WIPED)
    assert cluster.seen() == (-1, (), ())
    cluster.unfence(3)
    assert cluster.seen() == (3, (3,), ())
    cluster.restart(3, WIPED)
    cluster.unfence(2)
    assert cluster.seen() == (2, (2,), ())


def test_a_partition_is_pristine_until_as_many_are_in_sync_as_commit() -> None:
    cluster = young(2, replicas=(1, 2, 3, 4, 5), min_insync=3)
    for broker in (1, 3):
        cluster.unfence(broker)
    cluster.propose(1, 2)
    assert cluster.state.pristine
    cluster.propose(1, 2, 3)
    assert not cluster.state.pristine
    for broker in (1, 2, 3):
        cluster.restart(broker, WIPED)
    cluster.unfence(4)
    assert cluster.seen() == (-1, (), ()), "all that was committed is lost: that is for people to say"


def test_a_partition_of_one_is_never_pristine() -> None:
    cluster = young(2, min_insync=1)
    cluster.restart(2, WIPED)
    cluster.unfence(1)
    assert cluster.state.leader == -1
