"""What the door accepts, in numbers, and what it has counted. What exceeds a number costs its own connection only."""

from __future__ import annotations

import msgspec

MIB = 1 << 20


class Limits(msgspec.Struct, frozen=True):
    """Kafka's names where Kafka has one, as in the settings of a broker. Bytes unless said otherwise."""

    socket_request_max_bytes: int = 100 * MIB
    """One frame, as in Kafka. An HTTP request read as a length is 1.2 GB, so it is refused here."""

    max_connections: int = 10_000
    """More would need more descriptors than the logs leave (and 4 KB each). One that has never asked for anything makes
    room for the next one."""

    connections_max_idle_ms: int = 600_000
    """A connection without any request for so long is closed, as in Kafka."""

    queued_max_request_bytes: int = 256 * MIB
    """Frames that are here in part or whole and not handled: beyond, no new large frame is begun, and one that grows
    loses its connection."""

    queued_max_response_bytes: int = 256 * MIB
    """Replies that clients do not take: beyond, no request is begun for those who owe, and who is owed more is cut."""

    fetch_max_bytes: int = 55 * MIB
    """Records of one fetch, as in Kafka; brokers give at most 8 MiB at once anyway."""

    auto_create_topics_enable: bool = True

    stuck_ms: int = 30_000
    """A frame that is begun, or a reply that is not taken, and makes no progress for so long, costs the connection."""

    sweep_ms: int = 10_000
    """How often idle and stuck connections are looked for."""


SILENT_S = 1.0
"""A connection that has not asked for anything for so long after it came may lose its place to another."""

PIPELINED = 64
"""Produce requests of one connection that wait for their acknowledgement; the next one waits in the socket."""

READ_AHEAD_FRAMES = 32
READ_AHEAD_BYTES = MIB
"""What one connection may have here unhandled before it is read no further."""

LARGE = 64 << 10
"""A frame that does not come in one piece of this size counts against `queued_max_request_bytes`."""

SCRATCH = 64 << 10
"""Bytes that are read at once where no large frame is being filled."""

STEP = MIB
"""A frame is believed so many bytes at first, and each time as many as have come."""

WRITE_AHEAD = 256 << 10
"""Bytes of replies beyond which a connection's next request waits until the client has read."""


class Counted(msgspec.Struct):
    """What went through the door since the node started."""

    accepted: int = 0
    requests: int = 0
    responses: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    refused: int = 0  # connections beyond `max_connections`
    malformed: int = 0  # connections closed for a frame that is no request of this protocol
    unknown: int = 0  # connections closed for an API or version that is not served
    over_budget: int = 0  # connections closed because too many bytes were queued
    idle: int = 0  # connections closed after `connections_max_idle_ms`, or before to make room
    stuck: int = 0  # connections closed in the middle of a frame, or of a reply
    rejected: int = 0  # connections closed as Kafka closes them, for example when acks=0 failed
    failed: int = 0  # connections closed because translating their request raised: a bug of ours, with a traceback
