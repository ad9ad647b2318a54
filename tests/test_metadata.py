"""The image: what it refuses, and that a snapshot is as good as the log."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from barnabas.actors.elections import Restart, fence_changes, registration_changes, unfence_changes
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import Partition, TopicId
from barnabas.actors.metadata import REMEMBERED_MS, ImpossibleRecord, MetadataImage, load_latest
from barnabas.actors.metadata_codec import decode_batches, encode_records
from barnabas.actors.metadata_records import (
    BrokerFenced,
    BrokerRegistered,
    BrokerUnfenced,
    ClusterDefaults,
    LeaderChanged,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    ProducerIdsTaken,
    RequestDone,
    TopicCreated,
    TopicDeleted,
)
from barnabas.actors.metadata_snapshot import KEPT, BadSnapshot, path_of, snapshot_files, write_snapshot
from barnabas.storage.memory import MemoryDisk

T = TopicId("T" * 22)
P = Partition(T, 0)


def image_of(*batches: Sequence[MetadataRecord]) -> MetadataImage:
    image = MetadataImage()
    for batch in batches:
        image.apply(batch, image.end)
    return image


def registered(broker: int, life: int = 1) -> BrokerRegistered:
    return BrokerRegistered(broker, Incarnation(broker * 1000 + life), "d", f"b{broker}", "")


TOPIC = [TopicCreated(T, "orders"), PartitionCreated(P, [1, 2], [1, 2], 1)]
BROKERS = [registered(1), registered(2), BrokerUnfenced(1, 0), BrokerUnfenced(2, 1)]


def history(seed: int) -> list[list[MetadataRecord]]:
    """A random history as a controller would write it."""
    random, image, batches = Random(seed), MetadataImage(), []
    batches.append([LeaderChanged(1, 1, [1, 2, 3]), ClusterDefaults(1, 2, {"segment.ms": "7"})])
    image.apply(batches[0], 0)
    for n in range(random.randrange(40)):
        broker = random.randint(1, 3)
        known = image.brokers.get(broker)
        records: list[MetadataRecord] = []
        match random.randrange(7):
            case 0 if known is not None:
                records = [BrokerFenced(broker, known.epoch), *fence_changes(image, [broker])]
            case 1 | 2 if known is not None and known.fenced:
                records = [BrokerUnfenced(broker, known.epoch), *unfence_changes(image, broker)]
            case 3 | 2:
                restart = Restart(random.random() < 0.7, True, False, {})
                records = [registered(broker, n), *registration_changes(image, broker, restart)]
            case 4 if any(image.may_lead(b) for b in image.brokers):
                topic = TopicId(f"topic-{n}".ljust(22, "x"))
                isr = [b for b in sorted(image.brokers) if image.may_lead(b)]
                created = PartitionCreated(Partition(topic, 0), sorted(image.brokers), isr, isr[0])
                done = RequestDone(Incarnation(n), n, 0, "", topic, n * 30_000)
                records = [TopicCreated(topic, f"t{n}", {"durability": "os"}), created, done]
            case 5 if image.topics:
                records = [TopicDeleted(random.choice(sorted(image.topics)))]
            case _:
                records = [ProducerIdsTaken(broker, image.next_producer_id + 1000)]
        image.apply(records, image.end)
        batches.append(records)
    return batches


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 1 << 32), st.integers(0, 40))
def test_loading_a_snapshot_equals_replaying_the_log(seed: int, at: int) -> None:
    batches = history(seed)
    whole = image_of(*batches)
    loaded = MetadataImage.from_snapshot(image_of(*batches[:at]).to_snapshot())
    for batch in batches[at:]:
        loaded.apply(batch, loaded.end)
    assert loaded.state_hash() == whole.state_hash()
    assert loaded.to_snapshot() == whole.to_snapshot()
    assert vars(loaded) == vars(whole)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_records_that_travelled_as_bytes_give_the_same_image(seed: int) -> None:
    batches, image = history(seed), MetadataImage()
    for batch in batches:
        [(first, _, records)] = decode_batches(encode_records(batch, base_offset=image.end))
        image.apply(records, first)
    assert image.state_hash() == image_of(*batches).state_hash()


def test_the_hash_tells_any_difference() -> None:
    one = image_of(BROKERS, TOPIC)
    assert one.state_hash() == image_of(BROKERS, TOPIC).state_hash()
    assert one.state_hash() != image_of(BROKERS).state_hash()
    other = image_of(BROKERS, [TopicCreated(T, "orders"), PartitionCreated(P, [1, 2], [1, 2], 2)])
    assert one.state_hash() != other.state_hash()


def test_a_brokers_epoch_is_the_offset_of_its_registration() -> None:
    image = image_of([ProducerIdsTaken(1, 1000)], [registered(1)])
    assert (image.brokers[1].epoch, image.brokers[1].fenced) == (1, True)


def test_the_earlier_lives_of_a_broker_are_remembered_a_while() -> None:
    image = image_of(*([registered(1, life)] for life in range(20)))
    assert image.brokers[1].retired == tuple(1000 + life for life in range(11, 19))


def test_answers_are_remembered_for_ten_minutes() -> None:
    image = image_of([RequestDone(Incarnation(1), 1, 0, "", T, 5)])
    image.apply([RequestDone(Incarnation(1), 2, 0, "", T, 4 + REMEMBERED_MS)], 1)
    assert list(image.requests) == [(1, 1), (1, 2)]
    image.apply([RequestDone(Incarnation(1), 3, 0, "", T, 5 + REMEMBERED_MS)], 2)
    assert list(image.requests) == [(1, 2), (1, 3)]


def changed(**fields: object) -> PartitionChanged:
    usual = {"leader": 1, "leader_epoch": 0, "partition_epoch": 1, "isr": [1]}
    return PartitionChanged(P, **{**usual, **fields})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (BrokerFenced(1, 9), "b1 is in epoch 0, the record says epoch 9"),
        (BrokerFenced(7, 0), "b7 is unknown"),
        (registered(1), "b1 was 1001 before"),
        (TopicCreated(T, "other"), "exists"),
        (TopicCreated(TopicId("U" * 22), "orders"), "exists"),
        (TopicDeleted(TopicId("U" * 22)), "does not exist"),
        (PartitionCreated(Partition(T, 2), [1], [1], 1), "does not follow"),
        (ProducerIdsTaken(1, 0), "were taken before"),
        (LeaderChanged(-1, 1, [1]), "epoch -1 after epoch -1"),
        (changed(partition_epoch=2), "from partition epoch 0 to 2"),
        (changed(leader=2, isr=[2]), "from leader 1 in epoch 0 to leader 2 in epoch 0"),
        (changed(leader_epoch=2), "in epoch 2"),
        (changed(isr=[1, 3]), "not among replicas"),
        (changed(isr=[2]), "leader 1 is not in ISR"),
        (changed(isr=[1], elr=[1]), "listed twice"),
        (changed(unclean=True), "unclean"),
    ],
)
def test_a_record_that_does_not_follow_is_fatal(record: MetadataRecord, sentence: str) -> None:
    image = image_of(BROKERS, TOPIC)
    with pytest.raises(ImpossibleRecord, match=sentence):
        image.apply([record], image.end)


def test_records_from_another_offset_are_fatal() -> None:
    with pytest.raises(ImpossibleRecord, match="records at offset 3, applied up to 4"):
        image_of(BROKERS).apply(TOPIC, 3)


def test_the_whole_picture_may_be_wrong_where_each_record_was_right() -> None:
    image = image_of(BROKERS, TOPIC, [BrokerFenced(1, 0)])
    assert image.violations() == ["orders-0: fenced brokers [1] are in the ISR"]


def test_a_snapshot_that_was_cut_or_changed_anywhere_is_refused() -> None:
    data = image_of(BROKERS, TOPIC).to_snapshot()
    for at in range(len(data)):
        with pytest.raises(BadSnapshot):
            MetadataImage.from_snapshot(data[:at])
        with pytest.raises(BadSnapshot):
            MetadataImage.from_snapshot(data[:at] + bytes([data[at] ^ 0x41]) + data[at + 1 :])


def test_a_damaged_snapshot_is_passed_over_for_an_older_one() -> None:
    disk = MemoryDisk(Random(0))
    for image in (image_of(BROKERS), image_of(BROKERS, TOPIC)):
        write_snapshot(disk, image.to_snapshot(), image.end, image.controller_epoch)
    disk.replace(path_of(6, -1), b"damaged")
    loaded, refused = load_latest(disk)
    assert loaded.state_hash() == image_of(BROKERS).state_hash()
    assert len(refused) == 1


def test_an_empty_directory_is_an_empty_image() -> None:
    assert load_latest(MemoryDisk(Random(0)))[0].end == 0


def test_old_snapshots_are_deleted_but_two_besides_the_newest() -> None:
    disk = MemoryDisk(Random(0))
    for end in range(1, 7):
        write_snapshot(disk, b"", end, 0)
    assert snapshot_files(disk) == [path_of(end, 0) for end in (6, 5, 4)]
    assert len(snapshot_files(disk)) == KEPT + 1
