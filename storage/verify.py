"""Looking at stored logs without a broker: every finding is one sentence.

A log proves itself in part: the CRC covers bytes 21 on of each batch. The first 21 are held by their surroundings: the
base offset by the batch before, the file's name and the batch after; the length by the CRC; the leader epoch by
the epoch checkpoint; magic has one value. What a whole log cannot prove (that it is the log that was committed),
`compare_replicas` shows: below the high watermark replicas are equal, byte for byte.

A compacted log may have holes, and each replica compacts by itself: there they need not be equal, but what a reader
from the beginning ends with must be, which is the last record of each key. A key may be missing at a replica that has
removed its tombstone. What a replacement of segments has left behind is not a finding: the next start finishes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from crc32c import crc32c

from .checkpoint import HIGH_WATERMARKS, LOG_STARTS, RECOVERY_POINTS, ForeignDirectory, read_identity, read_offsets
from .disk import Reader
from .epochs import EpochCache
from .keys import body_of, name_of, spans
from .producers import ProducerStates
from .records import BatchHeader, InvalidBatch, parse_header
from .recovery import COMPACTION, EPOCH_CHECKPOINT, METADATA, NAMED, read_purged, read_start
from .segment import BadBatch, index_path, segments_in, snapshot_path, timeindex_path, walk

_DIRECTORY = re.compile(r"(?P<topic>[A-Za-z0-9._-]+)-(?P<partition>\d+)/")


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be."""

    directory: str
    file: str
    position: int | None
    sentence: str


def verify_log(reader: Reader, directory: str) -> list[Finding]:
    """Read one partition's directory completely."""
    return _Verify(reader, directory).run()


def compare_replicas(replicas: Mapping[str, Reader], directory: str, committed: int) -> list[Finding]:
    """Compare what all replicas have below `committed` (the smallest high watermark).

    Batch by batch or, where one of them is compacted, by the last record of each key (as many in memory as there are).
    """
    starts = {name: list(_segments(reader, directory)) for name, reader in replicas.items()}
    findings = [
        Finding(directory, name, None, f"{name} has nothing of {directory}, others have {committed} offsets")
        for name, bases in starts.items()
        if not bases and committed > (read_start(replicas[name], directory) or 0)
    ]
    names = sorted(name for name, bases in starts.items() if bases)
    if len(names) < 2:
        return findings
    begin = max(starts[name][0] for name in names)
    if any(read_purged(replicas[name], directory) != -1 for name in names):
        return findings + _compare_keys({name: replicas[name] for name in names}, directory, begin, committed)
    streams = {name: _batches(replicas[name], directory, begin, committed) for name in names}
    reference = names[0]
    while len(streams) > 1:
        expected = next(streams[reference], None)
        for name in [name for name in names[1:] if name in streams]:
            found = next(streams[name], None)
            if found == expected:
                continue
            offset = min(batch[0] for batch in (expected, found) if batch is not None)
            sentence = f"at offset {offset} {name} differs from {reference}: {_differ(expected, found)}"
            findings.append(Finding(directory, name, None, sentence))
            del streams[name]
        if expected is None:
            break
    return findings


def _differ(expected: tuple[int, bytes] | None, found: tuple[int, bytes] | None) -> str:
    if expected is None or found is None:
        return "one of them has no more good batches"
    if expected[0] != found[0]:
        return f"their batches begin at {found[0]} and {expected[0]}"
    first = next((at for at, (a, b) in enumerate(zip(expected[1], found[1], strict=False)) if a != b), None)
    return "their batches have different sizes" if first is None else f"byte {first} of the batch is not the same"


class _Last(NamedTuple):
    """The last record of a key."""

    offset: int
    content: int  # a checksum of the record without its timestamp, which a cleaner may tell otherwise
    tombstone: bool


def _compare_keys(replicas: Mapping[str, Reader], directory: str, begin: int, end: int) -> list[Finding]:
    last = {name: _last_records(reader, directory, begin, end) for name, reader in replicas.items()}
    purged = {name: read_purged(reader, directory) or 0 for name, reader in replicas.items()}
    reference, *others = sorted(last)
    findings = []
    for name in others:
        for key in sorted(last[reference].keys() | last[name].keys()):
            one, other = last[reference].get(key), last[name].get(key)
            if one == other:
                continue
            if one is None and other is not None and other.tombstone and other.offset < purged[reference]:
                continue
            if other is None and one is not None and one.tombstone and one.offset < purged[name]:
                continue
            offset = max(found.offset for found in (one, other) if found is not None)
            sentence = f"{name} ends with another record of key {key[:40]!r} than {reference}: look at offset {offset}"
            findings.append(Finding(directory, name, None, sentence))
            break
    return findings


