"""How patient coordinators are, and how much they take on."""

from __future__ import annotations

import msgspec


class GroupSettings(msgspec.Struct, frozen=True):
    """Times in milliseconds."""

    session_ms: int = 10_000  # a member that was not heard of for so long is out
    grace_ms: int = 1_000  # the same, once its connection is known to be gone
    min_session_ms: int = 100  # what members of the classic protocol may ask for
    max_session_ms: int = 1_800_000
    join_delay_ms: int = 0  # how long a new group of the classic protocol waits for more members
    retention_ms: int = 7 * 24 * 3_600_000  # offsets of a group that has no members are kept for so long
    observed_ms: int = 3_600_000  # and at least so long after a coordinator has begun to look
    max_groups: int = 10_000  # at one broker
    max_members: int = 1_000  # of a group: an assignment of all of them is one record batch, made within one handler
