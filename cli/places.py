"""Partitions on the command line: `orders:0`, `orders:0=1,2,3`, or a file of them as Kafka's tools write it."""

import re
from pathlib import Path

from .arguments import WrongUsage

Place = tuple[str, int]


_PLACE = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)[:/-](?P<index>[0-9]{1,9})")


def place(text: str) -> Place:
    """`TOPIC:PARTITION`, or with a slash, or as events and directories have it: `orders-0`. Raises WrongUsage."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise WrongUsage(f"`{text}` is no partition, expected TOPIC:PARTITION such as orders:0")
    return found["topic"], int(found["index"])


def target(text: str) -> tuple[Place, tuple[int, ...]]:
    """`TOPIC:PARTITION=BROKER,BROKER,...`, the preferred leader first. Raises WrongUsage."""
    where, equals, brokers = text.partition("=")
    words = brokers.split(",")
    if not equals or not all(word.isascii() and word.isdecimal() for word in words):
        raise WrongUsage(f"`{text}` is no target, expected TOPIC:PARTITION=BROKER,BROKER,... such as orders:0=1,2,3")
    return place(where), tuple(map(int, words))


def targets_in(path: str) -> dict[Place, tuple[int, ...]]:
    """The plan in a file. Raises WrongUsage in one sentence."""
    import msgspec

    class Line(msgspec.Struct):
        topic: str
        partition: int
        replicas: list[int]

    class File(msgspec.Struct):
        partitions: list[Line]
        version: int = 1

    try:
        plan = msgspec.json.decode(Path(path).read_bytes(), type=File)
    except OSError as error:
        raise WrongUsage(f"{path}: {(error.strerror or 'unreadable').lower()}, expected a plan in JSON") from None
    except msgspec.MsgspecError as error:
        raise WrongUsage(f"{path} is no plan ({error}): `reassign plan --json` prints one") from None
    return {(line.topic, line.partition): tuple(line.replicas) for line in plan.partitions}


def as_file(plan: dict[Place, tuple[int, ...]]) -> dict[str, object]:
    """The same, to be written."""
    return {
        "version": 1,
        "partitions": [
            {"topic": topic, "partition": index, "replicas": list(replicas)}
            for (topic, index), replicas in sorted(plan.items())
        ],
    }


def name(of: Place) -> str:
    """`orders-0`, as events say it."""
    return f"{of[0]}-{of[1]}"
