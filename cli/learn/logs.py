"""Lessons about logs: what a topic is, what stays in it and how long, which order there is."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from ...actors.partitioner import partition_of
from ...actors.ring import name_of, ring_of
from ...client import Consumer, Producer, TopicPartition
from .stage import PATIENCE, Stage, seconds, take, values


def log(stage: Stage) -> None:
    """A log, not a queue."""
    topic = stage.topic("learn-log")
    stage.will(
        """
        A queue gives each message to one reader and forgets it. A topic is a log: readers remember how far they
        are, and the events stay. Five events are written; two readers read them, and one of them reads them again.
        """
    )
    stage.write(topic, [(None, f"event {number}") for number in range(5)])
    with Consumer(stage.cluster.bootstrap, topic) as ada, Consumer(stage.cluster.bootstrap, topic) as bob:
        first, second = values(take(ada, 5)), values(take(bob, 5))
        stage.did(f"the first reader got {', '.join(first)}")
        stage.did(f"the second reader got {', '.join(second)}")
        ada.seek(topic, 0, "earliest")
        again = values(take(ada, 5))
        stage.did(f"the first reader went back to the beginning and got {', '.join(again)}")
    stage.check("both readers got all five events", first == second and len(first) == 5)
    stage.check("what was read is still there", again == first)


def immutable(stage: Stage) -> None:
    """Events are immutable."""
    topic = stage.topic("learn-immutable")
    stage.will(
        """
        An event says what happened, and what happened does not change. A seat is booked and then given back: that
        is a second event, behind the first. There is no way to change the first one, only to write another.
        """
    )
    places = stage.write(topic, [("seat 12A", "booked by Ada"), ("seat 12A", "given back by Ada")])
    stage.did(f"the two events are at the offsets {places[0][1]} and {places[1][1]}")
    read = stage.read(topic, 2)
    stage.did("read from the beginning: " + "; then ".join(values(read)))
    stage.check("the first event is still what it was", values(read)[:1] == ["booked by Ada"])
    stage.check("the second one stands behind it", [record.offset for record in read] == [0, 1])
    latest = {record.key: record.value for record in read}
    stage.check("whoever wants the present state keeps the newest event of each key", len(latest) == 1, "12A is free")


def expiry(stage: Stage) -> None:
    """Events expire, or are kept for ever."""
    forgetful = stage.topic("learn-expiry", retention_ms="1500", segment_ms="300")
    lasting = stage.topic("learn-for-ever", retention_ms="-1", segment_ms="300")
    stage.will(
        """
        How long events stay is up to the topic. One topic here keeps them for 1.5 seconds, the other for ever, as a
        system of record does. The same ten events go into both; then time passes.
        """
    )
    place = TopicPartition(forgetful, 0)
    with Producer(stage.cluster.bootstrap) as producer, Consumer(stage.cluster.bootstrap, forgetful) as consumer:
        for topic in (forgetful, lasting):
            for number in range(10):
                producer.send(topic, f"event {number}").result(PATIENCE)

        def expired() -> bool:
            # Whole files expire, and a file is closed when something is written behind it.
            producer.send(forgetful, "and time passes").result(PATIENCE)
            return consumer.beginning_offsets([place])[place] >= 10

        took = stage.until(expired)
        begins = consumer.beginning_offsets([place])[place]
    stage.did(f"after {seconds(took)} the first log begins at offset {begins}")
    stage.check("the ten events have expired in the topic that forgets", took is not None)
    stage.check("they are all there in the one that keeps", values(stage.read(lasting, 10))[:1] == ["event 0"])


def order(stage: Stage) -> None:
    """Order by key, and none across partitions."""
    topic = stage.topic("learn-order", partitions=6)
    stage.will(
        """
        A topic is split into partitions. Events with the same key go into the same one and stay in their order;
        between partitions there is no order. Three aircraft report five positions each, by turns, into six
        partitions.
        """
    )
    planes = ("N14228", "N24211", "N619AA")
    events = [(plane, f"{plane} position {number}") for number in range(5) for plane in planes]
    places = stage.write(topic, events)
    used: dict[str, set[int]] = defaultdict(set)
    for (plane, _), (partition, _) in zip(events, places, strict=True):
        used[plane].add(partition)
    stage.did("; ".join(f"{plane} is in partition {sorted(found)}" for plane, found in used.items()))
    read = stage.read(topic, len(events))
    by_key: dict[bytes, list[str]] = defaultdict(list)
    for record in read:
        by_key[record.key or b""].append((record.value or b"").decode())
    stage.check("each key has one partition", all(len(found) == 1 for found in used.values()))
    expected = all(used[plane] == {partition_of(plane.encode(), 6)} for plane in planes)
    stage.check("it is the one that Kafka's clients would choose, by murmur2 of the key", expected)
    in_order = all(found == sorted(found) for found in by_key.values()) and len(read) == len(events)
    stage.check("the positions of each aircraft were read in their order", in_order)


def dumb(stage: Stage) -> None:
    """Dumb brokers: they never look inside a record."""
    topic = stage.topic("learn-dumb")
    stage.will(
        """
        A broker does not know what a record means, nor need it: bytes come in and the same bytes go out. The
        producer compresses a poem and adds bytes that are no text at all; we look into the brokers' files, then
        read it back.
        """
    )
    poem = "So much depends upon a red wheelbarrow. " * 50
    strange = bytes(range(256)) * 4
    with Producer(stage.cluster.bootstrap, compression="zstd") as producer:
        producer.send(topic, poem)
        producer.send(topic, strange, key=b"\xff\x00")
        producer.flush(PATIENCE)
    config = stage.cluster.formatted.config
    files = [config.data_of(node) / f"{topic}-0" / f"{0:020d}.log" for node in config.nodes]
    took = stage.until(lambda: len({_size(path) for path in files}) == 1 and _size(files[0]) > 0)
    sizes = {_size(path) for path in files}
    stage.did(f"the files of the three brokers have {sorted(sizes)} bytes, the records had {len(poem) + len(strange)}")
    plain = any(b"wheelbarrow. So much depends" in path.read_bytes() for path in files)
    read = stage.read(topic, 2)
    stage.check("no broker has unpacked the poem", not plain and took is not None)
    got = [record.value for record in read] == [poem.encode(), strange]
    stage.check("what comes out is what went in, byte for byte", got)


def hashing(stage: Stage) -> None:
    """Partitions are spread over brokers by consistent hashing."""
    topic = stage.topic("learn-hashing", partitions=12)
    stage.will(
        """
        Each broker sits at many points of a circle, each partition at one; its replicas are the brokers that one
        meets first, going round, unless they have enough already. So partitions are spread evenly, and when a
        broker joins, few of them would move. Twelve partitions are placed on three brokers; then we compute what a
        fourth changes.
        """
    )
    picture = stage.describe(topic)
    leaders = [partition.replicas[0] for partition in picture.partitions]
    counts = {node: leaders.count(node) for node in stage.cluster.nodes}
    stage.did("each broker is the preferred leader of so many: " + ", ".join(f"b{n}: {c}" for n, c in counts.items()))
    stage.check("the leaders differ by at most one", max(counts.values()) - min(counts.values()) <= 1)
    names = [name_of("learn", index) for index in range(300)]
    ten, eleven = ring_of(tuple(range(1, 11))), ring_of(tuple(range(1, 12)))
    moved = sum(next(ten.walk(name)) != next(eleven.walk(name)) for name in names)
    naive = sum(number % 10 != number % 11 for number in range(300))
    stage.did(
        f"""
        of 300 partitions on 10 brokers {moved} would have another first choice once an eleventh broker is there;
        with the remainder of a number instead of a ring it would be {naive}
        """
    )
    stage.check("far fewer move than with plain counting", moved < naive / 2, f"{moved} of 300")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
