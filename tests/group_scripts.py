"""Golden scripts about groups: conversations with a coordinator, written down like those of brokers (`scripts`).

One line of output is an answer, one event, or one line of `status`. Members are `a`, `b`, those of the classic
protocol `p`, `q`: each speaks when it is told to, and remembers what it was answered. `nobody` is in no group.

    cluster [session=10000] [grace=1000] [members=1000] [retention=ms] [delay=0]
    join a orders [pens] [pattern=o.*] [assignor=range] [instance=i] [rebalance=5000] [grace=0] [wait=1000]
    beat a [epoch=3] [owns=3,4] [plan=a:0,1/b:2] [topics=pens]    owns: of orders, whatever it was told
    leave a [epoch=-2], close a           close: its connection
    enter p [instance=i] [protocols=range,sticky] [rebalance=30000]    JoinGroup, with an id if it must have one
    sync p [p=text q=text], pulse p, quit p
    commit a orders-0=5 [epoch=3], fetch orders-0
    describe, list, forget [offsets=orders-0]
    sleep ms, hold, release               hold: nothing is committed until `release`
    refuse ERROR, accept                  how the broker answers who wants to write
    lose, crash, begin                    another broker leads; it is killed; a coordinator begins a term
    topic pens=5, drop pens
    status
"""

from __future__ import annotations

import re
from pathlib import Path

from classic_scene import Classic
from group_scene import HOME, ORDERS, PENS, Member, Scene
from scripts import BadScript, obey

from barnabas.actors.classic_messages import JoinProtocol
from barnabas.actors.errors import ErrorCode
from barnabas.actors.group_messages import COORDINATORS_GRACE, GroupReply, Plan, PlanShare, TopicPartitions
from barnabas.actors.group_records import partitions_of
from barnabas.actors.group_settings import GroupSettings
from barnabas.actors.group_state import Group
from barnabas.actors.kernel import Event, Message
from barnabas.actors.messages import (
    CommitOffsets,
    DeleteGroup,
    DeleteOffsets,
    DescribeGroup,
    FetchOffsets,
    GroupDescribed,
    GroupHeartbeatDone,
    GroupJoined,
    GroupLeft,
    GroupsListed,
    GroupSynced,
    ListGroups,
    OffsetsCommitted,
    OffsetsDeleted,
    OffsetsFetched,
    Partition,
    TopicName,
)
from barnabas.actors.offset_messages import NewOffset

SCRIPTS = Path(__file__).parent / "scripts" / "groups"

_NAMES = {ORDERS.id: "orders", PENS.id: "pens"}


# --- The printed form ---


def place(partition: Partition) -> str:
    return f"{_NAMES[partition[0]]}-{partition[1]}"


def share(partitions: object) -> str:
    """`orders 0,1 pens 3`."""
    found: dict[str, list[str]] = {}
    for topic, index in sorted(partitions, key=place):  # type: ignore[call-overload]
        found.setdefault(_NAMES[topic], []).append(str(index))
    return " ".join(f"{topic} {','.join(indexes)}" for topic, indexes in found.items()) or "nothing"


def show(answer: Message) -> str:
    """What one answer says."""
    if isinstance(answer, GroupReply) and answer.error is not ErrorCode.NONE:
        return f"{answer.error.name}: {answer.reason}" if answer.reason else answer.error.name
    match answer:
        case GroupHeartbeatDone():
            owns = "" if answer.assigned is None else f", owns {share(partitions_of(answer.assigned))}"
            wanted = "" if answer.task is None else f", is asked to plan epoch {answer.task.group_epoch}"
            return f"member epoch {answer.member_epoch}{owns}{wanted}"
        case GroupJoined():
            members = "".join(f" {member.member}" for member in answer.members)
            members = f", members{members}" if members else ""
            assigns = ", need not assign" if answer.skip_assignment else ""
            return f"generation {answer.generation} by {answer.protocol}, led by {answer.leader}{members}{assigns}"
        case GroupSynced():
            return f"was given {answer.assignment.decode() or 'nothing'}"
        case GroupLeft():
            return ", ".join(f"{left.member} left" if not left.error else left.error.name for left in answer.members)
        case OffsetsCommitted() | OffsetsDeleted():
            return ", ".join(
                f"{place(each.partition)} {each.error.name + ': ' + each.reason if each.error else 'ok'}"
                for each in answer.partitions
            )
        case OffsetsFetched():
            return ", ".join(f"{place(each.partition)} {each.offset}" for each in answer.offsets)
        case GroupDescribed(picture=picture):
            assert picture is not None
            members = "; ".join(f"{each.member} has {share(partitions_of(each.assigned))}" for each in picture.members)
            return f"{picture.kind}, {picture.state}, led by {picture.leader or 'nobody'}; {members or 'no members'}"
        case GroupsListed():
            return ", ".join(f"{each.group} ({each.kind}, {each.state})" for each in answer.groups) or "no groups"
        case _:
            return "ok"


