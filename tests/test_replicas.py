"""The logs of one broker on its disk: found, opened, set aside, deleted, checkpointed."""

from __future__ import annotations

from functools import partial

import pytest
from logs import P0, WALL_MS, batch, content, flush_disk
from recording import Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation, JobDone
from barnabas.actors.messages import FetchedPartition, Partition, TopicId
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import BrokerRegistered, BrokerUnfenced, PartitionCreated, TopicCreated
from barnabas.actors.replica import Replica
from barnabas.actors.replicas import Replicas, directory_of, key_of, topic_id_in
from barnabas.storage.checkpoint import HIGH_WATERMARKS, RECOVERY_POINTS, read_offsets
from barnabas.storage.disk import JobId
from barnabas.storage.memory import MemoryDisk

OTHER = TopicId("B" * 21 + "Q")


def image(topic: TopicId = P0.topic) -> MetadataImage:
    found = MetadataImage()
    records = [BrokerRegistered(1, Incarnation(1), "d", "b1", ""), BrokerUnfenced(1, 0), TopicCreated(topic, "orders")]
    found.apply([*records, PartitionCreated(Partition(topic, 0), [1], [1], 1)], 0)
    return found


def disk_of(ctx: Recording) -> MemoryDisk:
    assert isinstance(ctx.disk, MemoryDisk)
    return ctx.disk


def recover(ctx: Recording, *, clean: bool = False) -> Replicas:
    """A new life on the same disk: all jobs run."""
    ctx.jobs.clear()
    replicas = Replicas()
    replicas.recover(clean, ctx)
    for number, job in enumerate(ctx.jobs):
        assert replicas.on_job(JobDone(JobId(number), job, job.run(ctx.disk)))
    return replicas


def opened(ctx: Recording, replicas: Replicas | None = None, topic: TopicId = P0.topic) -> tuple[Replicas, Replica]:
    replicas = replicas or recover(ctx)
    what = image(topic)
    return replicas, replicas.ensure(what.partitions[Partition(topic, 0)], what, ctx)


def written(words: str, *, checkpoint: bool = True) -> Recording:
    """A disk with a log of these records, all durable, its recovery point at the end."""
    ctx = Recording()
    replicas, replica = opened(ctx)
    for word in words:
        replica.log.append(batch(word), 0, WALL_MS)
    replica.log.synced(flush_disk(disk_of(ctx)))
    if checkpoint:
        replicas.checkpoint(ctx.disk)
        flush_disk(disk_of(ctx))
    return ctx


def damage(ctx: Recording) -> None:
    """The header of the first batch is not what was written."""
    disk_of(ctx).corrupt(f"orders-0/{0:020d}.log", 16, 0)


# --- Names ---


@pytest.mark.parametrize(
    ("directory", "key"),
    [
        ("orders-0", ("orders", 0)),
        ("my-topic-12", ("my-topic", 12)),
        ("orders", None),
        ("-3", None),
        ("orders-", None),
        ("orders-01", None),
        ("orders-x", None),
        ("orders-0.0123456789abcdef-delete", None),
        ("metadata", None),
    ],
)
def test_only_kafkas_names_are_partitions(directory: str, key: tuple[str, int] | None) -> None:
    assert key_of(directory) == key
    if key is not None:
        assert directory_of(*key) == directory


# --- Finding ---


def test_an_empty_disk_is_recovered_at_once() -> None:
    replicas = recover(Recording())
    assert replicas.recovered
    assert replicas.claims(Recording().disk) == ([], False)


def test_a_disk_is_recovered_when_every_directory_has_been_read() -> None:
    ctx = written("ab")
    ctx.jobs.clear()
    replicas = Replicas()
    replicas.recover(False, ctx)
    assert not replicas.recovered
    [job] = ctx.jobs
    replicas.on_job(JobDone(JobId(1), job, job.run(ctx.disk)))
    assert replicas.recovered


def test_the_claim_is_what_was_found() -> None:
    ctx = written("abc")
    [claim] = recover(ctx).claims(ctx.disk)[0]
    assert (claim.partition, claim.end, claim.damaged) == (P0, 3, "")
    assert (claim.epoch, claim.cut) == (0, False)


