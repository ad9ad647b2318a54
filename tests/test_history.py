"""The history checker finds every anomaly that is put into a clean history, and nothing in the clean one.

Clean histories are made by a toy cluster that is right by construction: one log per partition, producers that append at
some moment between call and outcome, consumers that read on from where they were. Then one thing is spoilt.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from barnabas.cli.main import main
from barnabas.simulation.analysis import analyse
from barnabas.simulation.history import NEVER, Op, dump, load


def clean(seed: int, steps: int = 120) -> list[Op]:
    """Operations of two producers and two consumers on one partition."""
    random = Random(seed)
    log: list[str] = []
    ops: list[Op] = []
    positions = {"reader-0": 0, "reader-1": 0}
    time = 0
    for number in range(steps):
        time += random.randint(1, 50)
        called, done = time, time + random.randint(1, 30)
        choice = random.random()
        if choice < 0.5:
            outcome = random.choice(("ok", "ok", "ok", "info", "fail"))
            process, value = f"writer-{number % 2}", f"v{number}"
            if outcome == "ok" or (outcome == "info" and random.random() < 0.5):
                log.append(value)
            offset = len(log) - 1 if outcome == "ok" else -1
            ops.append(Op(process, "send", "t-0", called, done, outcome, value, offset))  # type: ignore[arg-type]
        elif choice < 0.9:
            process = random.choice(sorted(positions))
            end = min(len(log), positions[process] + random.randint(0, 4))
            read = [(offset, log[offset]) for offset in range(positions[process], end)]
            positions[process] = end
            ops.append(Op(process, "poll", "t-0", called, done, read=read))
        else:
            ops.append(Op("asker", "latest", "t-0", called, done, offset=len(log)))
        time = done
    for process, position in sorted(positions.items()):
        read = [(offset, log[offset]) for offset in range(position, len(log))]
        ops.append(Op(process, "poll", "t-0", time + 1, time + 2, read=read, final=True))
    return ops


def kinds(ops: list[Op], lease_us: int = 0) -> set[str]:
    return {anomaly.kind for anomaly in analyse(ops, lease_us).anomalies}


def acknowledged(ops: list[Op]) -> list[Op]:
    return [op for op in ops if op.kind == "send" and op.outcome == "ok"]


def without(ops: list[Op], value: str) -> list[Op]:
    """As if nobody had ever read it."""
    return [replace(op, read=[pair for pair in op.read if pair[1] != value]) for op in ops]


def spoil_lost(ops: list[Op], random: Random) -> list[Op]:
    return without(ops, random.choice(acknowledged(ops)[:-1]).value)


def spoil_unseen(ops: list[Op], random: Random) -> list[Op]:
    end = max(op.done for op in ops)
    highest = max(offset for op in ops for offset, _ in op.read)
    return [*ops, Op("writer-9", "send", "t-0", end + 1, end + 2, "ok", "late", highest + 1)]


def spoil_duplicate(ops: list[Op], random: Random) -> list[Op]:
    op = random.choice(acknowledged(ops))
    return [*ops, Op("reader-9", "poll", "t-0", 1, 2, read=[(op.offset + 1000, op.value)])]


def spoil_inconsistent(ops: list[Op], random: Random) -> list[Op]:
    one, other = random.sample(acknowledged(ops), 2)
    return [*ops, Op("reader-9", "poll", "t-0", 1, 2, read=[(one.offset, other.value)])]


def spoil_garbage(ops: list[Op], random: Random) -> list[Op]:
    return [*ops, Op("reader-9", "poll", "t-0", 1, 2, read=[(random.randint(1000, 2000), "nobody's")])]


def spoil_aborted(ops: list[Op], random: Random) -> list[Op]:
    op = random.choice(acknowledged(ops))
    return [replace(other, outcome="fail") if other is op else other for other in ops]


def spoil_poll_back(ops: list[Op], random: Random) -> list[Op]:
    end = max(op.done for op in ops)
    first = min(pair for op in ops for pair in op.read)
    return [*ops, Op("reader-0", "poll", "t-0", end + 1, end + 2, read=[first])]


def spoil_poll_skip(ops: list[Op], random: Random) -> list[Op]:
    polls = [op for op in ops if op.process == "reader-0" and op.read]
    victim = random.choice([op for op in polls[1:] if len(op.read) > 1] or polls[-1:])
    cut = replace(victim, read=victim.read[1:])
    return [cut if op is victim else op for op in ops]


def spoil_within_a_poll(ops: list[Op], random: Random) -> list[Op]:
    victim = max(ops, key=lambda op: len(op.read))
    assert len(victim.read) > 2
    cut = replace(victim, read=[victim.read[0], *victim.read[2:]])
    return [cut if op is victim else op for op in ops]


def spoil_latest(ops: list[Op], random: Random) -> list[Op]:
    end = max(op.done for op in ops)
    last = acknowledged(ops)[-1]
    return [*ops, Op("asker", "latest", "t-0", end + 1, end + 2, offset=last.offset)]


def spoil_real_time(ops: list[Op], random: Random) -> list[Op]:
    first, end = acknowledged(ops)[0], max(op.done for op in ops)
    return [replace(op, called=end + 1, done=end + 2, process="writer-9") if op is first else op for op in ops]


SPOILT = {
    "lost-write": spoil_lost,
    "unseen": spoil_unseen,
    "duplicate": spoil_duplicate,
    "inconsistent-offsets": spoil_inconsistent,
    "garbage": spoil_garbage,
    "aborted-read": spoil_aborted,
    "nonmonotonic-poll": spoil_poll_back,
    "poll-skip": spoil_poll_skip,
    "int-poll-skip": spoil_within_a_poll,
    "stale-latest": spoil_latest,
    "realtime-order": spoil_real_time,
}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_a_clean_history_is_clean(seed: int) -> None:
    verdict = analyse(clean(seed))
    assert verdict.anomalies == []
    assert verdict.counts["acknowledged"] > 0


@pytest.mark.parametrize("kind", sorted(SPOILT))
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_an_injected_anomaly_is_found(kind: str, seed: int) -> None:
    ops = clean(seed)
    assert kind in kinds(SPOILT[kind](ops, Random(seed)))


def test_a_producer_whose_records_changed_places_is_found() -> None:
    ops = [
        Op("writer", "send", "t-0", 1, 5, "ok", "a", 1),
        Op("writer", "send", "t-0", 2, 6, "ok", "b", 0),
    ]
    assert kinds(ops) == {"nonmonotonic-send"}


def test_what_an_unsafe_producer_loses_does_not_count() -> None:
    ops = clean(3)
    lost = acknowledged(ops)[0]
    ops = [replace(op, safe=False) if op.value == lost.value else op for op in without(ops, lost.value)]
    assert kinds(ops) == set()


def test_a_consumer_that_begins_anew_may_go_back() -> None:
    read = [(0, "a"), (1, "b")]
    send = [Op("w", "send", "t-0", 0, 0, value="a", offset=0), Op("w", "send", "t-0", 1, 1, value="b", offset=1)]
    ops = [*send, Op("r", "poll", "t-0", 2, 3, read=read), Op("r", "poll", "t-0", 6, 7, read=read)]
    assert kinds(ops) == {"nonmonotonic-poll"}
    assert kinds([*ops, Op("r", "assign", "t-0", 4, 5)]) == set()


def test_an_end_may_be_as_old_as_a_lease_and_not_older() -> None:
    ops = [Op("w", "send", "t-0", 0, 10, value="a", offset=0), Op("r", "latest", "t-0", 15, 16, offset=0)]
    ops.append(Op("x", "poll", "t-0", 20, 21, read=[(0, "a")]))
    assert {anomaly.kind for anomaly in analyse(ops, 4).anomalies} == {"stale-latest"}
    assert analyse(ops, 6).anomalies == []


def test_a_history_survives_its_json_lines() -> None:
    ops = clean(5)
    assert load(dump(ops)) == ops


def test_what_was_called_and_never_answered_is_an_unknown_outcome() -> None:
    lines = (
        b'{"process":"p","kind":"send","key":"t-0","called":5,"done":5,"value":"a","outcome":"invoked"}\n'
        b'{"process":"p","kind":"send","key":"t-0","called":6,"done":6,"value":"b","outcome":"invoked"}\n'
        b'{"process":"p","kind":"send","key":"t-0","called":5,"done":9,"value":"a","offset":3}\n'
    )
    assert load(lines) == [
        Op("p", "send", "t-0", 5, 9, value="a", offset=3),
        Op("p", "send", "t-0", 6, NEVER, "info", "b"),
    ]


def test_a_line_that_is_no_operation_is_refused_with_its_number() -> None:
    with pytest.raises(ValueError, match="line 2 of the history"):
        load(dump(clean(1)[:1]) + b'{"process":"p"}\n')


def test_a_producer_without_idempotence_may_double_and_not_lose() -> None:
    ops = [
        Op("w", "send", "t-0", 1, 5, "ok", "a", 1, once=False),
        Op("r", "poll", "t-0", 6, 7, read=[(0, "a"), (1, "a")], final=True),
    ]
    assert kinds(ops) == set()
    assert kinds([replace(op, once=True) for op in ops]) == {"duplicate"}
    assert kinds([*ops, Op("w", "send", "t-0", 8, 9, "ok", "b", 2, once=False)]) == {"unseen"}


def test_a_process_that_died_reads_from_anywhere_in_its_next_life() -> None:
    send = [Op("w", "send", "t-0", 0, 0, value="a", offset=0), Op("w", "send", "t-0", 1, 1, value="b", offset=1)]
    polls = [Op("r", "poll", "t-0", time, time, read=[(0, "a"), (1, "b")]) for time in (2, 6)]
    assert kinds([*send, *polls, Op("r", "crash", "", 4, 4)]) == set()


COMMITS = [
    Op("r", "commit", "t-0", 10, 20, offset=3, group="g"),
    Op("r", "commit", "t-0", 30, 40, offset=5, group="g"),
]


@pytest.mark.parametrize(
    ("told", "anomalies"),
    [
        (Op("x", "committed", "t-0", 50, 51, offset=5, group="g"), set()),
        (Op("x", "committed", "t-0", 35, 36, offset=3, group="g"), set()),
        (Op("x", "committed", "t-0", 50, 51, offset=3, group="g"), {"commit-regress"}),
        (Op("x", "committed", "t-0", 50, 51, offset=-1, group="g"), {"commit-regress"}),
        (Op("x", "committed", "t-0", 5, 6, offset=-1, group="g"), set()),
        (Op("x", "committed", "t-0", 50, 51, offset=4, group="g"), {"commit-unknown"}),
        (Op("x", "committed", "t-0", 50, 51, offset=-1, group="another"), set()),
    ],
)
def test_a_group_is_told_what_it_has_committed(told: Op, anomalies: set[str]) -> None:
    assert kinds([*COMMITS, told]) == anomalies


def test_a_coordinator_that_was_replaced_may_tell_what_was_committed_a_lease_ago() -> None:
    told = Op("x", "committed", "t-0", 50, 51, offset=3, group="g")
    assert kinds([*COMMITS, told], lease_us=11) == set()
    assert kinds([*COMMITS, told], lease_us=9) == {"commit-regress"}


def test_a_commit_of_unknown_outcome_may_come_late() -> None:
    late = replace(COMMITS[0], outcome="info")
    assert kinds([late, COMMITS[1], Op("x", "committed", "t-0", 50, 51, offset=3, group="g")]) == set()


def test_a_file_is_judged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(dump(clean(2)))
    assert main(["simulate", "--history", str(path)]) == 0
    path.write_bytes(dump(spoil_lost(clean(2), Random(1))))
    assert main(["simulate", "--history", str(path)]) == 1
    assert "lost-write: t-0: v" in capsys.readouterr().out
    path.write_bytes(b"nothing")
    assert main(["simulate", "--history", str(path)]) == 2
    assert "line 1 of the history" in capsys.readouterr().err
