"""Makes `docs/dashboard.svg` and `docs/dashboard-after-kill.svg`: the dashboard of a cluster at work, and after a kill.

    python tools/dashboard_pictures.py [DIRECTORY]

Three brokers, two topics, a producer for each and a group of two consumers; then `kill -9` of the node that leads
orders-0. Nothing is drawn by hand: it is what the screen shows, as `barnabas dashboard --snapshot` writes it, but from
one room that has watched all along, so that the bars go back to before the kill.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from barnabas import Cluster, Consumer, Producer
from barnabas.cli.dashboard import write
from barnabas.cli.dashboard.controls import Controls
from barnabas.cli.dashboard.keys import Action, Looking
from barnabas.cli.dashboard.run import Watching
from barnabas.cli.dashboard.view import render

DOCS = Path(__file__).resolve().parent.parent / "docs"
SIZE = (120, 36)
TOPICS = {"orders": (9, 240), "payments": (3, 90)}  # partitions, and events a second
BEFORE_S, AFTER_S = 9.0, 2.5


@contextmanager
def load(bootstrap: str) -> Iterator[None]:
    """Producers at a steady rate, and a group that reads."""
    over = threading.Event()

    def produce(topic: str, rate: int) -> None:
        chance, began, number = Random(topic), time.monotonic(), 0
        with Producer(bootstrap) as producer:
            while not over.wait(max(0.0, began + number / rate - time.monotonic())):
                number += 1
                producer.send(topic, b"x" * 120, key=f"customer {chance.randrange(500)}")

    def consume() -> None:
        with Consumer(bootstrap, list(TOPICS), group="billing") as consumer:
            while not over.is_set():
                consumer.poll(0.2)

    threads = [threading.Thread(target=produce, args=(topic, rate)) for topic, (_, rate) in TOPICS.items()]
    threads += [threading.Thread(target=consume) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def watch(watching: Watching, woken: threading.Event, seconds: float) -> None:
    """Look on, as the dashboard does between two frames."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        woken.wait(0.05)
        woken.clear()
        watching.step("partitions")


def picture(watching: Watching, path: Path, message: str = "") -> None:
    frame = render(watching.room, Looking(message=message), *SIZE, clock=time.strftime("%H:%M:%S"))
    write(frame.screen, path)
    print(f"wrote {path}")


def main(arguments: list[str]) -> int:
    directory = Path(arguments[0]) if arguments else DOCS
    woken = threading.Event()
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(brokers=3))
        for topic, (partitions, _) in TOPICS.items():
            cluster.create_topic(topic, partitions, 3, {"min.insync.replicas": "2"})
        stack.enter_context(load(cluster.bootstrap))
        watching = Watching(cluster.bootstrap, cluster.formatted, woken.set)
        stack.callback(watching.close)
        watch(watching, woken, BEFORE_S)
        picture(watching, directory / "dashboard.svg")
        leader = cluster.leader("orders", 0)
        said = Controls(cluster.directory).do(Action("kill", leader))
        watch(watching, woken, AFTER_S)
        picture(watching, directory / "dashboard-after-kill.svg", said)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
