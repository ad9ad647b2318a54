"""The epoch cache by Kafka's rules."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.storage.epochs import EpochCache, EpochEntry

CACHES = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 9)), max_size=6)


def cache(steps: list[tuple[int, int]]) -> EpochCache:
    epochs, epoch, start = EpochCache(), -1, -1
    for more_epoch, more_start in steps:
        epoch, start = epoch + more_epoch, start + more_start
        epochs.assign(epoch, start)
    return epochs


def test_an_empty_cache_knows_nothing() -> None:
    epochs = EpochCache()
    assert (epochs.latest, epochs.epoch_at(0), epochs.end_offset_for(0, 10)) == (-1, -1, (-1, -1))


def test_an_epoch_ends_where_the_next_one_begins() -> None:
    epochs = EpochCache([EpochEntry(2, 0), EpochEntry(4, 10), EpochEntry(7, 20)])
    answers = [epochs.end_offset_for(epoch, 25) for epoch in range(-1, 9)]
    below, known = [(-1, -1), (0, 0), (1, 0)], [(2, 10), (2, 10), (4, 20), (4, 20), (4, 20), (7, 25)]
    assert answers == [*below, *known, (-1, -1)]


def test_an_epoch_without_records_is_replaced_by_the_next() -> None:
    epochs = EpochCache([EpochEntry(1, 0)])
    assert epochs.assign(3, 5)
    assert not epochs.assign(3, 9)
    assert epochs.assign(4, 5)
    assert epochs.entries == [EpochEntry(1, 0), EpochEntry(4, 5)]


def test_truncation_at_the_end_prunes_an_empty_epoch() -> None:
    epochs = EpochCache([EpochEntry(1, 0), EpochEntry(3, 5)])
    assert not epochs.truncate_from_end(6)
    assert epochs.truncate_from_end(5)
    assert epochs.entries == [EpochEntry(1, 0)]


def test_the_first_epoch_moves_with_the_start_of_the_log() -> None:
    epochs = EpochCache([EpochEntry(1, 0), EpochEntry(3, 5), EpochEntry(4, 8)])
    assert epochs.truncate_from_start(6)
    assert epochs.entries == [EpochEntry(3, 6), EpochEntry(4, 8)]
    assert not epochs.truncate_from_start(6)
    assert not epochs.truncate_from_start(2)


@given(CACHES)
def test_the_checkpoint_is_read_as_it_was_written(steps: list[tuple[int, int]]) -> None:
    epochs = cache(steps)
    assert EpochCache.decode(epochs.encode()).entries == epochs.entries


@given(CACHES, st.data())
def test_a_checkpoint_that_is_cut_off_is_refused(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    text = cache(steps).encode()
    with pytest.raises(ValueError, match="epoch checkpoint"):
        EpochCache.decode(text[: data.draw(st.integers(0, len(text) - 1))])


@given(st.binary(max_size=60))
def test_arbitrary_bytes_are_refused_in_words(data: bytes) -> None:
    try:
        epochs = EpochCache.decode(data)
    except ValueError:
        return
    assert epochs.encode() == data


@given(CACHES, st.integers(0, 60))
def test_after_any_truncation_each_offset_left_has_its_epoch(steps: list[tuple[int, int]], offset: int) -> None:
    before, end, start = cache(steps), cache(steps), cache(steps)
    end.truncate_from_end(offset)
    start.truncate_from_start(offset)
    assert [end.epoch_at(at) for at in range(offset)] == [before.epoch_at(at) for at in range(offset)]
    assert [start.epoch_at(at) for at in range(offset, 70)] == [before.epoch_at(at) for at in range(offset, 70)]
