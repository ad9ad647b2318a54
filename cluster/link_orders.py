"""What may be done to the links of a cluster, and how the proxy is told: one JSON object a line, each answered by one.

    {"do": "change", "ways": [[1, 2]], "held": true}      what node 1 says to node 2 does not arrive any more
    {"do": "change", "ways": [[1, 2]], "delay_ms": 50}    it arrives 50 ms later
    {"do": "heal", "ways": [[1, 2]]}                      as before
    {"do": "reset", "ways": [[1, 2]]}                     all connections between node 1 and node 2 break
    {"do": "show"}                                        every way and what is done to it

A way is an ordered pair of nodes, and is about the bytes that the first one sends to the second, on whichever
connection: requests, replies and broadcasts.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

Milliseconds = Annotated[int, Meta(ge=0, le=600_000)]
BytesPerSecond = Annotated[int, Meta(ge=0, le=1 << 40)]
Pair = tuple[int, int]


class WayState(Struct, frozen=True):
    """One way: what is done to it, and what went through."""

    source: int
    target: int
    held: bool = False  # nothing arrives
    delay_ms: int = 0  # everything arrives so much later ...
    jitter_ms: int = 0  # ... and up to this much more, drawn for each piece; the order stays
    bytes_per_s: int = 0  # no more than this arrives in a second; 0: no limit
    connections: int = 0  # that carry bytes this way now
    bytes: int = 0  # that went this way since the proxy started

    @property
    def faulty(self) -> bool:
        """Whether anything is done to it."""
        return self.held or self.delay_ms > 0 or self.jitter_ms > 0 or self.bytes_per_s > 0


class Change(Struct, frozen=True, tag_field="do", tag="change", forbid_unknown_fields=True):
    """Do this to these ways from now on; None leaves it as it is."""

    ways: list[Pair]
    held: bool | None = None
    delay_ms: Milliseconds | None = None
    jitter_ms: Milliseconds | None = None
    bytes_per_s: BytesPerSecond | None = None


class Heal(Struct, frozen=True, tag_field="do", tag="heal", forbid_unknown_fields=True):
    """Do nothing to these ways any more. What was held flows on, as after a cable is plugged in again."""

    ways: list[Pair]


class Reset(Struct, frozen=True, tag_field="do", tag="reset", forbid_unknown_fields=True):
    """Break the connections that carry bytes along these ways; what is on its way is lost. They may be made again."""

    ways: list[Pair]


class Show(Struct, frozen=True, tag_field="do", tag="show", forbid_unknown_fields=True):
    """Change nothing, and say how things are."""


Order = Change | Heal | Reset | Show


class Answer(Struct, frozen=True):
    """How things are once the order is carried out; or why it is not, in a sentence."""

    error: str = ""
    ways: list[WayState] = []