def test_a_claim_says_that_the_tail_was_torn() -> None:
    ctx = written("abc", checkpoint=False)
    path = f"orders-0/{0:020d}.log"
    disk_of(ctx).corrupt(path, (disk_of(ctx).size(path) or 0) - 1, 0)
    [claim] = recover(ctx).claims(ctx.disk)[0]
    assert (claim.end, claim.damaged, claim.cut) == (2, "", True)


def test_a_damaged_log_is_claimed_as_damaged() -> None:
    ctx = written("abc")
    damage(ctx)
    [claim] = recover(ctx).claims(ctx.disk)[0]
    assert claim.damaged


def test_a_directory_that_cannot_be_read_is_claimed_as_damaged() -> None:
    ctx = written("abc")
    ctx.jobs.clear()
    replicas = Replicas()
    replicas.recover(False, ctx)
    replicas.on_job(JobDone(JobId(1), ctx.jobs[0], None, "Input/output error"))
    [claim] = replicas.claims(ctx.disk)[0]
    assert (claim.end, claim.damaged) == (-1, "Input/output error")


def test_a_directory_whose_name_cannot_be_read_makes_the_whole_disk_prove_nothing() -> None:
    ctx = written("abc")
    ctx.disk.replace("orders-0/partition.metadata", b"?")
    assert recover(ctx).claims(ctx.disk) == ([], True)


def test_a_name_that_has_rotted_beside_the_topic_id_is_no_name() -> None:
    """Taken for one, it was refused when the log was opened, and the process died of it (seed 2002)."""
    ctx = written("abc")
    disk_of(ctx).corrupt("orders-0/partition.metadata", 3, 4)
    assert recover(ctx).claims(ctx.disk) == ([], True)
    _, replica = opened(ctx, recover(ctx))
    assert replica.log.end == 0
    assert any(name.endswith("-damaged/") for name in ctx.disk.list(""))


def test_a_directory_that_was_never_flushed_has_no_name_and_nothing_to_prove() -> None:
    ctx = written("abc")
    ctx.disk.delete("orders-0/partition.metadata")
    assert recover(ctx).claims(ctx.disk) == ([], False)


def test_a_nameless_directory_is_set_aside_when_its_place_is_needed() -> None:
    ctx = written("abc")
    ctx.disk.delete("orders-0/partition.metadata")
    assert opened(ctx)[1].log.end == 0


def test_what_is_not_a_partition_is_left_alone() -> None:
    ctx = Recording()
    ctx.disk.append("notes-1", b"a file")
    ctx.disk.append("stuff/x", b"a directory")
    recover(ctx)
    assert ctx.jobs == []
    assert ctx.disk.list("") == ["notes-1", "stuff/"]


def test_deletions_that_were_begun_are_finished() -> None:
    ctx = Recording()
    ctx.disk.append("orders-0.0123456789abcdef-delete/x", b"old")
    recover(ctx)
    assert ctx.disk.list("") == []


# --- Opening ---


def test_a_log_is_opened_with_what_was_found() -> None:
    ctx = written("abc")
    _, replica = opened(ctx)
    assert content(replica.log) == "abc"


def test_a_replica_is_opened_once() -> None:
    ctx = Recording()
    replicas, replica = opened(ctx)
    assert opened(ctx, replicas)[1] is replica


def test_a_new_log_says_whose_it_is() -> None:
    ctx = Recording()
    opened(ctx)
    assert topic_id_in(ctx.disk, "orders-0") == P0.topic


def test_a_directory_of_an_earlier_topic_of_that_name_is_set_aside() -> None:
    ctx = written("abc")
    _, replica = opened(ctx, topic=OTHER)
    assert replica.log.end == 0
    assert [name for name in ctx.disk.list("") if name.endswith("-damaged/")]
    assert topic_id_in(ctx.disk, "orders-0") == OTHER


def test_a_damaged_log_is_set_aside_and_the_replica_begins_anew() -> None:
    ctx = written("abc")
    damage(ctx)
    _, replica = opened(ctx)
    assert (replica.log.end, replica.hw) == (0, 0)
    [aside] = [name for name in ctx.disk.list("") if name.endswith("-damaged/")]
    assert ctx.disk.size(f"{aside}{0:020d}.log")


