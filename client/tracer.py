"""One record's way from a producer to a consumer, with times.

    with Tracer("127.0.0.1:4711") as tracer:
        for step in tracer.trace("orders", 0).steps:
            print(step.at_ms, step.sentence)

All times are of this process's clock, in milliseconds since the record was sent. A replica is asked again and again how
far it is; so what it has done was done between the question of the last answer that did not show it (`after_ms`) and
the first answer that did (`at_ms`). The record is a real one: consumers of the topic see it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import NamedTuple, Self
from uuid import uuid4

import msgspec

from ..actors.client_commands import Failure
from ..actors.messages import PartitionPicture, ReplicaMeasure
from ..actors.tracer import Trace, TracerActor
from .core import ClientCore, Reply
from .errors import error_of
from .runtime import Guard, Runtime, endpoints


class Step(msgspec.Struct, frozen=True):
    """One place that the record came to, not before `after_ms` and not after `at_ms`."""

    at_ms: float
    after_ms: float
    what: str  # sent, appended, durable, committed, acknowledged, consumed or known
    broker: int  # 0: a client
    sentence: str


class Way(msgspec.Struct, frozen=True):
    """The whole way. `round_trip_ms`: how long a question and its answer take, in the median."""

    topic: str
    partition: int
    offset: int
    leader: int
    leader_epoch: int
    isr: list[int]
    bytes: int
    round_trip_ms: float
    steps: list[Step]


class _Answer(NamedTuple):
    asked: float
    came: float
    measure: ReplicaMeasure | None


class _Outlet:
    """Notes when everything was said."""

    def __init__(self) -> None:
        self.end = Reply()
        self.begin(Reply())

    def begin(self, reply: Reply) -> None:
        self._reply = reply
        self.picture: PartitionPicture | None = None
        self.sent_at = self.acknowledged_at = self.consumed_at = 0.0
        self.offset = -1
        self.answers: dict[int, list[_Answer]] = {}
        self._asked: dict[int, float] = {}

    def began(self, picture: PartitionPicture) -> None:
        self.picture = picture

    def asked(self, broker: int) -> None:
        self._asked[broker] = time.perf_counter()

    def answered(self, broker: int, measure: ReplicaMeasure | None) -> None:
        self.answers.setdefault(broker, []).append(_Answer(self._asked[broker], time.perf_counter(), measure))

    def sent(self) -> None:
        self.sent_at = time.perf_counter()

    def acknowledged(self, offset: int) -> None:
        self.acknowledged_at, self.offset = time.perf_counter(), offset

    def consumed(self) -> None:
        self.consumed_at = time.perf_counter()

    def done(self) -> None:
        self._reply.set()

    def failed(self, failure: Failure) -> None:
        self._reply.set(error=error_of(failure))

    def closed(self) -> None:
        self.end.set()


class Tracer(ClientCore):
    """See the module's essay. `bootstrap` are brokers to begin with. One trace at a time; not after a fork."""

    def __init__(self, bootstrap: str | Sequence[str], *, runtime: Runtime | None = None) -> None:
        places = endpoints(bootstrap)
        self._outlet = _Outlet()
        self._open(Guard("tracer"), runtime, self._outlet.end, lambda: TracerActor(places, self._outlet))

    def trace(self, topic: str, partition: int = 0, size: int = 100, timeout: float = 10.0) -> Way:
        """Send one record of so many bytes and follow it. Raises UnknownTopic, Refused or DeliveryTimeout."""
        value = f"trace {uuid4()}".encode().ljust(size, b".")

        def begin(reply: Reply) -> Trace:
            self._outlet.begin(reply)
            return Trace(topic, partition, value, int(timeout * 1000))

        self._ask(begin, timeout, lambda _: None).wait()
        return _way(topic, partition, len(value), self._outlet)

    def close(self) -> None:
        """A second call does nothing."""
        self._close_and_wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _way(topic: str, partition: int, size: int, seen: _Outlet) -> Way:
    picture, offset = seen.picture, seen.offset
    assert picture is not None, "it is done"

    def since(moment: float) -> float:
        return round((moment - seen.sent_at) * 1000, 3)

    leader = f"b{picture.leader}"
    sent = f"a producer sent it to {leader}, the leader in epoch {picture.leader_epoch}"
    steps = [
        Step(0.0, 0.0, "sent", 0, sent),
        _at(since(seen.acknowledged_at), "acknowledged", "the producer was told: every in-sync replica has it"),
        _at(since(seen.consumed_at), "consumed", f"a consumer that was waiting at {leader} has it"),
    ]
    for broker, answers in seen.answers.items():
        for what, field, sentence in _stages(broker, picture):
            found = _first(answers, field, offset)
            if found is not None:
                after, came = found
                steps.append(Step(since(came), max(0.0, since(after)), what, broker, sentence))
    trips = sorted(answer.came - answer.asked for answers in seen.answers.values() for answer in answers)
    return Way(
        topic, partition, offset, picture.leader, picture.leader_epoch, list(picture.isr), size,
        round(trips[len(trips) // 2] * 1000, 3), sorted(steps, key=lambda step: (step.at_ms, step.what)),
    )  # fmt: skip


def _at(moment: float, what: str, sentence: str) -> Step:
    return Step(moment, moment, what, 0, sentence)


def _stages(broker: int, picture: PartitionPicture) -> list[tuple[str, str, str]]:
    """What can be seen at a replica: the kind of step, the number that shows it, and the sentence."""
    if broker == picture.leader:
        return [
            ("appended", "end", f"b{broker}, the leader, has appended it"),
            ("durable", "durable", f"b{broker} has it on disk"),
            ("committed", "hw", f"the high watermark at b{broker} is behind it: it is committed"),
        ]
    return [
        ("appended", "end", f"b{broker} has fetched it from the leader and appended it"),
        ("durable", "durable", f"b{broker} has it on disk"),
        ("known", "hw", f"b{broker} knows that it is committed"),
    ]


def _first(answers: Sequence[_Answer], field: str, offset: int) -> tuple[float, float] | None:
    """When the last answer that did not show it was asked for, and when the first one that did came."""
    asked = answers[0].asked
    for answer in answers:
        if answer.measure is None:
            continue
        if getattr(answer.measure, field) > offset:
            return asked, answer.came
        asked = answer.asked
    return None
