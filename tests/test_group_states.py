"""State is a pure function of the log: whatever has been said, another coordinator reads the same out of it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from classic_scene import RANGE, STICKY, Classic
from group_scene import HOME, ORDERS, PENS, Scene

from barnabas.actors.coordinator_log_messages import TermBegan
from barnabas.actors.group_state import Group, GroupStates
from barnabas.actors.internal_topics import GROUP_OFFSETS
from barnabas.actors.messages import DeleteGroup, DeleteOffsets, Partition, TopicName
from barnabas.actors.offset_messages import NewOffset

STEPS = 120


def seen(states: GroupStates) -> dict[str, object]:
    """Everything that a coordinator's successor must know."""

    def of(group: Group) -> object:
        consumer = group.consumer
        shape = None if consumer is None else (consumer.value, consumer.members, consumer.owners, consumer.static)
        return shape, [] if consumer is None else list(consumer.members), group.classic, group.offsets

    return {name: of(group) for name, group in states.groups.items()}


class Talk:
    """Members of a group of either protocol, and people, who say whatever comes to their minds."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.scene = Scene()
        self.classic: list[Classic] = []
        self.said: list[str] = []

    def say(self) -> None:
        speaking = (self.join, self.beat, self.beat, self.beat, self.leave, self.commit)
        others = (self.enter, self.sync, self.quit, self.reset, self.delete, self.wait, self.grow)
        chosen: Callable[[], None] = self.random.choice((*speaking, *others))
        self.said.append(chosen.__name__)
        chosen()

    def join(self) -> None:
        name = f"m{len(self.scene.members)}"
        topics = self.random.sample(("orders", "pens"), self.random.randint(1, 2))
        assignor = self.random.choice(("uniform", "range", "leader"))
        said = {"assignor": assignor, "wait_ms": self.random.choice((0, 1_000))}
        if self.random.random() < 0.3:
            said["instance"] = f"i{self.random.randrange(2)}"
        self.scene.member(name, *topics, **said)

    def beat(self) -> None:
        for member in self.scene.members.values():
            if self.random.random() < 0.6:
                member.hear()
                member.beat()

    def leave(self) -> None:
        for member in list(self.scene.members.values())[-2:]:
            member.beat(member_epoch=self.random.choice((-1, -1, -2)))

    def commit(self) -> None:
        index = self.random.randrange(4)
        for member in self.scene.members.values():
            self.scene.commit_offset(self.random.randrange(100), PENS, index, member=member.name, epoch=member.epoch)
        for member in self.classic:
            member.commit(self.random.randrange(100))

    def enter(self) -> None:
        if len(self.classic) < 3:
            protocols = [RANGE, STICKY] if self.random.random() < 0.5 else [RANGE]
            instance = self.random.choice(("", "", "s"))
            self.classic.append(Classic(self.scene, f"k{len(self.classic)}", instance=instance, protocols=protocols))
        self.random.choice(self.classic).join()

    def sync(self) -> None:
        for member in self.classic:
            member.joined()
            member.sync(**{each.member: each.name.encode() for each in self.classic if each.member})

    def quit(self) -> None:
        for member in self.classic[:2]:
            member.leave()

    def reset(self) -> None:
        partition = self.random.choice((ORDERS, PENS))
        self.scene.commit_offset(0, partition, 1, offsets=[NewOffset(Partition(partition.id, 1), 0, -1, "again")])

    def delete(self) -> None:
        if self.random.random() < 0.3:
            self.scene.hear(DeleteGroup(1, "g", -1), "@people/client")
        else:
            self.scene.hear(DeleteOffsets(1, "g", -1, [Partition(PENS.id, 1)]), "@people/client")

    def wait(self) -> None:
        self.scene.sleep(self.random.choice((100, 1_000, 12_000)))

    def grow(self) -> None:
        count = self.scene.topics[PENS.id].partitions + 1
        self.scene.move(TopicName(PENS.id, "pens", count))


@pytest.mark.parametrize("seed", range(12))
def test_another_coordinator_reads_the_same_out_of_the_log(seed: int) -> None:
    talk = Talk(seed)
    sizes = set()
    for step in range(STEPS):
        talk.say()
        before = seen(talk.scene.shard.states)
        sizes.add(len(talk.scene.batches))
        fresh = GroupStates()
        for _, _, batch in talk.scene.batches:
            fresh.load(memoryview(batch))
        assert seen(fresh) == before, f"after {talk.said}"
        if step % 20 == 19:
            talk.scene.begin()  # and it goes on from there
            while not talk.scene.shard.log.loaded:
                talk.scene.sleep(1)
    assert len(sizes) > 8, "hardly anything was decided"


def test_a_log_that_ends_in_a_hole_is_read_to_its_end() -> None:
    """Compaction has taken the last records (KAFKA-9065)."""
    scene = Scene()
    scene.commit_offset(3)
    scene.commit_offset(4, index=1)
    end = scene.end
    scene.lose()
    scene.batches.pop()
    scene.hw = end
    scene.epoch += 1
    scene.ctx.timers.clear()
    scene.hear(TermBegan(GROUP_OFFSETS, HOME, scene.epoch, 0, end))
    scene.sleep(50)
    assert scene.shard.log.loaded
    assert scene.offset() == 3
