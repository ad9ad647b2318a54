"""What becomes of a log in real life, with figures: 1 GB through 50 MB, and a million records under 10,000 keys.

    python tools/log_life.py retention  [--megabytes 1000] [--rate 8]
    python tools/log_life.py compaction [--records 1000000] [--keys 10000] [--jars DIRECTORY]

retention   one partition of three replicas with `retention.bytes` of 50 MB and segments of 8 MiB takes a steady load.
            A reader in a process of its own follows it and must see every record. The files of every replica are
            measured five times a second and must stay below 50 MB and two segments. No write may take longer than
            three times the p99 of the same load, with a reader, where nothing is deleted, which is measured first.
compaction  a compacted partition is filled and read before any cleaning, then cleaned and read again: the last value of
            each key must be the same. With Kafka's jars its own tool reads all segments both times (`dump_log`).

Exit code 1 if something is not as it must be.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dump_log

from barnabas import Cluster, Consumer, Producer
from barnabas.client import SendFuture

MB = 1_000_000
RETENTION = 50 * MB
SEGMENT = 8 << 20
VALUE = 1000
CHUNK = 50
"""Records in a write, whose latency is that of the last of them."""
USUAL_S = 25.0
WARM_UP_S = 3.0
SLOWEST = 3
"""Times the usual p99."""
CLEANED_S = 240.0


class Load:
    """A steady load on one topic, and how long each write took, in seconds, by when it was due."""

    def __init__(self, producer: Producer, topic: str, bytes_per_s: float) -> None:
        self.times: list[float] = []
        self.failed = 0
        self._producer, self._topic, self._every = producer, topic, CHUNK * VALUE / bytes_per_s

    def run(self, records: int, first: int = 0) -> None:
        """Write so many, each with its number."""

        def timer(due: float) -> Callable[[SendFuture], None]:
            def over(future: SendFuture) -> None:
                self.times.append(time.monotonic() - due)
                self.failed += future.exception() is not None

            return over

        began = time.monotonic()
        for chunk in range(records // CHUNK):
            due = began + chunk * self._every
            time.sleep(max(0.0, due - time.monotonic()))
            numbers = range(first + chunk * CHUNK, first + chunk * CHUNK + CHUNK)
            pairs = [(None, b"%d".ljust(VALUE, b".") % number) for number in numbers]
            self._producer.send_many(self._topic, pairs)[-1].add_done_callback(timer(due))
        self._producer.flush(60)

    def quantile(self, share: float) -> float:
        """In milliseconds."""
        times = sorted(self.times)
        return 1000 * times[min(len(times) - 1, int(share * len(times)))]

    def sentence(self) -> str:
        """Its figures."""
        p50, p99, p999, most = (self.quantile(share) for share in (0.5, 0.99, 0.999, 1.0))
        told = f"{len(self.times)} writes, {self.failed} failed"
        return f"{told}, p50 {p50:.1f} ms, p99 {p99:.1f}, p99.9 {p999:.1f}, most {most:.1f}"


class Disks(threading.Thread):
    """The most that a partition's files took up at any replica, by apparent size and by blocks."""

    def __init__(self, data: Path, directory: str) -> None:
        super().__init__(daemon=True)
        self.most: dict[str, tuple[int, int]] = {}
        self._places = sorted(data.glob(f"node-*/{directory}"))
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.2):
            for place in self._places:
                sizes = blocks = 0
                for path in place.iterdir():
                    try:
                        found = path.stat()
                    except FileNotFoundError:
                        continue  # deleted just now
                    sizes, blocks = sizes + found.st_size, blocks + 512 * found.st_blocks
                before = self.most.get(place.parent.name, (0, 0))
                self.most[place.parent.name] = (max(before[0], sizes), max(before[1], blocks))

    def end(self) -> None:
        self._done.set()
        self.join()


def follow(bootstrap: str, topic: str, count: int) -> int:
    """Read so many records, which must be all there ever were."""
    with Consumer(bootstrap, topic, start="earliest", reset="error") as consumer:
        expected = 0
        while expected < count:
            records = consumer.poll(30.0, 5000)
            if not records:
                print(f"the reader has waited 30 s after {expected} records")
                return 1
            for record in records:
                if record.offset != expected or int(record.value.rstrip(b".")) != expected:
                    print(f"the reader found {record.offset}, {record.value[:12]!r} where {expected} was to come")
                    return 1
                expected += 1
    print(f"the reader has seen all {count} records")
    return 0


