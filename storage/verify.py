"""Looking at stored logs without a broker: every finding is one sentence (API; bodies follow)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .disk import Reader


class Finding(msgspec.Struct, frozen=True):
    directory: str
    file: str
    position: int | None
    sentence: str


def verify_log(reader: Reader, directory: str) -> list[Finding]: raise NotImplementedError
def compare_replicas(replicas: Mapping[str, Reader], directory: str, committed: int) -> list[Finding]:
    raise NotImplementedError  # replica name -> its disk; offsets below `committed` (the smallest high watermark)
def verify_data_dir(reader: Reader) -> list[Finding]: raise NotImplementedError
