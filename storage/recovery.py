"""Recovery of one partition's log: a pure reading job (API; bodies follow)."""

from __future__ import annotations

import msgspec

from .disk import Reader
from .epochs import EpochEntry
from .log import LogSettings


class Recovered(msgspec.Struct, frozen=True):
    directory: str
    start: int
    end: int
    epochs: tuple[EpochEntry, ...] = ()
    corrupt: str | None = None  # why this log must not be used: damage below the recovery point
    truncated_bytes: int = 0  # torn tail that `Log.open` will cut


class RecoverLog(msgspec.Struct, frozen=True):
    """A Job. `run` only reads; hand its result to `Log.open`."""

    directory: str
    recovery_point: int | None = None  # None: unknown, everything is scanned and damage is cut like a torn tail
    clean: bool = False
    log_start: int = 0  # from `log-start-offset-checkpoint`
    settings: LogSettings = LogSettings()
    thorough: bool = False  # scan below the recovery point too

    @property
    def name(self) -> str: return f"recover {self.directory}"
    def run(self, reader: Reader) -> Recovered: raise NotImplementedError
