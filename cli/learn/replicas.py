"""Lessons about copies: who has a record, when it counts, and what happens when somebody is gone."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from ...client import Consumer, Producer, SendFuture
from ...client.errors import BarnabasError
from ...client.tracer import Tracer
from .stage import PATIENCE, Stage, seconds, take, values


def replication(stage: Stage) -> None:
    """Every record is on three brokers; followers ask the leader for what is new."""
    topic = stage.topic("learn-replication")
    leader = stage.cluster.leader(topic, 0)
    stage.will(
        f"""
        A partition has a leader, to which producers and consumers talk (here b{leader}), and followers, which ask
        it for new writes. A hundred events are written; then the three files are compared. Last, one more record is
        followed.
        """
    )
    stage.write(topic, [(None, f"event {number}") for number in range(100)])
    config = stage.cluster.formatted.config
    files = [config.data_of(node) / f"{topic}-0" / f"{0:020d}.log" for node in config.nodes]
    took = stage.until(lambda: len({path.read_bytes() for path in files}) == 1)
    stage.did(f"each of the three files has {files[0].stat().st_size} bytes")
    stage.check("the three copies are equal, byte for byte", took is not None)
    with Tracer(stage.cluster.bootstrap) as tracer:
        tracer.trace(topic)
        way = tracer.trace(topic)
    for step in way.steps:
        stage.did(f"{step.at_ms:.1f} ms: {step.sentence}")
    appended = {step.broker for step in way.steps if step.what == "appended"}
    stage.check("leader and followers were all seen to have it", appended == {1, 2, 3})


def high_watermark(stage: Stage) -> None:
    """Only fully replicated records can be consumed."""
    topic = stage.topic("learn-high-watermark")
    leader = stage.cluster.leader(topic, 0)
    follower = _follower(stage, leader)
    stage.will(
        f"""
        The high watermark is how far every in-sync replica has a log; consumers are given what lies below it. We
        stop the follower b{follower} (SIGSTOP) and write a record that only the leader has to have (acks=1). It is
        there, and nobody can read it, until the follower has it too.
        """
    )
    with Consumer(stage.cluster.bootstrap, topic) as consumer:
        stage.write(topic, [(None, "before")])
        take(consumer, 1)
        stage.cluster.pause(follower)
        try:
            [(_, offset)] = stage.write(topic, [(None, "not yet everywhere")], acks=1)
            stage.did(f"the leader has acknowledged the record at offset {offset}; b{follower} is stopped")
            early = take(consumer, 1, 1.0)
            stage.did(f"a consumer that waited for a second got {values(early) or 'nothing'}")
        finally:
            stage.cluster.resume(follower)
        late = take(consumer, 1)
    stage.did(f"b{follower} goes on, and the consumer got {values(late)}")
    stage.check("what not every in-sync replica had was not given to the consumer", early == [])
    stage.check("once they all had it, it was", values(late) == ["not yet everywhere"])


def acks(stage: Stage) -> None:
    """What a successful write is, the application decides."""
    topic = stage.topic("learn-acks")
    leader = stage.cluster.leader(topic, 0)
    follower = _follower(stage, leader)
    stage.will(
        f"""
        acks=0: do not tell me. acks=1: the leader has it. acks=all: every in-sync replica has it on its disk. With
        a follower stopped (b{follower}) the third one has to wait until the cluster counts on that follower no
        longer.
        """
    )
    choices: tuple[int | str, ...] = (0, 1, "all")
    producers = {choice: Producer(stage.cluster.bootstrap, acks=choice, linger_ms=0) for choice in choices}

    def times(what: str, of: tuple[int | str, ...]) -> dict[int | str, float]:
        took = {}
        for choice in of:
            began = time.monotonic()
            producers[choice].send(topic, f"acks={choice}").result(PATIENCE)
            took[choice] = time.monotonic() - began
        stage.did(f"{what}: " + ", ".join(f"acks={choice} took {seconds(span)}" for choice, span in took.items()))
        return took

    try:
        for producer in producers.values():
            producer.send(topic, "the first one makes connections").result(PATIENCE)
        times("all well", choices)
        stage.cluster.pause(follower)
        waited = times(f"b{follower} stopped", (1, "all"))
        isr = stage.cluster.isr(topic, 0)
    finally:
        stage.cluster.resume(follower)
        for producer in producers.values():
            producer.close()
    stage.did(f"acks=all was answered when the in-sync replicas were {isr}")
    stage.check("acks=1 did not wait for the follower", waited[1] < 1.5, seconds(waited[1]))
    stage.check("acks=all waited until it was out of the in-sync replicas", waited["all"] > 1.5 and follower not in isr)


def in_sync(stage: Stage) -> None:
    """In-sync replicas: who is behind for too long does not count, and comes back when it has caught up."""
    topic = stage.topic("learn-in-sync")
    leader = stage.cluster.leader(topic, 0)
    follower = _follower(stage, leader)
    stage.will(
        f"""
        In sync are those who have what the leader has. b{follower} is killed: it leaves the in-sync replicas. The
        others go on. When it is started again it asks for what it has missed, and joins once it has all of it.
        """
    )
    stage.cluster.kill(follower)
    out = stage.until(lambda: follower not in stage.cluster.isr(topic, 0))
    stage.did(f"{seconds(out)} after the kill the in-sync replicas are {stage.cluster.isr(topic, 0)}")
    stage.write(topic, [(None, f"missed {number}") for number in range(20)])
    began = time.monotonic()
    stage.cluster.restart(follower)
    back = stage.until(lambda: follower in stage.cluster.isr(topic, 0))
    stage.did(f"{seconds(time.monotonic() - began)} after it was started they are {stage.cluster.isr(topic, 0)}")
    stage.check("it left when it was gone, and writes went on", out is not None)
    stage.check("it is back, and has what it missed", back is not None and _same(stage, topic))


def failover(stage: Stage) -> None:
    """The leader dies, and another one leads."""
    topic = stage.topic("learn-failover")
    victim = stage.cluster.leader(topic, 0)
    stage.will(
        f"""
        b{victim} leads. A producer writes an event every 10 ms, and b{victim} is killed (kill -9) meanwhile. The
        controller notices, makes another in-sync replica the leader and tells everybody; the producer sends again
        what had no answer.
        """
    )
    times: list[float] = []  # of acknowledgements
    with Producer(stage.cluster.bootstrap, linger_ms=0) as producer:

        def told(future: SendFuture) -> None:
            if future.exception() is None:
                times.append(time.monotonic())

        for number in range(150):
            producer.send(topic, f"event {number}").add_done_callback(told)
            if number == 50:
                killed = time.monotonic()
                stage.cluster.kill(victim)
            time.sleep(0.01)
        producer.flush(PATIENCE)
    leader = stage.cluster.leader(topic, 0)
    gap = max((later - earlier for earlier, later in pairwise(times) if later > killed), default=None)
    stage.did(f"b{leader} leads now; the longest time without an acknowledgement was {seconds(gap)}")
    stage.cluster.restart(victim)
    read = values(stage.read(topic, len(times)))
    stage.check("another one leads", leader not in (-1, victim), f"b{leader}")
    stage.check("every event was acknowledged", len(times) == 150, f"{len(times)} of 150")
    stage.check("all of them are there, once and in order", read == [f"event {number}" for number in range(150)])


def minimum(stage: Stage) -> None:
    """Too few replicas: the cluster rather refuses than promises."""
    topic = stage.topic("learn-minimum", min_insync_replicas="3")
    victim = _follower(stage, stage.cluster.leader(topic, 0))
    stage.will(
        """
        How many replicas must have an acknowledged record is the topic's choice: min.insync.replicas, here all
        three. With one broker gone, acks=all is refused instead of promising what is not so; acks=1 still works.
        """
    )
    stage.cluster.kill(victim)
    try:
        stage.until(lambda: victim not in stage.cluster.isr(topic, 0))
        refused = ""
        with Producer(stage.cluster.bootstrap, delivery_timeout_ms=1_500) as producer:
            try:
                producer.send(topic, "too few").result(PATIENCE)
            except BarnabasError as error:
                refused = f"{type(error).__name__}: {error}"
        stage.did(f"acks=all: {refused or 'acknowledged'}")
        stage.write(topic, [(None, "the leader has it")], acks=1)
        stage.did("acks=1: acknowledged")
    finally:
        stage.cluster.restart(victim)
    stage.cluster.await_isr(topic, PATIENCE)
    again = stage.write(topic, [(None, "all three have it")])
    stage.did(f"b{victim} is back, and acks=all was acknowledged at offset {again[0][1]}")
    stage.check("acks=all was refused while a replica was missing", bool(refused))
    stage.check("and is answered now that all are back", values(stage.read(topic, 2))[-1:] == ["all three have it"])


def _follower(stage: Stage, leader: int) -> int:
    """A node that neither leads nor is the active controller: without it the controllers go on as they are."""
    controller = stage.cluster.controller()
    return next(node for node in stage.cluster.nodes if node not in (leader, controller))


def _same(stage: Stage, topic: str) -> bool:
    """Whether all three files of partition 0 become equal."""
    config = stage.cluster.formatted.config
    files: list[Path] = [config.data_of(node) / f"{topic}-0" / f"{0:020d}.log" for node in config.nodes]
    return stage.until(lambda: len({path.read_bytes() for path in files}) == 1) is not None
