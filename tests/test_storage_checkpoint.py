"""Offsets, identity and the clean-shutdown marker: read as written, or refused in words."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from barnabas.storage.checkpoint import (
    CLEAN_SHUTDOWN,
    IDENTITY,
    RECOVERY_POINTS,
    CleanShutdown,
    ForeignDirectory,
    Identity,
    check_identity,
    decode_offsets,
    encode_offsets,
    read_clean_shutdown,
    read_identity,
    read_offsets,
    remove_clean_shutdown,
    write_clean_shutdown,
    write_identity,
    write_offsets,
)
from barnabas.storage.memory import MemoryDisk

OFFSETS = st.dictionaries(
    st.tuples(st.text("abc._-9", min_size=1, max_size=8), st.integers(0, 99)), st.integers(0, 2**62), max_size=8
)
WHO = Identity("c1", 3, "d9", (1, 2, 3))


def disk() -> MemoryDisk:
    return MemoryDisk(Random(0))


def flipped(disk: MemoryDisk, name: str) -> list[bytes]:
    """Each version of a file with one bit flipped."""
    good = disk.read(name, 0, disk.size(name) or 0)
    return [bytes([*good[:at], good[at] ^ 1 << at % 8, *good[at + 1 :]]) for at in range(len(good))]


@given(OFFSETS)
def test_offsets_are_read_as_written(offsets: dict[tuple[str, int], int]) -> None:
    on = disk()
    assert read_offsets(on, RECOVERY_POINTS) == (None, "there is no recovery-point-offset-checkpoint")
    write_offsets(on, RECOVERY_POINTS, offsets)
    assert read_offsets(on, RECOVERY_POINTS) == (offsets, None)


def test_offsets_are_in_kafkas_text() -> None:
    assert encode_offsets({("b", 0): 7, ("a", 10): 5}) == b"0\n2\na 10 5\nb 0 7\n"


@given(OFFSETS, st.data())
def test_a_checkpoint_that_is_cut_off_counts_as_missing(
    offsets: dict[tuple[str, int], int], data: st.DataObject
) -> None:
    text = encode_offsets(offsets)
    on = disk()
    on.replace(RECOVERY_POINTS, text[: data.draw(st.integers(0, len(text) - 1))])
    found, reason = read_offsets(on, RECOVERY_POINTS)
    assert found is None
    assert reason is not None
    assert "cannot be used" in reason


@given(st.binary(max_size=80))
def test_only_what_is_written_is_read(data: bytes) -> None:
    try:
        offsets = decode_offsets(data)
    except ValueError:
        return
    assert len(encode_offsets(offsets)) == len(data)


def test_an_identity_is_read_as_written_and_every_damaged_bit_stops_the_node() -> None:
    on = disk()
    assert read_identity(on) is None
    write_identity(on, WHO)
    assert read_identity(on) == WHO
    for damaged in flipped(on, IDENTITY):
        on.replace(IDENTITY, damaged)
        with pytest.raises(ForeignDirectory):
            read_identity(on)


def test_a_newer_level_is_refused() -> None:
    on = disk()
    write_identity(on, Identity("c1", 3, "d9", (), level=2))
    with pytest.raises(ForeignDirectory, match="level 2"):
        read_identity(on)


def test_a_foreign_directory_is_named() -> None:
    check_identity(WHO, cluster_id="c1", node_id=3, voters=(3, 2, 1))
    for cluster, node, voters, words in (
        ("c2", 3, (1, 2, 3), "cluster c1"), ("c1", 4, (1, 2, 3), "node 3"), ("c1", 3, (1, 2), "controllers"),
    ):  # fmt: skip
        with pytest.raises(ForeignDirectory, match=words):
            check_identity(WHO, cluster_id=cluster, node_id=node, voters=voters)


def test_a_damaged_clean_shutdown_marker_is_none() -> None:
    on = disk()
    assert read_clean_shutdown(on) is None
    write_clean_shutdown(on, CleanShutdown(7))
    assert read_clean_shutdown(on) == CleanShutdown(7)
    for damaged in flipped(on, CLEAN_SHUTDOWN):
        on.replace(CLEAN_SHUTDOWN, damaged)
        assert read_clean_shutdown(on) is None
    remove_clean_shutdown(on)
    assert read_clean_shutdown(on) is None
    assert on.size(CLEAN_SHUTDOWN) is None
