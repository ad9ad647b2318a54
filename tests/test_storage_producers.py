"""Producer states: what is new, what is a repetition, what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.storage.producers import Check, ProducerStates, Remembered
from barnabas.storage.records import MAX_SEQUENCE, BatchHeader, Record, encode_batch, parse_header


def header(
    sequence: int, count: int = 1, *, pid: int = 1, epoch: int = 0, offset: int = 0, control: bool = False
) -> BatchHeader:
    records = [Record(None, b"", (), 5)] * count
    return parse_header(
        encode_batch(
            records, base_offset=offset, producer_id=pid, producer_epoch=epoch, base_sequence=sequence, control=control
        )
    )


def states(*headers: BatchHeader) -> ProducerStates:
    result = ProducerStates()
    for each in headers:
        result.apply(each)
    return result


def test_batches_without_a_producer_are_always_new() -> None:
    known = states(header(-1, pid=-1, epoch=-1))
    assert known.states == {}
    assert known.check(header(-1, pid=-1, epoch=-1)).check is Check.NEW


def test_the_next_sequence_is_new_and_any_other_is_out_of_order() -> None:
    known = states(header(0, 3), header(3, 2))
    assert known.check(header(5)).check is Check.NEW
    for sequence in (4, 6, 1):
        verdict = known.check(header(sequence))
        assert verdict.check is Check.OUT_OF_ORDER
        assert "expected 5" in verdict.sentence


def test_a_repeated_batch_is_answered_with_the_offsets_it_got_first() -> None:
    known = states(*[header(number * 2, 2, offset=100 + number * 10) for number in range(7)])
    for number in range(2, 7):
        verdict = known.check(header(number * 2, 2))
        offsets = (100 + number * 10, 101 + number * 10)
        assert (verdict.check, verdict.base_offset, verdict.last_offset) == (Check.DUPLICATE, *offsets)
    assert known.check(header(2, 2)).check is Check.OUT_OF_ORDER, "only the last five are remembered"
    assert known.check(header(12, 1)).check is Check.OUT_OF_ORDER, "the same start with another count is not the same"


def test_sequences_wrap_to_zero() -> None:
    known = states(header(MAX_SEQUENCE - 1, 2))
    assert known.check(header(0)).check is Check.NEW
    known = states(header(MAX_SEQUENCE, 3, offset=9))
    assert known.check(header(2)).check is Check.NEW
    assert known.check(header(MAX_SEQUENCE, 3)) == (Check.DUPLICATE, 9, 11, 5, "")


def test_an_older_epoch_is_fenced_and_a_newer_one_begins_at_zero() -> None:
    known = states(header(0, epoch=3))
    assert known.check(header(1, epoch=2)).check is Check.FENCED
    assert known.check(header(1, epoch=4)).check is Check.OUT_OF_ORDER
    assert known.check(header(0, epoch=4)).check is Check.NEW


def test_an_unknown_producer_begins_at_zero_unless_its_history_may_be_gone() -> None:
    known = ProducerStates()
    assert known.check(header(0)).check is Check.NEW
    assert known.check(header(7)).check is Check.OUT_OF_ORDER
    assert known.check(header(7), log_start=1).check is Check.NEW
    known.apply(header(0))
    assert known.forget_before(5) == 0
    assert known.forget_before(6) == 1
    assert known.check(header(7)).check is Check.NEW


def test_no_batch_before_a_transaction_marker_is_a_repetition() -> None:
    known = states(header(0, 2), header(-1, control=True))
    assert known.check(header(0, 2)).check is Check.OUT_OF_ORDER
    assert known.check(header(2)).check is Check.NEW
    known = states(header(0, 2), header(-1, control=True, epoch=1))
    assert known.check(header(2)).check is Check.FENCED
    assert known.check(header(0, epoch=1)).check is Check.NEW


BATCHES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(1, 9), st.booleans()), max_size=30)


def history(batches: list[tuple[int, int, int, bool]]) -> list[BatchHeader]:
    offset, headers = 0, []
    for pid, epoch, count, control in batches:
        headers.append(header(offset % 50, count, pid=pid, epoch=epoch, offset=offset, control=control))
        offset += count
    return headers


@given(BATCHES, st.integers(0, 30))
def test_a_snapshot_and_the_rest_are_the_whole(batches: list[tuple[int, int, int, bool]], cut: int) -> None:
    headers = history(batches)
    offset, again = ProducerStates.decode(states(*headers[:cut]).encode(cut))
    assert offset == cut
    for each in headers[cut:]:
        again.apply(each)
    assert again == states(*headers)
    assert again.encode(0) == states(*headers).encode(0)


@given(BATCHES, st.data())
def test_a_damaged_snapshot_is_refused_in_words(batches: list[tuple[int, int, int, bool]], data: st.DataObject) -> None:
    good = states(*history(batches)).encode(9)
    bad = bytearray(good)
    bad[data.draw(st.integers(0, len(bad) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    for damaged in (bytes(bad), good[: data.draw(st.integers(0, len(good) - 1))]):
        with pytest.raises(ValueError, match="producer snapshot"):
            ProducerStates.decode(damaged)


def test_what_is_remembered_is_bounded() -> None:
    known = states(*[header(number, offset=number) for number in range(100)])
    assert known.states[1].batches[0] == Remembered(95, 95, 95, 95, 5)