def _last_records(reader: Reader, directory: str, begin: int, end: int) -> dict[bytes, _Last]:
    last: dict[bytes, _Last] = {}
    for base, data in _batches(reader, directory, begin, end):
        header = parse_header(data)
        try:
            body = body_of(data, header)
            found = spans(body, header.count)
        except InvalidBatch:
            continue  # it is nobody's business what a client calls a record
        for span in found:
            if span.key is not None:
                content = crc32c(body[span.rest : span.end])
                last[name_of(span.key)] = _Last(base + span.delta, content, span.tombstone)
    return last


def _segments(reader: Reader, directory: str) -> dict[int, str]:
    """The segments that a start would find: paths by base."""
    return segments_in(directory, reader.list(directory))[0]


def _batches(reader: Reader, directory: str, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """(base offset, bytes) of each good batch within [begin, end)."""
    for base, path in _segments(reader, directory).items():
        try:
            for position, header in walk(
                reader, path, position=0, expected=base, stop=reader.size(path) or 0, compacted=True, crc_from=begin
            ):
                if header.base_offset >= begin and header.next_offset <= end:
                    yield header.base_offset, reader.read(path, position, header.size)
        except BadBatch:
            return


def verify_data_dir(reader: Reader) -> list[Finding]:
    """Every partition, the checkpoint files and the identity of one data directory."""
    findings: list[Finding] = []
    try:
        read_identity(reader)
    except ForeignDirectory as error:
        findings.append(Finding("", "meta.properties", None, str(error)))
    ends: dict[tuple[str, int], int] = {}
    for name in reader.list(""):
        match = _DIRECTORY.fullmatch(name)
        if match is None:
            continue
        verify = _Verify(reader, name[:-1])
        findings += verify.run()
        ends[match["topic"], int(match["partition"])] = verify.end
    for file in (RECOVERY_POINTS, HIGH_WATERMARKS, LOG_STARTS):
        if reader.size(file) is None:
            continue
        offsets, reason = read_offsets(reader, file)
        if offsets is None:
            findings.append(Finding("", file, None, reason or ""))
            continue
        for (topic, partition), offset in sorted(offsets.items()):
            end = ends.get((topic, partition))
            if end is not None and offset > end:
                sentence = f"{file} has {offset} for {topic}-{partition}, but its log ends at {end}"
                findings.append(Finding(f"{topic}-{partition}", file, None, sentence))
    return findings


class _Verify:
    def __init__(self, reader: Reader, directory: str) -> None:
        self.reader, self.directory = reader, directory
        self.compacted = read_purged(reader, directory) != -1
        self.findings: list[Finding] = []
        self.epochs: EpochCache | None = None
        self.begun: dict[int, int] = {}  # epoch -> base offset of its first batch
        self.end = 0

    def run(self) -> list[Finding]:
        names = set(self.reader.list(self.directory))
        self._metadata(names)
        self._read_epochs(names)
        if read_purged(self.reader, self.directory) is None:
            sentence = "it is damaged, so nobody knows what is missing on purpose"
            self._found(f"{self.directory}/{COMPACTION}", None, sentence)
        segments = _segments(self.reader, self.directory)
        bases = list(segments)
        start = read_start(self.reader, self.directory) or 0
        self.end = bases[0] if bases else start  # all of it may have been deleted
        intact = whole = True
        for base, path in segments.items():
            if intact and base != self.end:
                sentence = f"this segment begins at {base}, the one before ends at {self.end}"
                self._found(path, 0, sentence)
            intact = self._segment(base, path)
            whole = whole and intact
        if whole:
            self._check_epochs(bases[0] if bases else start)
        self._snapshots(names)
        return self.findings

    def _found(self, path: str, position: int | None, sentence: str) -> None:
        file = path.rpartition("/")[2]
        where = path if position is None else f"{path}, byte {position}"
        self.findings.append(Finding(self.directory, file, position, f"{where}: {sentence}"))

    def _content(self, path: str) -> bytes:
        return self.reader.read(path, 0, self.reader.size(path) or 0)

    def _metadata(self, names: set[str]) -> None:
        path = f"{self.directory}/{METADATA}"
        if METADATA not in names:
            self._found(path, None, "there is no topic id")
        elif not NAMED.fullmatch(self._content(path)):
            self._found(path, None, "this is not a topic id as Kafka writes it")

    def _read_epochs(self, names: set[str]) -> None:
        path = f"{self.directory}/{EPOCH_CHECKPOINT}"
        if EPOCH_CHECKPOINT not in names:
            if any(self.reader.size(path) for path in _segments(self.reader, self.directory).values()):
                self._found(path, None, "there is no epoch checkpoint")
            return
        try:
            self.epochs = EpochCache.decode(self._content(path))
        except ValueError as error:
            self._found(path, None, str(error))

    def _segment(self, base: int, path: str) -> bool:
        """Every batch and index entry of one segment; whether all of its batches are good."""
        ends: dict[int, int] = {}  # position -> last offset of the batch there
        newest: dict[int, int] = {}  # last offset -> newest timestamp up to there
        timestamp = -1
        intact = True
        self.end = base
        try:
            for position, header in walk(
                self.reader, path, position=0, expected=base, stop=self.reader.size(path) or 0, crc_from=0,
                compacted=self.compacted,
            ):  # fmt: skip
                self._epoch(path, position, header)
                timestamp = max(timestamp, header.max_timestamp)
                ends[position], newest[header.last_offset] = header.last_offset, timestamp
                self.end = header.next_offset
        except BadBatch as bad:
            self._found(path, bad.position, bad.sentence)
            intact = False
        if path.endswith(".log"):  # beside a swap file may still be the indexes of what it replaces
            self._indexes(base, ends, newest, intact)
        return intact

    def _epoch(self, path: str, position: int, header: BatchHeader) -> None:
        epoch = header.leader_epoch
        self.begun.setdefault(epoch, header.base_offset)
        if self.epochs is None or not self.epochs.entries:
            if self.epochs is not None:
                self._found(path, position, f"leader epoch {epoch} is not in the epoch checkpoint")
            return
        first = self.epochs.entries[0].start
        if header.last_offset < first:
            return  # below the start of the log
        expected = self.epochs.epoch_at(max(header.base_offset, first))
        if epoch != expected:
            self._found(path, position, f"leader epoch {epoch}, the epoch checkpoint has {expected}")

    def _check_epochs(self, start: int) -> None:
        """Each entry begins where the first batch of its epoch does; the last one may be empty.

        The first entry begins with the log, which may be inside of a batch or, if it is compacted, in a hole.
        """
        if self.epochs is None:
            return
        path = f"{self.directory}/{EPOCH_CHECKPOINT}"
        for number, (epoch, begin) in enumerate(self.epochs.entries):
            found = self.begun.get(epoch)
            if found is None and begin == self.end and number == len(self.epochs.entries) - 1:
                continue
            if found is None:
                self._found(path, None, f"epoch {epoch} began at {begin}, but the log has no batch of it")
            elif found != begin and not (number == 0 and (begin >= max(found, start) or self.compacted)):
                self._found(path, None, f"epoch {epoch} began at {begin}, but its first batch is at {found}")

    def _indexes(self, base: int, ends: dict[int, int], newest: dict[int, int], intact: bool) -> None:
        """Entries behind a bad batch cannot be judged."""
        path = index_path(self.directory, base)
        size = self.reader.size(path)
        if size:
            data = self._content(path)
            if size % 8:
                self._found(path, None, f"{size} bytes are not whole entries of 8")
            for at in range(0, size - size % 8, 8):
                offset, position = int.from_bytes(data[at : at + 4]), int.from_bytes(data[at + 4 : at + 8])
                if ends.get(position) != base + offset and (intact or base + offset < self.end):
                    self._found(path, at, f"no batch that ends with offset {base + offset} is at {position}")
        path = timeindex_path(self.directory, base)
        size = self.reader.size(path)
        if size:
            data = self._content(path)
            if size % 12:
                self._found(path, None, f"{size} bytes are not whole entries of 12")
            for at in range(0, size - size % 12, 12):
                timestamp = int.from_bytes(data[at : at + 8], signed=True)
                offset = int.from_bytes(data[at + 8 : at + 12])
                if newest.get(base + offset) != timestamp and (intact or base + offset < self.end):
                    self._found(path, at, f"the newest timestamp up to offset {base + offset} is not {timestamp}")

    def _snapshots(self, names: set[str]) -> None:
        for name in sorted(name for name in names if re.fullmatch(r"\d{20}\.snapshot", name)):
            path = snapshot_path(self.directory, int(name[:20]))
            try:
                offset, _ = ProducerStates.decode(self._content(path))
                if offset != int(name[:20]):
                    self._found(path, None, f"this is the snapshot of offset {offset}")
            except ValueError as error:
                self._found(path, None, str(error))
