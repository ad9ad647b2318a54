"""How long writes stand still when a leader dies.

An idempotent producer, ours or one of Kafka's Python clients through the Kafka port, sends a record every 5 ms with
acks=all, open loop: it does not wait for answers. Then the leader of the partition it sends to is killed with -9 (or
stopped), again and again; the node is back and the in-sync replicas are whole before the next time. Reported is the
longest time between two acknowledgements around each kill. A share of the kills is aimed at the node whose controller
is active, so that a controller must be elected first. In the end everything is read back: nothing may be lost, doubled
or out of order.

A rest between kills tells a failover from what a client remembers of the last one: librdkafka does not connect again to
a broker that it found dead for up to ten seconds (`reconnect.backoff.max.ms`), though it is back and leads.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

import msgspec

from ..client.errors import BarnabasError
from ..cluster import Cluster
from .account import Flow, Sender, Verdict
from .machine import print_json

TOPIC = "failover"
PARTITIONS = 12
EVERY = 0.005
SETTLED = 0.5  # of flow after the first acknowledgement again
PATIENCE = 60.0

OURS = "barnabas"

Signal = Literal["KILL", "STOP"]


class Fault(msgspec.Struct, frozen=True):
    """One kill, and what it cost."""

    node: int
    partition: int
    controller: bool  # it was the active controller's node
    gap_ms: float
    back_s: float  # from the restart until the in-sync replicas were whole


class FailoverReport(msgspec.Struct, frozen=True):
    """What `bench failover --json` prints."""

    client: str
    signal: Signal
    kills: int
    controller_kills: int
    p50_ms: float
    worst_ms: float
    verdict: Verdict
    faults: list[Fault]

    @property
    def good(self) -> bool:
        return self.verdict.good and not self.verdict.failed


class _Stream(threading.Thread):
    """The producer's side: one record every 5 ms to the partition of the moment."""

    def __init__(self, flow: Flow) -> None:
        super().__init__(name="stream", daemon=True)
        self.partition = 0
        self._flow = flow
        self._stop_now = threading.Event()

    def run(self) -> None:
        began, number = time.monotonic(), 0
        while not self._stop_now.wait(max(0.0, began + number * EVERY - time.monotonic())):
            try:
                self._flow.send(f"{number}".encode(), partition=self.partition)
            except BarnabasError as error:
                self._flow.failures.append(str(error))
                return
            number += 1

    def stop(self) -> None:
        self._stop_now.set()
        self.join()


def failover(
    kills: int,
    signal: Signal = "KILL",
    pause_s: float = 10.0,
    progress: Callable[[str], None] = lambda line: None,
    client: str = OURS,
    rest_s: float = 0.0,
) -> FailoverReport:
    """Run it in a cluster of its own, which leaves nothing behind. `rest_s`: of calm before each kill but the first."""
    share = 2 if signal == "STOP" else 4
    quota = -(-kills // share)
    faults: list[Fault] = []
    with Cluster(brokers=3) as cluster:
        cluster.create_topic(TOPIC, partitions=PARTITIONS)
        with _producer(cluster, client) as producer:
            flow = Flow(producer, TOPIC)
            stream = _Stream(flow)
            stream.start()
            try:
                for number in range(kills):
                    if faults:
                        time.sleep(rest_s)
                    hit = sum(fault.controller for fault in faults)
                    wanted = hit * kills < quota * (number + 1) and hit < quota
                    fault = _one(cluster, flow, stream, wanted, signal, pause_s)
                    faults.append(fault)
                    progress(
                        f"{number + 1:>3}: node {fault.node}{' (controller)' if fault.controller else ''}, "
                        f"partition {fault.partition}: {fault.gap_ms:.0f} ms without an acknowledgement, "
                        f"whole again after {fault.back_s:.2f} s"
                    )
            finally:
                stream.stop()
            producer.flush(PATIENCE)
        with cluster.consumer(TOPIC) as consumer:
            verdict = flow.judge(consumer, PARTITIONS)
    gaps = [fault.gap_ms for fault in faults]
    return FailoverReport(
        client=client,
        signal=signal,
        kills=len(faults),
        controller_kills=sum(fault.controller for fault in faults),
        p50_ms=round(statistics.median(gaps), 1),
        worst_ms=round(max(gaps), 1),
        verdict=verdict,
        faults=faults,
    )


def _producer(cluster: Cluster, client: str) -> AbstractContextManager[Sender]:
    if client == OURS:
        return cluster.producer(linger_ms=0)
    from .kafka_producers import kafka_producer

    return kafka_producer(client, cluster.kafka)


def _one(cluster: Cluster, flow: Flow, stream: _Stream, wanted: bool, signal: Signal, pause_s: float) -> Fault:
    cluster.await_isr(TOPIC, PATIENCE)
    controller = cluster.controller()
    aimed = [index for index, node in enumerate(cluster.leaders(TOPIC)) if (node == controller) == wanted]
    stream.partition = aimed[0] if aimed else 0
    _flows(flow)
    victim = cluster.leader(TOPIC, stream.partition)
    hit = victim == cluster.controller()
    at = time.monotonic()
    if signal == "STOP":
        cluster.pause(victim)
    else:
        cluster.kill(victim)
    _flows(flow)
    until = time.monotonic()
    if signal == "STOP":
        time.sleep(max(0.0, at + pause_s - time.monotonic()))
        until = time.monotonic()
        began = time.monotonic()
        cluster.resume(victim)
        _flows(flow)  # so that the one that woke up has been heard before it is judged
    else:
        began = time.monotonic()
        cluster.restart(victim)
    cluster.await_isr(TOPIC, PATIENCE)
    back = time.monotonic() - began
    gap = flow.longest_gap(at, until)
    return Fault(victim, stream.partition, hit, round(gap * 1000, 1), round(back, 2))


def _flows(flow: Flow) -> None:
    """Wait until what is sent from now on is acknowledged, and a little longer."""
    number = flow.sent
    if not flow.await_acknowledged_from(number, PATIENCE):
        raise BarnabasError(f"nothing was acknowledged for {PATIENCE:g} s: see node.log and events.jsonl of the nodes")
    flow.await_sent(number + int(SETTLED / EVERY), PATIENCE)


def run(arguments: argparse.Namespace) -> int:
    """`barnabas bench failover`."""
    quiet: bool = arguments.json
    progress = (lambda line: None) if quiet else _say
    report = failover(arguments.kills, arguments.signal, arguments.pause, progress, arguments.client, arguments.rest)
    if quiet:
        print_json(report)
    else:
        verdict = report.verdict
        _say(
            f"{report.kills} times {report.signal}, {report.controller_kills} of them on the active controller: "
            f"p50 {report.p50_ms:.0f} ms, worst {report.worst_ms:.0f} ms"
        )
        _say(
            f"sent {verdict.sent}, acknowledged {verdict.acknowledged}, lost {verdict.lost}, duplicated "
            f"{verdict.duplicated}, out of order {verdict.out_of_order}, failed {verdict.failed}"
        )
    return 0 if report.good else 1


def _say(line: str) -> None:
    print(line, flush=True)
