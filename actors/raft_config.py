"""Who a voter is, its times, and its timers."""

from __future__ import annotations

from typing import Literal

import msgspec

from ..storage.settings import LogSettings
from .kernel import Timer

Role = Literal["recovering", "unattached", "following", "prospective", "candidate", "leading"]


class Voter(msgspec.Struct, frozen=True):
    """A member of the quorum: where it is, and which data directory is the one that may vote (KIP-853)."""

    endpoint: str
    directory_id: str


class RaftConfig(msgspec.Struct, frozen=True):
    """Who I am in which quorum, and its times in milliseconds."""

    id: int
    cluster_id: str
    directory_id: str
    voters: dict[int, Voter]
    election_min_ms: int = 300
    election_max_ms: int = 600
    fetch_wait_ms: int = 250
    retry_ms: int = 100
    settings: LogSettings = LogSettings(segment_bytes=64 << 20)


class ElectionTimer(Timer, frozen=True):
    """Nothing was heard from a leader, or an election did not end."""


class FetchTimer(Timer, frozen=True):
    """Ask the leader again."""


class LeaderTimer(Timer, frozen=True):
    """Announce the epoch to voters that do not fetch; resign if a majority is silent."""


class ParkedTimer(Timer, frozen=True):
    """A parked fetch has waited long enough."""

    voter: int


class CheckpointTimer(Timer, frozen=True):
    """Persist the recovery point."""