def told(event: Event) -> str:
    return f"* {event.sentence()}: {event.cause}"


def describe(group: Group) -> list[str]:
    lines = []
    if group.consumer is not None:
        value = group.consumer.value
        lines.append(f"group {group.name}: epoch {value.epoch}, assignment of epoch {value.assignment_epoch}")
        for name, member in group.consumer.members.items():
            gives = f", gives up {share(member.revoking)}" if member.revoking else ""
            what = f"{member.state.name.lower()} in epoch {member.epoch}, has {share(member.assigned)}{gives}"
            lines.append(f"  {name}: {what}, target {share(member.target)}")
    elif group.classic is not None:
        members = ", ".join(member.member for member in group.classic.members) or "nobody"
        lines.append(f"group {group.name}: generation {group.classic.generation}, written members: {members}")
    else:
        lines.append(f"group {group.name}: of no kind")
    lines += [f"  {place(partition)}: {value.offset}" for partition, value in sorted(group.offsets.items())]
    return lines


# --- Running ---


class GroupRun:
    """One run of one script."""

    def __init__(self) -> None:
        self._scene: Scene | None = None
        self.members: dict[str, Member] = {}
        self.classic: dict[str, Classic] = {}
        self._connections = 0
        self._seen = 0

    @property
    def scene(self) -> Scene:
        if self._scene is None:
            raise BadScript("a script begins with `cluster`")
        return self._scene

    def run(self, line: str) -> list[str]:
        """One command; what is to be printed."""
        printed = obey(self, line)
        scene = self.scene
        answers, self._seen = scene.answers[self._seen :], len(scene.answers)
        for member in self.members.values():
            if any(to == member.sender for to, _ in answers):
                member.hear(len(scene.answers) - len(answers))
        for classic in self.classic.values():
            classic.joined()
        lines = [f"{re.split('[#/]', to[1:])[0]}: {show(answer)}" for to, answer in answers]
        lines += [told(event) for event in scene.ctx.events]
        scene.ctx.events.clear()
        return [re.sub(r"\b([a-z]+)-[A-Za-z0-9_-]{22}(?![A-Za-z0-9_-])", r"\1", line) for line in [*lines, *printed]]

    def do_cluster(self, words: list[str], options: dict[str, str]) -> None:
        names = {
            "session": "session_ms",
            "grace": "grace_ms",
            "members": "max_members",
            "retention": "retention_ms",
            "delay": "join_delay_ms",
        }
        self._scene = Scene(GroupSettings(**{names[name]: int(value) for name, value in options.items()}))

    # --- Members ---

    def do_join(self, words: list[str], options: dict[str, str]) -> None:
        name, *topics = words
        said: dict[str, object] = {key: options[key] for key in ("pattern", "assignor", "instance") if key in options}
        if "rebalance" in options:
            said["rebalance_timeout_ms"] = int(options["rebalance"])
        said["grace_ms"] = int(options.get("grace", COORDINATORS_GRACE))
        said["client_id"] = name
        member = self.members.setdefault(name, Member(self.scene, name, topics, said))
        member.owned = frozenset()
        member.waits = int(options.get("wait", "1000"))
        self._speak(member, member_epoch=0)

    def do_beat(self, words: list[str], options: dict[str, str]) -> None:
        member = self.members[words[0]]
        said: dict[str, object] = {}
        if "epoch" in options:
            said["member_epoch"] = int(options["epoch"])
        if "topics" in options:
            said["topics"] = options["topics"].split(",")
        if "plan" in options:
            said["plan"] = self._plan(options["plan"])
        owned = member.owned
        if "owns" in options:
            member.owned = frozenset(Partition(ORDERS.id, int(index)) for index in options["owns"].split(","))
        self._speak(member, **said)
        member.owned = owned

    def do_leave(self, words: list[str], options: dict[str, str]) -> None:
        self._speak(self.members[words[0]], member_epoch=int(options.get("epoch", "-1")))

    def do_close(self, words: list[str], options: dict[str, str]) -> None:
        [name] = words
        who = self.members.get(name) or self.classic[name]
        self.scene.close(who.sender.partition("/")[0])
        self._connections += 1
        who.sender = f"@{name}#{self._connections}/client"

    def _speak(self, member: Member, **said: object) -> None:
        """`run` listens, so that an answer is heard once."""
        owned, epoch, heard = member.owned, member.epoch, member.heard
        member.beat(**said)
        member.owned, member.epoch, member.heard = owned, epoch, heard

    def _plan(self, text: str) -> Plan:
        shares = []
        for part in text.split("/"):
            name, _, indexes = part.partition(":")
            found = [int(index) for index in indexes.split(",") if index]
            shares.append(PlanShare(name, [TopicPartitions(ORDERS.id, found)] if found else []))
        value = self.scene.group().consumer
        assert value is not None
        return Plan(value.value.epoch, shares)

    # --- Members of the classic protocol ---

    def do_enter(self, words: list[str], options: dict[str, str]) -> None:
        [name] = words
        member = self.classic.get(name)
        if member is None or "instance" in options:
            names = options.get("protocols", "range").split(",")
            protocols = [JoinProtocol(each, each.encode()) for each in names]
            member = Classic(self.scene, name, instance=options.get("instance", ""), protocols=protocols)
            self.classic[name] = member
        said = {"rebalance_timeout_ms": int(options["rebalance"])} if "rebalance" in options else {}
        member.join(**said)

    def do_sync(self, words: list[str], options: dict[str, str]) -> None:
        shares = {self.classic[name].member: text.encode() for name, text in options.items()}
        self.classic[words[0]].sync(**shares)

    def do_pulse(self, words: list[str], options: dict[str, str]) -> None:
        self.classic[words[0]].beat()

    def do_quit(self, words: list[str], options: dict[str, str]) -> None:
        self.classic[words[0]].leave()

    # --- Offsets and people ---

    def do_commit(self, words: list[str], options: dict[str, str]) -> None:
        name = words[0]
        epoch, member = -1, ""
        if name in self.members:
            epoch, member = self.members[name].epoch, name
        elif name in self.classic:
            epoch, member = self.classic[name].generation, self.classic[name].member
        epoch = int(options.pop("epoch", str(epoch)))
        offsets = [NewOffset(self._place(key), int(value)) for key, value in options.items()]
        self.scene.hear(CommitOffsets(1, "g", -1, member, epoch, offsets), f"@{name}/client")

    def do_fetch(self, words: list[str], options: dict[str, str]) -> None:
        self._ask(FetchOffsets(1, "g", -1, [self._place(word) for word in words]))

    def do_describe(self, words: list[str], options: dict[str, str]) -> None:
        self._ask(DescribeGroup(1, "g", -1))

    def do_list(self, words: list[str], options: dict[str, str]) -> None:
        self._ask(ListGroups(1))

    def do_forget(self, words: list[str], options: dict[str, str]) -> None:
        if "offsets" in options:
            self._ask(DeleteOffsets(1, "g", -1, [self._place(options["offsets"])]))
        else:
            self._ask(DeleteGroup(1, "g", -1))

    def _ask(self, request: Message) -> None:
        self.scene.hear(request, "@nobody/client")

    def _place(self, word: str) -> Partition:
        topic, _, index = word.rpartition("-")
        known = {name: topic_id for topic_id, name in _NAMES.items()}
        return Partition(known[topic], int(index))

    # --- The broker ---

    def do_sleep(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.sleep(int(words[0]))

    def do_hold(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.held = True

    def do_release(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.held = False
        self.scene.commit()

    def do_refuse(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.refuses = ErrorCode[words[0]]

    def do_accept(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.refuses = ErrorCode.NONE

    def do_lose(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.lose()

    def do_crash(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.crash()

    def do_begin(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.held = False
        self.scene.begin()
        self.scene.sleep(1)

    def do_topic(self, words: list[str], options: dict[str, str]) -> None:
        [(name, count)] = options.items()
        known = {ORDERS.name: ORDERS, PENS.name: PENS}[name]
        self.scene.move(TopicName(known.id, name, int(count)))

    def do_drop(self, words: list[str], options: dict[str, str]) -> None:
        self.scene.move(deleted=[{ORDERS.name: ORDERS, PENS.name: PENS}[words[0]]])

    def do_status(self, words: list[str], options: dict[str, str]) -> list[str]:
        shard = self.scene.groups.shards.get(HOME)
        if shard is None:
            return ["this broker coordinates nothing"]
        lines = [line for group in shard.groups.values() for line in describe(group)]
        return lines or ["no groups"]