def test_damage_is_still_damage_after_a_checkpoint_and_another_start() -> None:
    """It passed for a torn tail then, and committed records were cut: found as P13 by the simulator."""
    ctx = written("abc")
    damage(ctx)
    recover(ctx).checkpoint(ctx.disk)  # not registered yet, so nothing is opened or set aside
    flush_disk(disk_of(ctx))
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 3}
    [claim], _ = recover(ctx).claims(ctx.disk)
    assert claim.damaged


def test_the_recovery_point_of_a_log_that_cannot_be_read_is_kept() -> None:
    ctx = written("abc")
    ctx.jobs.clear()
    replicas = Replicas()
    replicas.recover(False, ctx)
    replicas.on_job(JobDone(JobId(1), ctx.jobs[0], None, "Input/output error"))
    replicas.checkpoint(ctx.disk)
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 3}


def test_a_log_that_was_set_aside_is_not_read_again() -> None:
    ctx = written("abc")
    damage(ctx)
    opened(ctx)
    ctx.jobs.clear()
    recover(ctx)
    assert len(ctx.jobs) == 1


def test_the_high_watermark_is_remembered() -> None:
    ctx = written("abc")
    replicas, replica = opened(ctx)
    replica.hw = 2
    replicas.checkpoint(ctx.disk)
    assert opened(ctx)[1].hw == 2


# --- Recovery points ---


def test_a_checkpoint_says_what_is_durable_and_no_more() -> None:
    ctx = written("ab")
    replicas, replica = opened(ctx)
    replica.log.append(batch("c"), 0, WALL_MS)
    replicas.checkpoint(ctx.disk)
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 2}


def test_a_checkpoint_without_news_writes_nothing() -> None:
    ctx = written("ab")
    replicas, _ = opened(ctx)
    replicas.checkpoint(ctx.disk)
    before = ctx.disk.written
    replicas.checkpoint(ctx.disk)
    assert ctx.disk.written == before


def test_a_recovery_point_is_lowered_before_a_cut_below_it() -> None:
    ctx = written("abc")
    replicas, replica = opened(ctx)
    generation = replicas.lower(replica, 1, ctx.disk)
    assert generation is not None
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 1}


def test_a_recovery_point_that_is_low_enough_is_not_written() -> None:
    ctx = written("abc")
    replicas, replica = opened(ctx)
    assert replicas.lower(replica, 3, ctx.disk) is None
    assert replicas.lower(replica, 9, ctx.disk) is None


def test_a_checkpoint_does_not_raise_the_point_of_a_cut_that_waits() -> None:
    ctx = written("abc")
    replicas, replica = opened(ctx)
    what = image().partitions[P0]
    replica.log.synced(flush_disk(disk_of(ctx)))
    copying = replica.follow(what, partial(replicas.lower, replica, disk=ctx.disk))
    copying.diverged(0, 1)
    assert copying.cutting is not None
    replicas.checkpoint(ctx.disk)
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 1}


def test_a_power_loss_after_a_cut_leaves_no_damage() -> None:
    """The reason for all this: a log that ends below its recovery point would look damaged."""
    for seed in range(20):
        ctx = written("abcdef")
        disk = disk_of(ctx)
        disk._random.seed(seed)
        replicas, replica = opened(ctx)
        replica.log.synced(flush_disk(disk))
        replicas.checkpoint(disk)
        flush_disk(disk)
        copying = replica.follow(image().partitions[P0], partial(replicas.lower, replica, disk=disk))
        copying.diverged(0, 2)
        if seed % 2:
            copying.synced(flush_disk(disk))
        disk.power_loss()
        [claim] = recover(ctx).claims(disk)[0]
        assert claim.damaged == ""
        assert claim.end in (2, 6)


def test_a_quarantined_log_has_no_recovery_point_left() -> None:
    ctx = written("abc")
    replicas, _ = opened(ctx)
    replicas.quarantine(P0, ctx)
    _, replica = opened(ctx, replicas)
    replicas.checkpoint(ctx.disk)
    assert replica.log.end == 0
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 0}


