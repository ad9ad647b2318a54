"""The historic bugs that can be switched on, and what each was.

At least one of the named invariants must be what is broken first, when a scenario that is made for the bug is played.
`hunt` (`bugs`) takes seeds instead, and there any broken promise will do, if the seed keeps them all without the bug.

To add one: `if bug("name")` where an actor guards against it (at most ten lines of the historic behaviour), and a row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from . import disk_scenarios, group_scenarios, life_scenarios, scenarios
from .disk_scenarios import PageCacheStage
from .group_scenarios import GroupStage, stage
from .life_scenarios import LifeStage
from .scenarios import Stage


class Bug(msgspec.Struct, frozen=True):
    """One bug that can be switched on."""

    name: str
    row: int  # of Appendix A of the reliability notes; 0: none of its own
    history: str  # where it was found first
    what: str
    invariants: tuple[str, ...]  # that speak of it
    scenario: Callable[[Any], None] | None = None  # that is made for it
    stages: Callable[[int], Stage] = Stage  # what the scenario is played on, by seed


BUGS = (
    Bug(
        "ignore-divergence", 1, "KIP-101, KAFKA-3919", "a follower keeps a tail that its leader does not have",
        ("P2", "P14"), scenarios.a_tail_comes_back,
    ),
    Bug(
        "no-epoch-start-entry", 3, "KAFKA-7415", "an epoch is not in its leader's cache before the first write",
        ("P15",), scenarios.two_elections,
    ),
    Bug(
        "join-below-epoch-start", 4, "KAFKA-7128", "a follower joins the ISR before it has reached the leader's epoch",
        ("P18", "P5"), scenarios.a_new_leader_that_knows_little,
    ),
    Bug(
        "fetch-without-epoch", 6, "KAFKA-7395", "a fetch of an earlier leader epoch moves the high watermark",
        ("P5", "P8", "P17", "COUNTED"), scenarios.a_fetch_of_an_earlier_epoch,
    ),
    Bug(
        "answers-of-other-epochs", 7, "KAFKA-7786, KAFKA-8429", "a follower cuts its log at the word of an old leader",
        ("P13",), scenarios.an_answer_of_an_earlier_epoch,
    ),
    Bug(
        "keep-cache-at-end", 8, "KAFKA-10706", "a cut at the very end keeps an epoch without records, for ever",
        ("L5", "L6"), scenarios.elections_without_a_write,
    ),
    Bug(
        "hw-before-truncation", 10, "KAFKA-14704", "a follower adopts the high watermark before it has cut its log",
        ("P3",), scenarios.a_tail_comes_back,
    ),
    Bug(
        "divergence-is-progress", 11, "KAFKA-13141", "a fetch from a log that differs counts as progress",
        ("P5", "P8"), scenarios.a_tail_asks_to_join,
    ),
    Bug(
        "hw-ignores-proposal", 13, "KAFKA-13091, KAFKA-13254", "the high watermark passes whoever is just joining",
        ("P6",), scenarios.a_join_whose_answer_is_lost,
    ),
    Bug(
        "fenced-may-join", 14, "KAFKA-13916 (KIP-841)", "a leader proposes a follower that is fenced",
        ("P18",), scenarios.a_fenced_follower_keeps_up,
    ),
    Bug(
        "any-broker-epoch", 15, "KAFKA-14617 (KIP-903), CVE-2018-1288", "a fetch of a dead or forged life counts",
        ("P5", "P8", "P17", "COUNTED"), scenarios.a_fetch_of_a_dead_life,
    ),
    Bug(
        "hw-below-min-insync", 17, "KAFKA-15583", "the high watermark moves while too few are in sync",
        ("P4", "P5", "P13"),
    ),
    Bug(
        "vote-before-durable", 24, "KAFKA-10527", "a voter says what a loss of power would take back",
        ("R2", "R3"),
    ),
    Bug(
        "no-check-quorum", 25, "KAFKA-15489", "a controller goes on although no other hears it",
        ("R13",), scenarios.a_controller_alone,
    ),
    Bug(
        "read-uncommitted", 29, "KAFKA-9807", "consumers get what lies above the high watermark",
        ("P20",),
    ),
    Bug(
        "keep-recovery-point", 31, "KAFKA-9892, KAFKA-3968", "a log is cut below its recovery point, which stays",
        ("DURABLE",), scenarios.a_crash_after_a_cut,
    ),
    Bug(
        "forget-sequences", 40, "redpanda#3039", "the answer to a repeated write does not name the first one's offset",
        ("P22",),
    ),
    Bug(
        "no-lease", 46, "etcd#20418", "a leader that hears nobody goes on telling what it knows",
        ("stale-latest",), scenarios.an_old_leader_and_its_listener,
    ),
    Bug(
        "commit-old-epoch", 0, "Raft, figure 8", "a leader commits by counting records of an earlier epoch",
        ("R7",),
    ),
    Bug(
        "ack-before-replication", 0, "Kafka 0.8 (Jepsen, 2013)", "a write is acknowledged as soon as the leader has it",
        ("P8",),
    ),
    Bug(
        "expire-live-offsets", 41, "KAFKA-13636, KAFKA-8069", "offsets of a group that has members are forgotten",
        ("G7",), group_scenarios.a_group_that_commits_seldom, stage({"retention_ms": 1_500, "keep_us": 3_000_000}),
    ),
    Bug(
        "no-sync-timer", 42, "KAFKA-12890, KAFKA-9752", "a round of the classic protocol waits for its leader for ever",
        ("GL1",), group_scenarios.a_leader_that_does_not_sync, stage({"classic": 2}),
    ),
    Bug(
        "load-waits-for-records", 43, "KAFKA-7286, KAFKA-9065", "a coordinator never ends to read its partition",
        ("GL2",), group_scenarios.a_group_larger_than_a_read, stage({"classic": 2, "weight": 40_000}),
    ),
    Bug(
        "serve-half-loaded", 0, "KAFKA-5600", "a coordinator answers before it has read everything",
        ("G6",), group_scenarios.a_coordinator_that_has_read_half, GroupStage,
    ),
    Bug(
        "reply-before-commit", 0, "Kafka before KIP-1041", "a commit is answered before it is committed",
        ("G6",), group_scenarios.a_coordinator_alone_with_its_members, GroupStage,
    ),
    Bug(
        "zombies-commit", 0, "KAFKA-8225, KAFKA-14499", "who was put out of its group commits all the same",
        ("G5",), group_scenarios.a_member_that_slept, GroupStage,
    ),
    Bug(
        "give-before-revoke", 0, "KIP-848", "a partition is given to another one before its owner has let go",
        ("G1", "G2"), group_scenarios.a_member_that_lets_go_late, stage({"slow_us": 1_000_000}),
    ),
    Bug(
        "old-copies-count", 0, "datagrams", "an old copy of a commit takes a group back",
        ("G6",), group_scenarios.a_commit_that_comes_again, stage({"keep_us": 1_000_000}),
    ),
    Bug(
        "coordinator-without-lease", 0, "etcd#20418", "a coordinator that hears nobody goes on telling what it knows",
        ("G6",), group_scenarios.an_old_coordinator_and_its_listener, stage({"session_ms": 30_000}),
    ),
    Bug(
        "unbounded-group", 0, "KAFKA-7641", "a group takes any number of members",
        ("G8",), group_scenarios.a_member_too_many, stage({"max_members": 2}),
    ),
    Bug(
        "unknown-epoch-passes", 2, "KIP-279, KAFKA-6361", "a follower goes on that has an epoch its leader never had",
        ("P2", "P14", "P1", "P3", "R5", "L6"), scenarios.an_epoch_that_the_leader_never_had,
    ),
    Bug(
        "forget-epoch-zero", 9, "KAFKA-10432", "a recovery forgets epoch 0",
        ("P15",),
    ),
    Bug(
        "empty-answer-forgets-epoch", 12, "KAFKA-15510", "after an answer without records a follower says no epoch",
        ("P5", "P2", "P14", "P1", "P3"), scenarios.a_tail_that_waited_for_more,
    ),
    Bug(
        "unproved-keeps-place", 16, "KIP-966", "a disk that proves nothing may lead: last replica standing",
        ("P4", "P5", "P13"), disk_scenarios.the_last_one_standing_loses_power, PageCacheStage,
    ),
    Bug(
        "hw-waits-for-all", 18, "KAFKA-15021", "the high watermark waits for who is not in sync",
        ("L5", "P8", "L6"), scenarios.a_follower_that_is_gone,
    ),
    Bug(
        "proposal-sent-once", 19, "KAFKA-14144", "a proposal whose answer is lost is never sent again",
        ("L6",),
    ),
    Bug(
        "expire-one-by-one", 22, "KAFKA-13173", "of several sessions that end at once, each is dealt with by itself",
        ("P19",), scenarios.sessions_that_end_at_once,
    ),
    Bug(
        "sequences-before-append", 30, "KAFKA-6683", "a producer's sequence is taken although its batch is refused",
        ("P8", "P22"), disk_scenarios.a_disk_without_room_for_a_while,
    ),
    Bug(
        "corruption-is-a-torn-tail", 45, "nats-server#7549", "what has rotted is cut away, wherever it is",
        ("DURABLE", "P4", "P13", "P5"), disk_scenarios.a_rotten_log_is_back_first,
    ),
    Bug(
        "first-back-leads", 0, "our own, before D97", "after a loss of power one disk's word is enough",
        ("P4", "P13"), disk_scenarios.a_rotten_tail_is_back_first,
    ),
    Bug(
        "clean-beyond-hw", 44, "KAFKA-13194", "the cleaner compacts what is not committed yet",
        ("P25",), life_scenarios.a_leader_alone_with_its_producers, LifeStage,
    ),
    Bug(
        "expire-beyond-hw", 48, "KAFKA-5634", "retention deletes records that are not committed yet",
        ("P9",), life_scenarios.a_leader_alone_with_its_producers, LifeStage,
    ),
    Bug(
        "miss-tombstones", 0, "Kafka's delete.retention.ms", "a replica that was away keeps what was deleted meanwhile",
        ("KEYS",), life_scenarios.a_tombstone_that_was_missed, LifeStage,
    ),
)  # fmt: skip
