"""Where a lesson happens: a cluster of real processes, and somebody to tell it to.

A lesson says what will happen, makes it happen, shows what happened, and checks that it did: `will`, `did`, `check`. A
claim that does not hold is shown as such and makes the lesson fail; it goes on, since what follows may tell why.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ...actors.messages import TopicPicture
from ...client import Consumer, ConsumerRecord, Producer
from ...client.errors import BarnabasError
from ...cluster import Cluster

WIDTH = 96
PATIENCE = 20.0  # seconds for anything that must happen


class Claim(NamedTuple):
    """What a lesson has checked."""

    text: str
    holds: bool
    found: str


class Stage:
    """See the module's essay. `say` gets every line."""

    def __init__(self, cluster: Cluster, say: Callable[[str], None]) -> None:
        self.cluster = cluster
        self.claims: list[Claim] = []
        self._say = say

    # --- Telling ---

    def will(self, text: str) -> None:
        """What will happen, before it does."""
        self._say("")
        for line in textwrap.wrap(" ".join(text.split()), WIDTH):
            self._say(line)

    def did(self, text: str) -> None:
        """What has happened."""
        lines = textwrap.wrap(" ".join(text.split()), WIDTH - 4)
        for number, line in enumerate(lines):
            self._say(f"  {'>' if number == 0 else ' '} {line}")

    def check(self, text: str, holds: bool, found: object = "") -> None:
        """A claim, and what was found."""
        self.claims.append(Claim(text, holds, str(found)))
        about = f" ({found})" if found != "" else ""
        self._say(f"  {'yes:' if holds else 'NO: '} {text}{about}")

    @property
    def holds(self) -> bool:
        """Whether every claim did, and there was one."""
        return bool(self.claims) and all(claim.holds for claim in self.claims)

    # --- Doing ---

    def topic(self, name: str, partitions: int = 1, replication: int = 3, **configs: str) -> str:
        """A topic for this lesson."""
        given = {key.replace("_", "."): value for key, value in configs.items()}
        self.cluster.create_topic(name, partitions, replication, given)
        self.cluster.await_isr(name, PATIENCE)
        return name

    def write(
        self, topic: str, events: Iterable[tuple[str | None, str]], *, acks: int | str = "all"
    ) -> list[tuple[int, int]]:
        """Write events one after the other, as (key, value), and wait until each is acknowledged: where each is."""
        with Producer(self.cluster.bootstrap, acks=acks, linger_ms=0) as producer:
            places = []
            for key, value in events:
                sent = producer.send(topic, value, key).result(PATIENCE)
                places.append((sent.partition, sent.offset))
            return places

    def read(self, topic: str, count: int) -> list[ConsumerRecord]:
        """So many events of a topic from the beginning; fewer, if no more come in time."""
        with Consumer(self.cluster.bootstrap, topic) as consumer:
            return take(consumer, count)

    def describe(self, topic: str) -> TopicPicture:
        """The topic as the cluster's metadata has it."""
        with self.cluster.admin() as admin:
            return admin.describe_topics([topic])[0]

    def until(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> float | None:
        """Wait until it holds: how many seconds that took, or None if it does not come to that."""
        began = time.monotonic()
        while True:
            try:
                if condition():
                    return time.monotonic() - began
            except BarnabasError:
                pass  # nobody could say
            if time.monotonic() - began > timeout:
                return None
            time.sleep(0.01)  # metadata has no question that waits for this


def take(consumer: Consumer, count: int, timeout: float = PATIENCE) -> list[ConsumerRecord]:
    """So many records of a consumer, or what came in time."""
    found: list[ConsumerRecord] = []
    deadline = time.monotonic() + timeout
    while len(found) < count and (left := deadline - time.monotonic()) > 0:
        found += consumer.poll(min(left, 0.5), count - len(found))
    return found


def values(records: Sequence[ConsumerRecord]) -> list[str]:
    """Their values as text."""
    return [(record.value or b"").decode() for record in records]


def seconds(took: float | None) -> str:
    """For people."""
    return "not in time" if took is None else f"{took * 1000:.0f} ms" if took < 1 else f"{took:.1f} s"
