"""A run told as a story: one short line for each fault, message and event, so that a failing seed can be read.

     4.007113  #3127  b2 > b1        Fetch id=9 replica=2 t0-0 leader_epoch=3 offset=41 last_epoch=2
     4.007113  #3127  b1 !           b1 leads t0-0 in epoch 3 from offset 41 (b2 was fenced)

Messages are told when they arrive. Fields that say nothing to people, or only what is always so, are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from ..actors.errors import ErrorCode
from ..actors.kernel import Address, Event, Payload, actor_of, node_of
from ..actors.messages import METADATA, Envelope, Partition
from ..cluster.world import Host, Onlooker, World
from ..storage.records import InvalidBatch, iter_headers
from .views import images_of

if TYPE_CHECKING:
    from .run import Simulation

SILENT = {"cluster_id", "directory_id", "incarnation", "max_wait_ms", "max_bytes", "min_bytes", "session", "boot_id"}
"""Fields that are left out."""

MANY = 4
"""As many things of a list are told."""

LONG = 40
"""A longer text is cut."""


class Story(Onlooker):
    """An observer that tells what it sees. With `node` or `partition` only what concerns that one."""

    def __init__(
        self,
        simulation: Simulation,
        tell: Callable[[str], None] = print,
        node: str | None = None,
        partition: str | None = None,
    ) -> None:
        self._faults = simulation.nemesis.log
        self._told = 0  # faults
        self._tell = tell
        self._node = node
        self._partition = partition
        self._names: dict[str, str] = {METADATA.topic: "metadata"}
        simulation.world.observers.insert(0, self)  # first, so that it has told what a checker stumbles over

    # --- The World's port ---

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        source = node_of(Address(envelope.sender))
        if self._node is not None and self._node not in (source, target):
            return
        self._learn(world)
        text = self.words(envelope.body)
        if self._partition is not None and self._partition not in text.split():
            return
        controllers = "controller" in (actor_of(Address(envelope.sender)), envelope.to)
        self._line(world, f"{source} {'>>' if controllers else '>'} {target}", text)

    def happened(self, world: World, host: Host, actor: Address, event: Event) -> None:
        if self._node is not None and self._node != host.name:
            return
        of = getattr(event, "partition", None)
        if self._partition is not None and of is not None and of != self._partition:
            return
        self._line(world, f"{host.name} !", f"{event.sentence()} ({event.cause})")

    # --- Telling ---

    def finish(self) -> None:
        """Faults after the last message."""
        for fault in self._faults[self._told :]:
            self._tell(f"{fault.time_us / 1e6:11.6f}  {'':7}  {'***':14} {fault.kind} {fault.what}")
        self._told = len(self._faults)

    def _line(self, world: World, who: str, text: str) -> None:
        if self._told < len(self._faults):
            self.finish()
        self._tell(f"{world.now / 1e6:11.6f}  {f'#{world.steps}':7}  {who:14} {text}")

    def _learn(self, world: World) -> None:
        """Topics' names, as soon as any node knows them."""
        for host in world.hosts.values():
            for _, image in images_of(host):
                for topic_id, topic in getattr(image, "topics", {}).items():
                    self._names.setdefault(topic_id, topic.name)

    # --- Words ---

    def words(self, value: object) -> str:
        """A message in words: its name and what it says."""
        if isinstance(value, msgspec.Struct):
            return f"{type(value).__name__} {self._fields(value)}".rstrip()
        return self._short(value)

    def _fields(self, struct: msgspec.Struct) -> str:
        words = []
        for field in msgspec.structs.fields(struct):
            value = getattr(struct, field.name)
            if field.name in SILENT or value in (None, [], (), ErrorCode.NONE, field.default):
                continue
            text = self._short(value)
            named = isinstance(value, Partition | Payload | list | tuple) or field.name == "partition"
            words.append(text if named else f"{field.name}={text}")
        return " ".join(words)

    def _short(self, value: object) -> str:
        match value:
            case Partition():
                return f"{self._names.get(value.topic, value.topic[:6])}-{value.index}"
            case Enum():
                return value.name
            case Payload():
                return _records(value)
            case msgspec.Struct():
                return self._fields(value)
            case list():
                return self._several(value)
            case tuple():
                return "(" + ",".join(map(self._short, value)) + ")"
            case float():
                return f"{value:g}"
            case str() if len(value) > LONG:
                return value[:LONG] + "..."
            case _:
                return self._names.get(value, value) if isinstance(value, str) else str(value)

    def _several(self, values: list[object]) -> str:
        words = [self._short(value) for value in values]
        if self._partition is not None:  # of many partitions only the one
            words = [text for text in words if self._partition in text.split()] or words
        left_out = len(words) - MANY
        if left_out > 0:
            words[MANY:] = [f"{left_out} more"]
        return f"[ {' | '.join(words)} ]"


def _records(payload: Payload) -> str:
    """Record batches as the offsets they fill; other bytes as their number."""
    try:
        headers = [header for _, header in iter_headers(payload.data)]
    except InvalidBatch:
        headers = []
    if not headers:
        return f"{len(payload)} B"
    return f"records {headers[0].base_offset}-{headers[-1].next_offset} ({len(payload)} B)"
