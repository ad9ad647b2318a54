"""`demo`: the whole story on real input, in under a minute.

Three brokers start as processes. 20,000 real flights stream through a topic of 6 partitions, keyed by tail number.
While they flow, the leader of a partition is killed with -9, and later started again. Then everything is read back and
accounted for. Nothing is left behind, however the demo ends.
"""

import argparse
import signal
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from .arguments import Commands, positive

if TYPE_CHECKING:
    from ..bench.account import Flow, Verdict
    from ..cluster import Cluster

TOPIC = "flights"
PARTITIONS = 6
FLIGHTS = 20_000
RATE = 4_000  # a second: they flow for 5 s, so there is something to interrupt


def register(commands: Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="see the whole story on real input, in under a minute",
        examples="""
            barnabas demo
            barnabas demo --flights 100000 --rate 20000
        """,
    )
    demo.add_argument("--flights", type=positive, default=FLIGHTS, metavar="N", help=f"default: {FLIGHTS}")
    demo.add_argument("--rate", type=positive, default=RATE, metavar="N", help=f"flights a second (default: {RATE})")
    demo.set_defaults(run=run_demo)


class Flight(tuple[bytes, bytes]):
    """(tail number, the row as CSV)."""

    __slots__ = ()


def flights(count: int) -> list[Flight]:
    """The first flights of the data set, in the order in which they left."""
    import csv
    import gzip
    import io
    from importlib.resources import files

    packed = files("barnabas.cli").joinpath("data", "flights.csv.gz").read_bytes()
    rows = csv.reader(io.StringIO(gzip.decompress(packed).decode()))
    tail = next(rows).index("tailnum")
    found = [Flight((row[tail].encode(), ",".join(row).encode())) for row, _ in zip(rows, range(count), strict=False)]
    assert found, "the data set has flights"
    return found


def run_demo(arguments: argparse.Namespace) -> int:
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    say("Barnabas: three brokers, real flights, and a kill -9.")
    from ..cluster import Cluster

    began = time.monotonic()
    cluster = Cluster(brokers=3)
    with cluster:
        started_in = time.monotonic() - began
        processes = ", ".join(f"node {node} is process {cluster.process(node).pid}" for node in cluster.nodes)
        say(f"three brokers started in {started_in:.2f} s: {processes}")
        return _story(cluster, flights(arguments.flights), arguments.rate, started_in)


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _story(cluster: "Cluster", rows: Sequence[Flight], rate: int, started_in: float) -> int:
    from ..bench.account import Flow

    cluster.create_topic(TOPIC, partitions=PARTITIONS)
    say(f"created the topic {TOPIC}: {PARTITIONS} partitions, 3 replicas each, on disk before they are acknowledged")
    with cluster.producer() as producer:
        flow = Flow(producer, TOPIC)
        stop = threading.Event()
        stream = threading.Thread(target=_stream, args=(flow, rows, rate, stop), daemon=True)
        stream.start()
        try:
            whole_after = _break(cluster, flow, len(rows))
            stream.join()
            producer.flush(60.0)
        finally:
            stop.set()
            stream.join()
    with cluster.consumer(TOPIC) as consumer:
        verdict = flow.judge(consumer, PARTITIONS)
    _account(verdict, started_in, flow.longest_gap(), whole_after)
    return 0 if verdict.good and verdict.acknowledged == len(rows) else 1


def _stream(flow: "Flow", rows: Sequence[Flight], rate: int, stop: threading.Event) -> None:
    """Send at a steady rate, whatever happens to the cluster."""
    from ..client.errors import BarnabasError

    began = time.monotonic()
    for number, (key, value) in enumerate(rows):
        ahead = number / rate - (time.monotonic() - began)
        if ahead > 0.002 and stop.wait(ahead):
            return
        try:
            flow.send(value, key)
        except BarnabasError as error:
            flow.failures.append(str(error))
            return


def _break(cluster: "Cluster", flow: "Flow", count: int) -> float:
    """Kill a leader a third of the way, start it again after another; how long until the ISR was whole again."""
    flow.await_sent(count // 3, 60.0)
    victim = cluster.leader(TOPIC, 0)
    cluster.kill(victim)
    say(f"kill -9 of node {victim}, the leader of {TOPIC}-0, after {flow.sent} flights")
    flow.await_sent(count * 2 // 3, 60.0)
    leader = cluster.leader(TOPIC, 0)
    now = f"{TOPIC}-0 has no new leader yet" if leader in (victim, -1) else f"node {leader} leads {TOPIC}-0 now"
    say(f"{now}; starting node {victim} again after {flow.sent} flights")
    began = time.monotonic()
    cluster.restart(victim)
    cluster.await_isr(TOPIC)
    whole_after = time.monotonic() - began
    say(f"node {victim} is back, and in sync everywhere")
    return whole_after


def _account(verdict: "Verdict", started_in: float, gap: float, whole_after: float) -> None:
    say("")
    rows = [
        ("started in", f"{started_in:.2f} s"),
        ("acknowledged", f"{verdict.acknowledged} of {verdict.sent} flights"),
        ("longest time without an acknowledgement", f"{gap * 1000:.0f} ms"),
        ("lost", f"{verdict.lost}"),
        ("duplicated", f"{verdict.duplicated}"),
        ("out of order per aircraft", f"{verdict.out_of_order}"),
        ("ISR whole again after", f"{whole_after:.2f} s"),
    ]
    for name, value in rows:
        say(f"  {name:<40} {value}")
    if verdict.failed:
        say(f"  {'failed':<40} {verdict.failed}, the first one: {verdict.first_failure}")


def say(line: str) -> None:
    print(line, flush=True)
