"""At whom a blow is aimed: a node by its id, or by what it is at that moment.

    2                    node 2                          controller         where the active controller is
    leader:orders/0      who leads that partition        follower:orders/0  who is in sync there and does not lead
    replica:orders/0     who has it and does not lead    broker             a node that is no controller
    coordinator:billing  who is in charge of that group
    random               any node that lives

Of several that fit, chance chooses.
"""

from __future__ import annotations

import time
from contextlib import suppress
from random import Random
from typing import NamedTuple

from ...actors.internal_topics import GROUP_OFFSETS, partition_of
from ...actors.messages import Described
from ...client import Admin
from ...client.errors import BarnabasError
from ...cluster.blows import Arena
from ...cluster.formatting import ClusterRefused
from ..arguments import WrongUsage
from ..places import place

KINDS = "leader:, follower: or replica:TOPIC/PARTITION, coordinator:GROUP, controller, broker or random"
EXPECTED = f"expected a node's id, {KINDS}"
PATIENCE = 10.0  # seconds in which a leader is elected


class Target(NamedTuple):
    """What a text means. `kind` is node, controller, leader, follower, replica, coordinator, broker or random."""

    kind: str
    node: int = 0
    topic: str = ""
    partition: int = 0
    group: str = ""


def parse(text: str) -> Target | str:
    """The target, or a sentence that says what is wrong."""
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return Target("node", int(text))
    if text in ("controller", "broker", "random"):
        return Target(text)
    kind, _, rest = text.partition(":")
    if kind == "coordinator" and rest:
        return Target(kind, group=rest)
    if kind in ("leader", "follower", "replica"):
        with suppress(WrongUsage):
            return Target(kind, 0, *place(rest))
    return f"`{text}` is no target, {EXPECTED}"


def resolve(target: Target, arena: Arena, admin: Admin, chance: Random) -> int:
    """The node that is meant now. Waits a while for a leader or a controller. Raises ClusterRefused."""
    if target.kind == "node":
        return target.node
    alive = sorted(node for node, process in arena.alive().items() if process.state() == "running")
    if target.kind in ("broker", "random"):
        controllers = {node.id for node in arena.formatted.config.controllers}
        fitting = [node for node in alive if target.kind == "random" or node not in controllers]
        if not fitting:
            raise ClusterRefused(f"there is no {'living node' if target.kind == 'random' else 'node of that kind'}.")
        return chance.choice(fitting)
    deadline = time.monotonic() + PATIENCE
    while True:
        fitting = [node for node in _fitting(target, admin) if node in alive]
        if fitting:
            return chance.choice(fitting)
        if time.monotonic() > deadline:
            raise ClusterRefused(f"there is no {_words(target)} within {PATIENCE:g} s.")
        time.sleep(0.05)  # elections tell nobody who only asks
        alive = sorted(arena.alive())


def _fitting(target: Target, admin: Admin) -> list[int]:
    try:
        picture = admin.describe_cluster(timeout=2.0)
    except BarnabasError:
        return []
    if target.kind == "controller":
        return [picture.controller]
    if target.kind == "coordinator":
        logs = [topic for topic in picture.topics if topic.name == GROUP_OFFSETS]
        if not logs:
            return []  # nobody has asked for a coordinator yet
        target = Target("leader", 0, GROUP_OFFSETS, partition_of(target.group, len(logs[0].partitions)))
    return _of_partition(target, picture)


def _of_partition(target: Target, picture: Described) -> list[int]:
    for topic in picture.topics:
        for partition in topic.partitions:
            if (topic.name, partition.index) == (target.topic, target.partition):
                if target.kind == "leader":
                    return [partition.leader]
                among = partition.isr if target.kind == "follower" else partition.replicas
                return [node for node in among if node != partition.leader]
    raise ClusterRefused(f"there is no partition {target.topic}/{target.partition}: `barnabas topic list` has topics.")


def _words(target: Target) -> str:
    where = f" of {target.topic}/{target.partition}" if target.topic else f" of {target.group}" if target.group else ""
    return f"{'active controller' if target.kind == 'controller' else target.kind}{where}"
