"""Records as columns: parts, picks and the way back are those of a list of records."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from barnabas.actors.accumulator import BATCH_OVERHEAD, Batch
from barnabas.actors.kernel import Millis
from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.rows import Rows, records_of, rows_of, size_of
from barnabas.storage.records import RawRecord, decode_batch, encode_batch

FIELD = st.none() | st.binary(max_size=20)
HEADERS = st.just(()) | st.lists(st.tuples(st.text(max_size=5), FIELD), max_size=2).map(tuple)
RECORDS: st.SearchStrategy[list[RawRecord]] = st.lists(
    st.tuples(FIELD, FIELD, HEADERS, st.just(-1) | st.integers(0, 1 << 40), st.just(-1)), min_size=1, max_size=20
)


def back(rows: Rows) -> list[RawRecord]:
    assert len(rows.keys) == len(rows.values) == len(rows.tokens) == len(rows.sizes)
    return records_of(rows.keys, rows.values, rows.odd)


@given(RECORDS, st.data())
def test_parts_and_picks_are_those_of_a_list(records: list[RawRecord], data: st.DataObject) -> None:
    tokens = [object() for _ in records]
    rows = rows_of(records, tokens)
    assert back(rows) == records
    assert list(rows.sizes) == [size_of(*record[:3]) for record in records]
    start = data.draw(st.integers(0, len(records) - 1))
    stop = data.draw(st.integers(start, len(records)))
    part = rows.part(start, stop)
    assert (back(part), list(part.tokens)) == (records[start:stop], tokens[start:stop])
    places = data.draw(st.lists(st.integers(0, len(records) - 1), min_size=1))
    picked = rows.pick(places)
    assert back(picked) == [records[place] for place in places]
    assert list(picked.tokens) == [tokens[place] for place in places]


@given(RECORDS, st.lists(st.integers(0, 20), max_size=4))
def test_a_batch_that_is_filled_in_pieces_is_that_of_all_its_records(records: list[RawRecord], cuts: list[int]) -> None:
    batch = Batch(1, Partition(TopicId("T" * 22), 0), Millis(0), Millis(9), Millis(1234))
    start, size = 0, 0
    rows = rows_of(records, records)
    for stop in [*(cut for cut in sorted(cuts) if cut < len(records)), len(records)]:
        if stop > start:
            size += batch.add(rows.part(start, stop))
        start = max(start, stop)
    assert (len(batch), batch.size, batch.tokens) == (len(records), BATCH_OVERHEAD + size, records)
    expected = encode_batch(records, timestamp=1234, producer_id=7, producer_epoch=1, base_sequence=5)
    batch.base_sequence = 5
    assert batch.encode(7, 1) == expected
    assert len(decode_batch(expected)) == len(records)
    assert batch.encode(7, 1) == expected, "and again, after it has landed"
