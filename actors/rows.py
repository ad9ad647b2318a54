"""Records on their way through a producer, as columns: a record is what stands at one place in each of them.

A tuple per record would be the plain way. But the garbage collector looks at every tuple, and at the lists of them, in
each of its rounds, and hundreds of thousands of records are on their way at a time: that cost an application more than
all the rest of a `send`. Bytes and numbers it does not look at.

Headers and timestamps are rare, so those have no column: `odd` has them, by place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

from ..storage.records import RawRecord

RECORD_OVERHEAD = 24  # the most that lengths and deltas take, for records below 1 MiB

RecordHeaders = tuple[tuple[str, bytes | None], ...]
Odd = tuple[RecordHeaders, int]
"""The headers of a record, and its timestamp; -1: that of its batch."""

_PLAIN: Odd = ((), -1)
_NONE: Mapping[int, Odd] = {}


def size_of(key: bytes | None, value: bytes | None, headers: RecordHeaders = ()) -> int:
    """An upper bound of the bytes that a record takes in a batch."""
    size = RECORD_OVERHEAD + (len(key) if key else 0) + (len(value) if value else 0)
    if headers:
        size += sum(10 + 4 * len(name) + (len(content) if content else 0) for name, content in headers)
    return size


class Rows(NamedTuple):
    """Some records, in order. All columns are equally long; `tokens` are those of the outlet, `sizes` of `size_of`."""

    keys: Sequence[bytes | None]
    values: Sequence[bytes | None]
    tokens: Sequence[object]
    sizes: Sequence[int]
    odd: Mapping[int, Odd] = _NONE

    def part(self, start: int, stop: int) -> Rows:
        """Those from `start` to before `stop`."""
        keys, values, tokens, sizes, odd = self
        if not start and stop == len(keys):
            return self
        if odd:
            odd = {place - start: odd[place] for place in odd if start <= place < stop}
        return Rows(keys[start:stop], values[start:stop], tokens[start:stop], sizes[start:stop], odd)

    def pick(self, places: Sequence[int]) -> Rows:
        """Those at these places, of which there is at least one."""
        keys, values, tokens, sizes, odd = self
        if len(places) == 1:
            return self.part(places[0], places[0] + 1)
        if odd:
            odd = {place: odd[before] for place, before in enumerate(places) if before in odd}
        pick = itemgetter(*places)
        return Rows(pick(keys), pick(values), pick(tokens), pick(sizes), odd)


def rows_of(records: Sequence[RawRecord], tokens: Sequence[object]) -> Rows:
    """Records as columns, with a token each."""
    assert len(records) == len(tokens), "one token per record"
    odd = {place: record[2:4] for place, record in enumerate(records) if record[2:4] != _PLAIN}
    sizes = [size_of(key, value, headers) for key, value, headers, _, _ in records]
    return Rows([record[0] for record in records], [record[1] for record in records], tokens, sizes, odd)


def records_of(keys: Sequence[bytes | None], values: Sequence[bytes | None], odd: Mapping[int, Odd]) -> list[RawRecord]:
    """And back."""
    pairs = enumerate(zip(keys, values, strict=True))
    return [(key, value, *odd.get(place, _PLAIN), -1) for place, (key, value) in pairs]
