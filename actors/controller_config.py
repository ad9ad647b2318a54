"""What a controller is told at its start, and the picture that it gives of itself."""

from __future__ import annotations

import msgspec


class ControllerConfig(msgspec.Struct, frozen=True):
    """Who this controller is. `voters` and `broadcasts`: each controller's node endpoint, and its PUB socket's."""

    id: int
    cluster_id: str
    voters: dict[int, str]
    broadcasts: dict[int, str]
    session_ms: int = 3000
    heartbeat_ms: int = 250
    snapshot_records: int = 20_000
    default_partitions: int = 1
    default_replication: int = 1
    default_configs: dict[str, str] = {}
    internal_configs: dict[str, str] = {}  # of the cluster's own topics, instead of what `internal_topics` says


class ControllerPicture(msgspec.Struct, frozen=True):
    """For dashboards and checkers."""

    id: int
    active: bool
    epoch: int
    leader: int
    applied: int
    waiting: int