def retention(megabytes: int, rate: float) -> int:
    """1 GB through 50 MB."""
    records = megabytes * MB // VALUE // CHUNK * CHUNK
    with Cluster(brokers=3) as cluster:
        configs = {"segment.bytes": str(SEGMENT)}
        cluster.create_topic("usual", 1, 3, configs | {"retention.ms": "-1"})
        cluster.create_topic("little", 1, 3, configs | {"retention.bytes": str(RETENTION)})

        def reader(topic: str, count: int) -> subprocess.Popen[bytes]:
            return subprocess.Popen([sys.executable, __file__, "follow", cluster.bootstrap, topic, str(count)])

        with Producer(cluster.bootstrap) as producer:
            warm, some = (int(seconds * rate * MB / VALUE) // CHUNK * CHUNK for seconds in (WARM_UP_S, USUAL_S))
            reading = reader("usual", warm + some)
            Load(producer, "usual", rate * MB).run(warm)
            usual = Load(producer, "usual", rate * MB)
            usual.run(some, first=warm)
            seen = reading.wait(60)
            disks = Disks(cluster.directory, "little-0")
            disks.start()
            reading = reader("little", records)
            load = Load(producer, "little", rate * MB)
            load.run(records)
            seen += reading.wait(60)
            disks.end()
    bound = RETENTION + 2 * SEGMENT
    p99 = usual.quantile(0.99)
    late = sum(1000 * took > SLOWEST * p99 for took in load.times)
    print(f"usual: {usual.sentence()}")
    print(f"while records expire: {load.sentence()}; {late} above {SLOWEST} times the usual p99")
    for node, (size, blocks) in sorted(disks.most.items()):
        print(
            f"{node}: at most {size / MB:.1f} MB of files, {blocks / MB:.1f} MB of disk; the bound is {bound / MB:.1f}"
        )
    bounded = all(max(most) <= bound for most in disks.most.values()) and len(disks.most) == 3
    return 0 if bounded and not seen and not load.failed and not late else 1


def read_all(cluster: Cluster, topic: str) -> tuple[int, dict[bytes, bytes]]:
    """How many records there are, and the last value of each key."""
    with cluster.consumer(topic, start="earliest") as consumer:
        end, count, last = consumer.end_offsets([(topic, 0)])[topic, 0], 0, {}
        while consumer.position(topic, 0) < end:
            for record in consumer.poll(10.0, 5000):
                last[record.key] = record.value
                count += 1
    return count, last


def compaction(records: int, keys: int, jars: Path | None) -> int:
    """A million records under 10,000 keys."""
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="barnabas-life-") as data:

        def dumped(cluster: Cluster) -> int:
            if jars is None:
                return 0
            cluster.stop()
            found = [sentence for node in (1, 2, 3) for sentence in dump_log.check(jars, Path(data) / f"node-{node}")]
            print("\n".join(found) or "Kafka's tool reads all of it as we do")
            cluster.start()
            return len(found)

        with Cluster(brokers=3, data=data) as cluster:
            configs = {"cleanup.policy": "compact", "segment.bytes": str(1 << 20), "min.cleanable.dirty.ratio": "0.01"}
            cluster.create_topic("table", 1, 3, configs | {"min.compaction.lag.ms": "86400000"})
            expected: dict[bytes, bytes] = {}
            with Producer(cluster.bootstrap, linger_ms=20, compression="lz4") as producer:
                for first in range(0, records, 500):
                    numbers = range(first, min(first + 500, records))
                    pairs = [(b"key-%d" % (number * 7919 % keys), b"value-%d" % number) for number in numbers]
                    producer.send_many("table", pairs)
                    expected.update(pairs)
                producer.flush(120)
            before, last_before = read_all(cluster, "table")
            print(f"before: {before} records, {len(last_before)} keys")
            wrong += last_before != expected
            wrong += dumped(cluster)
            lags = {"min.compaction.lag.ms": "0", "max.compaction.lag.ms": "1000"}
            with cluster.admin() as admin:
                admin.alter_configs("table", lags)
            began = time.monotonic()
            after, last = read_all(cluster, "table")
            while after > 1.01 * keys and time.monotonic() - began < CLEANED_S:
                time.sleep(5)
                after, last = read_all(cluster, "table")
            print(f"after {time.monotonic() - began:.0f} s: {after} records, {len(last)} keys")
            print("the last values are the same" if last == expected else "the last values differ")
            wrong += last != expected
            wrong += after > 1.1 * keys
            wrong += dumped(cluster)
            again, last = read_all(cluster, "table")
            wrong += last != expected
            print(f"after a restart: {again} records, {'the same' if last == expected else 'other'} last values")
    return 1 if wrong else 0


def main() -> int:
    """As the module's text says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    of_retention = commands.add_parser("retention")
    of_retention.add_argument("--megabytes", type=int, default=1000)
    of_retention.add_argument("--rate", type=float, default=8.0, help="MB/s")
    of_compaction = commands.add_parser("compaction")
    of_compaction.add_argument("--records", type=int, default=1_000_000)
    of_compaction.add_argument("--keys", type=int, default=10_000)
    of_compaction.add_argument("--jars", type=Path)
    of_follow = commands.add_parser("follow")
    of_follow.add_argument("bootstrap")
    of_follow.add_argument("topic")
    of_follow.add_argument("count", type=int)
    words = parser.parse_args()
    if words.command == "follow":
        return follow(words.bootstrap, words.topic, words.count)
    if words.command == "retention":
        return retention(words.megabytes, words.rate)
    return compaction(words.records, words.keys, words.jars)


if __name__ == "__main__":
    sys.exit(main())
