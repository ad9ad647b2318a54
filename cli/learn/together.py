"""Lessons about those who work together: controllers, groups, and streams made of producers and consumers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ...client import Consumer, Producer
from ...cluster.event_file import Happened, Tails
from .stage import PATIENCE, Stage, seconds, take, values


def controller(stage: Stage) -> None:
    """The controller: a special broker that is elected, watches the others and decides who leads."""
    stage.topic("learn-controller")
    active = stage.cluster.controller()
    events = _events(stage)
    events()
    stage.will(
        f"""
        One of the controllers is active, here that of b{active}: it watches the brokers and decides who leads which
        partition. It is killed. The others elect a new one among themselves, by majority, in a higher epoch; and
        that one decides what its predecessor cannot any more.
        """
    )
    killed = time.time_ns() // 1_000_000
    stage.cluster.kill(active)
    heard: list[Happened] = []

    def fenced() -> bool:
        return any(event.event == "BrokerFencedEvent" and event.fields["broker"] == active for event in heard)

    def elected() -> bool:
        heard.extend(events())
        return any(event.event == "ControllerElected" for event in heard) and fenced()

    took = stage.until(elected)
    stage.cluster.create_topic("learn-controller-2")
    for event in heard:
        if event.event in ("QuorumLeaderElected", "ControllerElected", "BrokerFencedEvent"):
            stage.did(f"{event.ms - killed} ms: {event.sentence}, because {event.cause}")
    now = stage.cluster.controller()
    stage.did(f"the new controller is that of b{now}, and has created a topic")
    stage.cluster.restart(active)
    stage.check("another controller is active", took is not None and now not in (-1, active), f"b{now}")
    stage.check("it has taken the dead broker out of service", fenced())


def streams(stage: Stage) -> None:
    """Everything is a producer or a consumer; streams are built on top."""
    numbers, squares = stage.topic("learn-numbers"), stage.topic("learn-squares")
    stage.will(
        """
        There are only these two: what writes, and what reads. A stream is a program that reads one topic and writes
        another. This one squares numbers; a consumer of its topic does not know, nor need to, where they come from.
        """
    )
    over = threading.Event()

    def square() -> None:
        with Consumer(stage.cluster.bootstrap, numbers) as consumer, Producer(stage.cluster.bootstrap) as producer:
            while not over.is_set():
                for record in consumer.poll(0.1):
                    number = int(record.value or b"0")
                    producer.send(squares, str(number * number), record.key)

    worker = threading.Thread(target=square, daemon=True)
    worker.start()
    try:
        stage.write(numbers, [(None, str(number)) for number in range(1, 11)])
        read = values(stage.read(squares, 10))
    finally:
        over.set()
        worker.join()
    stage.did(f"in went the numbers from 1 to 10, out came {', '.join(read)}")
    stage.check("the stream's topic has their squares, in order", read == [str(n * n) for n in range(1, 11)])
    stage.check("the topic that it read is as it was", values(stage.read(numbers, 10))[-1:] == ["10"])


def groups(stage: Stage) -> None:
    """Consumer groups: members share the partitions, and rebalance when one joins or leaves."""
    topic = stage.topic("learn-groups", partitions=6)
    stage.will(
        """
        Consumers that share a group's name share the work: each partition is read by one of them. One broker is in
        charge of the group. The first member gets all six partitions; when a second joins, it gives some up, and
        hears of that on its next heartbeat; when the second leaves, it gets them back.
        """
    )
    with Consumer(stage.cluster.bootstrap, topic, group="learners") as ada:
        alone = _settle(stage, lambda: (_share(ada),), lambda shares: len(shares[0]) == 6)
        stage.did(f"the first member reads the partitions {sorted(alone[0])}")
        with Consumer(stage.cluster.bootstrap, topic, group="learners") as bob:
            began = time.monotonic()
            both = _settle(stage, lambda: (_share(ada), _share(bob)), _even)
            joined = seconds(time.monotonic() - began)
            stage.did(f"{joined} after the second joined, they read {sorted(both[0])} and {sorted(both[1])}")
        back = _settle(stage, lambda: (_share(ada),), lambda shares: len(shares[0]) == 6)
        stage.did(f"the second has left, and the first reads {sorted(back[0])}")
    with stage.cluster.admin() as admin:
        known = [listing.group for listing in admin.list_groups()]
    stage.check("the first member had all the partitions", len(alone[0]) == 6)
    stage.check("two members had three each, and none in common", _even(both))
    stage.check("who stays gets what the other leaves", len(back[0]) == 6)
    stage.check("the cluster knows the group", "learners" in known)


def progress(stage: Stage) -> None:
    """A group remembers how far it is."""
    topic = stage.topic("learn-progress")
    stage.will(
        """
        How far a group has read is written down in the cluster (committed). A consumer reads five of ten events and
        goes; the next one of the same group goes on with the sixth, and one of another group begins at the
        beginning.
        """
    )
    stage.write(topic, [(None, f"event {number}") for number in range(10)])

    def member(group: str, count: int) -> list[str]:
        with Consumer(stage.cluster.bootstrap, topic, group=group, start="earliest") as consumer:
            return values(take(consumer, count))

    first, second, other = member("readers", 5), member("readers", 5), member("others", 10)
    stage.did(f"the first consumer read {first[0]} to {first[-1]}, the second {second[0]} to {second[-1]}")
    stage.did(f"one of another group read {other[0]} to {other[-1]}")
    stage.check("the second went on where the first had stopped", second[:1] == ["event 5"])
    stage.check("another group has its own place", len(other) == 10)


# --- What lessons here have in common ---


def _events(stage: Stage) -> Callable[[], list[Happened]]:
    config = stage.cluster.formatted.config
    return Tails({node.id: config.data_of(node) for node in config.nodes}).poll


def _share(consumer: Consumer) -> frozenset[int]:
    """What a member reads now. It learns of changes when it comes for records."""
    consumer.poll(0.0)
    return frozenset(place.partition for place in consumer.assignment())


Shares = tuple[frozenset[int], ...]


def _settle(stage: Stage, look: Callable[[], Shares], settled: Callable[[Shares], bool]) -> Shares:
    stage.until(lambda: settled(look()), PATIENCE)
    return look()


def _even(shares: Shares) -> bool:
    return [len(share) for share in shares] == [3, 3] and not shares[0] & shares[1]