# --- Deleting ---


def test_a_deleted_topic_leaves_nothing() -> None:
    ctx = written("abc")
    replicas, _ = opened(ctx)
    replicas.delete(P0, ctx)
    assert not [name for name in ctx.disk.list("") if name.startswith("orders")]
    assert replicas.open == {}


def test_strangers_are_removed_and_named() -> None:
    ctx = written("abc")
    replicas = recover(ctx)
    assert replicas.remove_strangers(MetadataImage(), ctx) == ["orders-0"]
    assert not [name for name in ctx.disk.list("") if name.startswith("orders")]


def test_what_the_metadata_names_is_no_stranger() -> None:
    ctx = written("abc")
    replicas, replica = opened(ctx)
    assert replicas.remove_strangers(image(), ctx) == []
    assert content(replica.log) == "abc"


def test_the_points_of_logs_that_nobody_has_opened_yet_are_kept() -> None:
    ctx = written("abc")
    recover(ctx).checkpoint(ctx.disk)
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 3}


def test_high_watermarks_are_written_too() -> None:
    ctx = written("abc")
    replicas, replica = opened(ctx)
    copying = replica.follow(image().partitions[P0], lambda offset: None)
    copying.take(FetchedPartition(P0, ErrorCode.NONE, 0, 2, 0, records=None))
    replicas.checkpoint(ctx.disk)
    assert read_offsets(ctx.disk, HIGH_WATERMARKS).offsets == {("orders", 0): 2}


# --- Another log of the same name ---


@pytest.mark.parametrize("loses_power", [False, True], ids=["kill", "power"])
@pytest.mark.parametrize("topic", [P0.topic, OTHER], ids=["moved back", "made again"])
@pytest.mark.parametrize("way", ["deleted", "quarantined", "removed as a stranger", "gone before a kill"])
def test_a_log_is_not_held_to_what_an_earlier_one_of_its_name_had_durable(
    way: str, topic: TopicId, loses_power: bool
) -> None:
    """Seed 30065: moved away and back, and killed before the next checkpoint, the new log looked damaged."""
    ctx = written("abcdef")
    disk = disk_of(ctx)
    replicas = recover(ctx)
    if way == "removed as a stranger":
        replicas.remove_strangers(MetadataImage(), ctx)
    elif way == "quarantined":
        opened(ctx, replicas)
        replicas.quarantine(P0, ctx)
    else:
        opened(ctx, replicas)
        replicas.delete(P0, ctx)
    if way == "gone before a kill":
        disk.crash()
        replicas = recover(ctx)
    _, replica = opened(ctx, replicas, topic)
    replica.log.append(batch("x"), 0, WALL_MS)
    replica.log.synced(flush_disk(disk))
    (disk.power_loss if loses_power else disk.crash)()
    [claim], _ = (replicas := recover(ctx)).claims(disk)
    assert (claim.partition.topic, claim.end, claim.damaged) == (topic, 1, "")
    assert content(opened(ctx, replicas, topic)[1].log) == "x"


def test_a_log_does_not_begin_with_the_high_watermark_of_an_earlier_one_of_its_name() -> None:
    ctx = written("abcdef")
    replicas, replica = opened(ctx)
    replica.hw = 6
    replicas.checkpoint(ctx.disk)
    replicas.delete(P0, ctx)
    _, replica = opened(ctx, replicas, OTHER)
    replica.log.append(batch("x"), 0, WALL_MS)
    replica.log.synced(flush_disk(disk_of(ctx)))
    disk_of(ctx).crash()
    _, replica = opened(ctx, topic=OTHER)
    assert (replica.log.end, replica.hw) == (1, 0)


def test_a_log_that_begins_leaves_what_the_files_say_of_others() -> None:
    ctx = written("abc")
    replicas = recover(ctx)
    what = image(OTHER)
    what.apply([TopicCreated(P0.topic, "else"), PartitionCreated(P0, [1], [1], 1)], what.end)
    replicas.ensure(what.partitions[P0], what, ctx)
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {("orders", 0): 3}
    opened(ctx, replicas, OTHER)
    assert read_offsets(ctx.disk, RECOVERY_POINTS).offsets == {}
