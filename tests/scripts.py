"""Golden scripts: conversations of brokers, written down as commands and what came of them.

A script opens with a comment that says what it shows. Then come blocks: commands, a line `---`, and the recorded
output. `REWRITE=1 pytest tests/test_scripts.py` records; without it the output must be what was recorded. One line is
one message as it is *sent*, one event, or one line of `status`; the form is short, so that a change of the protocol
does not rewrite every script. Values of records are letters: `a/0` is the record `a` of leader epoch 0.

    cluster brokers=3 isr=b1,b2 min=2     b1 .. b3, topic orders on all of them, b1 leads in epoch 0; configs by name
    append a b [to=b1] [acks=1] [pid=7 seq=0] [partition=0]
    consume [from=b1] [offset=0] [wait=100], latest [from=b1]
    delete offset=2 [from=b1] [timeout=30000]   records below that offset
    deliver b2, drop b2, duplicate b2     the oldest message that is on its way to b2 (or `c`, the controller)
    settle                                deliver and sync until all is quiet; says nothing
    sync b1, tick b1 ms=80, pause b1 ms=80
    crash b1, power b1, start b1          kill -9, loss of power, start
    elect b2 epoch=1 isr=b2,b3 [only=b2]  the controller decides; with `only` the others hear of it by `metadata`
    isr b1,b2 [only=b2], metadata b1, deaf b1, mute b1
    corrupt b2 offset=1, lie b2           one bit of that record changes on disk; flushes do nothing from now on
    status
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from script_world import TOPIC, WALL_MS, Letter, ScriptWorld

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Event, Message, Payload
from barnabas.actors.messages import (
    LATEST,
    AlterPartition,
    Consume,
    Consumed,
    ConsumedPartition,
    ConsumePartition,
    DeletePartition,
    DeleteRecords,
    Fetch,
    Fetched,
    FetchedPartition,
    FindOffsets,
    OffsetQuery,
    OffsetsFound,
    Partition,
    PartitionsAltered,
    Produce,
    ProduceBatch,
    Produced,
    RecordsDeleted,
    ReportDamage,
    Synced,
)
from barnabas.actors.replica import Replica
from barnabas.storage.log import CorruptLog, Log
from barnabas.storage.records import Record, decode_batch, encode_batch, iter_headers

SCRIPTS = Path(__file__).parent / "scripts"


class BadScript(Exception):
    """The script itself is wrong: the text says where."""


# --- The printed form ---


def values(data: bytes | bytearray | memoryview) -> str:
    """`a/0 b/0`: each record with the leader epoch of its batch."""
    view = memoryview(bytes(data))
    found = []
    for position, header in iter_headers(view):
        batch = decode_batch(view[position : position + header.size])
        found += [f"{(record.value or b'').decode()}/{header.leader_epoch}" for record in batch]
    return " ".join(found)


def names(brokers: list[int] | tuple[int, ...]) -> str:
    return ",".join(f"b{broker}" for broker in brokers) or "nobody"


def show(message: Message) -> str:
    """One line per message."""
    kind = type(message).__name__
    match message:
        case Fetch(wanted=wanted, forgotten=forgotten, sequence=sequence):
            parts = [
                f"{_name(part.partition)}: epoch {part.leader_epoch}, from {part.offset} after epoch {part.last_epoch},"
                f" durable {part.durable}, hw {part.hw}" + (f", start {part.log_start}" if part.log_start > 0 else "")
                for part in wanted
            ] + [f"{_name(partition)}: no more" for partition in forgotten]
            kind = "Fetch" if sequence else "Fetch (new session)"
            return f"{kind} {'; '.join(parts) or 'as before'}"
        case Fetched(error=error, partitions=parts):
            answers = "; ".join(map(_fetched, parts)) or "nothing new"
            return f"{kind} {error.name if error else answers}"
        case Synced(partitions=parts):
            return f"{kind} " + "; ".join(
                f"{_name(part.partition)}: epoch {part.leader_epoch}, durable {part.durable}" for part in parts
            )
        case AlterPartition(changes=changes):
            return f"{kind} " + "; ".join(
                f"{_name(change.partition)}: epoch {change.leader_epoch}, partition epoch {change.partition_epoch},"
                f" isr {names([broker for broker, _ in change.isr])}"
                for change in changes
            )
        case PartitionsAltered(results=results):
            return f"{kind} " + "; ".join(
                f"{_name(result.partition)}: {result.error.name + ', ' if result.error else ''}"
                f"partition epoch {result.partition_epoch}, isr {names(result.isr)}"
                for result in results
            )
        case ReportDamage(partition=partition, leader_epoch=epoch):
            return f"{kind} {_name(partition)}: epoch {epoch}"
        case Produced(batches=batches):
            return f"{kind} " + "; ".join(
                f"{_name(batch.partition)}: " + (_error(batch.error, batch.reason) or f"offset {batch.base_offset}")
                for batch in batches
            )
        case Consumed(partitions=read):
            return f"{kind} " + "; ".join(map(_consumed, read))
        case RecordsDeleted(partitions=deleted):
            return f"{kind} " + "; ".join(
                f"{_name(part.partition)}: " + (_error(part.error, part.reason) or f"begins at {part.log_start}")
                for part in deleted
            )
        case OffsetsFound(offsets=offsets):
            return f"{kind} " + "; ".join(_error(found.error) or str(found.offset) for found in offsets)
        case _:
            return kind


def _fetched(part: FetchedPartition) -> str:
    what = f"{_name(part.partition)}: epoch {part.leader_epoch}"
    if part.error:
        return f"{what}, {part.error.name}"
    if part.diverging is not None:
        return f"{what}, diverging at the end of epoch {part.diverging[0]}: {part.diverging[1]}"
    start = f", start {part.log_start}" if part.log_start > 0 else ""
    return f"{what}, [{_records(part.records)}], hw {part.hw}{start}"


def _consumed(part: ConsumedPartition) -> str:
    if part.error is ErrorCode.OFFSET_OUT_OF_RANGE:
        return f"{_name(part.partition)}: {part.error.name}, it has {part.log_start} to {part.hw}"
    return f"{_name(part.partition)}: " + (_error(part.error) or f"[{_records(part.records)}], hw {part.hw}")


def _records(records: Payload | None) -> str:
    return "" if records is None else values(records.data)


def _error(error: ErrorCode, reason: str = "") -> str:
    return "" if error is ErrorCode.NONE else error.name + (f" ({reason})" if reason else "")


def _name(partition: Partition) -> str:
    return f"orders-{partition[1]}"


def told(what: Letter | tuple[str, Event]) -> str:
    if isinstance(what, Letter):
        return f"{what.source} -> {what.target} {show(what.envelope.body)}"
    _, event = what
    return "* " + re.sub("[0-9a-f]{16}", "...", f"{event.sentence()}: {event.cause}")


def describe(name: str, replica: Replica) -> str:
    log = replica.log
    epochs = " ".join(f"{epoch}@{start}" for epoch, start in log.epochs.entries) or "none"
    what = f"{_name(replica.partition)} [{_content(log)}]"
    what += f", begins at {log.start}" if log.start else ""
    what += f", durable {log.durable_end}, hw {replica.hw}, epochs {epochs}"
    if (leading := replica.leading) is not None:
        proposed = "" if leading.proposal is None else f", proposed {names([b for b, _ in leading.proposal.isr])}"
        return f"{name} leads epoch {replica.leader_epoch}: {what}, isr {names(leading.isr)}{proposed}"
    role = f"follows b{replica.leader} in" if replica.copying is not None else "waits in"
    return f"{name} {role} epoch {replica.leader_epoch}: {what}"


def _content(log: Log) -> str:
    batches = []
    offset = log.start
    try:
        while offset < log.end:
            data = log.read(offset, 1 << 20, limit=log.end)
            batches.append(values(data))
            *_, (_, last) = iter_headers(data)
            offset = last.next_offset
    except CorruptLog:
        batches.append("...")
    return " ".join(batches)


# --- Running ---


def obey(run: object, line: str) -> list[str]:
    """Have a run do one command, with its words and its options; what that printed."""
    command, *rest = line.split()
    options = dict(word.split("=", 1) for word in rest if "=" in word)
    words = [word for word in rest if "=" not in word]
    method: Callable[[list[str], dict[str, str]], list[str] | None] | None = getattr(run, f"do_{command}", None)
    if method is None:
        raise BadScript(f"there is no command {command!r}")
    return method(words, options) or []


class Run:
    """One run of one script."""

    def __init__(self) -> None:
        self._world: ScriptWorld | None = None
        self.requests = 0

    @property
    def world(self) -> ScriptWorld:
        if self._world is None:
            raise BadScript("a script begins with `cluster`")
        return self._world

    def run(self, line: str) -> list[str]:
        """One command; what is to be printed."""
        printed = obey(self, line)
        lines = [told(what) for what in self.world.told]
        self.world.told.clear()
        return [*lines, *printed]

    def do_cluster(self, words: list[str], options: dict[str, str]) -> None:
        brokers = int(options.get("brokers", "2"))
        everybody = list(range(1, brokers + 1))
        self._world = world = ScriptWorld(brokers)
        isr = _brokers(options["isr"]) if "isr" in options else everybody
        configs = {"min.insync.replicas": options.get("min", "1"), "durability": options.get("durability", "fsync")}
        configs |= {name: value for name, value in options.items() if "." in name}
        for name in world.machines:
            world.start(name)
        world.create(everybody, isr, 1, int(options.get("partitions", "1")), configs)

    def do_append(self, words: list[str], options: dict[str, str]) -> None:
        records = [Record(None, word.encode(), (), WALL_MS) for word in words]
        pid, sequence = int(options.get("pid", "-1")), int(options.get("seq", "-1"))
        epoch = 0 if pid >= 0 else -1
        data = encode_batch(records, producer_id=pid, producer_epoch=epoch, base_sequence=sequence)
        acks = {"all": -1}.get(options.get("acks", "all")) or int(options["acks"])
        self.requests += 1
        batch = ProduceBatch(self._partition(options), -1, Payload(data))
        self.world.ask(options.get("to", "b1"), Produce(self.requests, acks, 30_000, [batch]))

    def do_consume(self, words: list[str], options: dict[str, str]) -> None:
        self.requests += 1
        part = ConsumePartition(self._partition(options), -1, int(options.get("offset", "0")), 1 << 20)
        wait = int(options.get("wait", "0"))
        self.world.ask(options.get("from", "b1"), Consume(self.requests, wait, 1, 1 << 20, [part]))

    def do_latest(self, words: list[str], options: dict[str, str]) -> None:
        self.requests += 1
        query = OffsetQuery(self._partition(options), -1, LATEST)
        self.world.ask(options.get("from", "b1"), FindOffsets(self.requests, [query]))

    def do_delete(self, words: list[str], options: dict[str, str]) -> None:
        self.requests += 1
        part = DeletePartition(self._partition(options), -1, int(options["offset"]))
        request = DeleteRecords(self.requests, int(options.get("timeout", "30000")), [part])
        self.world.ask(options.get("from", "b1"), request)

    def do_deliver(self, words: list[str], options: dict[str, str]) -> None:
        self.world.arrive(self._next(words[0]))

    def do_drop(self, words: list[str], options: dict[str, str]) -> list[str]:
        letter = self._next(words[0])
        return [f"lost: {told(letter)}"]

    def do_duplicate(self, words: list[str], options: dict[str, str]) -> None:
        letter = self._next(words[0])
        self.world.queue.append(letter)
        self.world.arrive(letter)

    def do_settle(self, words: list[str], options: dict[str, str]) -> None:
        world = self.world
        for _ in range(1000):
            living = [name for name, machine in world.machines.items() if machine.node is not None]
            dirty = [name for name in living if world.machines[name].disk.dirty()]
            if not world.queue and not dirty:
                world.told.clear()
                return
            while world.queue:
                world.arrive(world.queue.pop(0))
            for name in dirty:
                world.sync(name)
        raise BadScript("it does not settle")

    def do_sync(self, words: list[str], options: dict[str, str]) -> None:
        self.world.sync(words[0])

    def do_tick(self, words: list[str], options: dict[str, str]) -> None:
        self.world.tick(words[0], int(options["ms"]))

    def do_pause(self, words: list[str], options: dict[str, str]) -> None:
        self.world.pause(words[0], int(options["ms"]))

    def do_crash(self, words: list[str], options: dict[str, str]) -> None:
        self.world.crash(words[0], power=False)

    def do_power(self, words: list[str], options: dict[str, str]) -> None:
        self.world.crash(words[0], power=True)

    def do_start(self, words: list[str], options: dict[str, str]) -> None:
        self.world.start(words[0])

    def do_elect(self, words: list[str], options: dict[str, str]) -> None:
        isr = _brokers(options["isr"])
        [leader] = _brokers(words[0])
        self.world.controller.change(self._partition(options).index, leader, int(options["epoch"]), isr)
        self._told_only(options)

    def do_isr(self, words: list[str], options: dict[str, str]) -> None:
        state = self.world.controller.image.partitions[self._partition(options)]
        self.world.controller.change(state.partition.index, state.leader, state.leader_epoch, _brokers(words[0]))
        self._told_only(options)

    def _told_only(self, options: dict[str, str]) -> None:
        if "only" in options:
            for name, machine in self.world.machines.items():
                machine.deaf = name not in options["only"].split(",")
        self.world.broadcast()

    def do_metadata(self, words: list[str], options: dict[str, str]) -> None:
        self.world.machines[words[0]].deaf = False
        self.world.metadata(words[0])

    def do_deaf(self, words: list[str], options: dict[str, str]) -> None:
        self.world.machines[words[0]].deaf = True

    def do_mute(self, words: list[str], options: dict[str, str]) -> None:
        self.world.machines[words[0]].mute = True

    def do_corrupt(self, words: list[str], options: dict[str, str]) -> None:
        disk, offset = self.world.machines[words[0]].disk, int(options["offset"])
        path = f"orders-{self._partition(options).index}/{0:020d}.log"
        content = disk.read(path, 0, disk.size(path) or 0)
        for position, header in iter_headers(content):
            if header.base_offset <= offset <= header.last_offset:
                disk.corrupt(path, position + header.size - 1, 0)

    def do_lie(self, words: list[str], options: dict[str, str]) -> None:
        self.world.machines[words[0]].disk.lying_fsync = True

    def do_status(self, words: list[str], options: dict[str, str]) -> list[str]:
        lines = []
        for name, machine in self.world.machines.items():
            if machine.node is None:
                lines.append(f"{name} is down")
                continue
            replicas = machine.broker.replicas
            lines += [describe(name, replicas[partition]) for partition in sorted(replicas)]
        return lines

    def _next(self, target: str) -> Letter:
        for place, letter in enumerate(self.world.queue):
            if letter.target == target:
                return self.world.queue.pop(place)
        raise BadScript(f"nothing is on its way to {target}")

    def _partition(self, options: dict[str, str]) -> Partition:
        return Partition(TOPIC, int(options.get("partition", "0")))


def _brokers(words: str) -> list[int]:
    return [int(word.removeprefix("b")) for word in words.split(",")]


# --- Files ---


class Runner(Protocol):
    """What runs the commands of a script."""

    def run(self, line: str) -> list[str]: ...


def play(text: str, runner: Callable[[], Runner] = Run) -> str:
    """Run a script; its text with the output that it really has."""
    run = runner()
    written = []
    for number, block in enumerate(re.split(r"\n{2,}", text.strip())):
        lines = block.split("\n")
        comments = [line for line in lines if line.startswith("#")]
        commands = [line for line in lines[: lines.index("---")] if line not in comments] if "---" in lines else []
        if not commands:
            if len(comments) < len(lines):
                raise BadScript(f"block {number + 1} has no `---`: {lines[0]!r}")
            written.append(block)
            continue
        printed = [output for command in commands for output in run.run(command)]
        written.append("\n".join([*comments, *commands, "---", *(printed or ["ok"])]))
    return "\n\n".join(written) + "\n"


def goes_another_way(text: str, runner: Callable[[], Runner] = Run) -> bool:
    """Whether a script does not say what is written down, or cannot even be played to its end."""
    try:
        return play(text, runner) != text
    except (AssertionError, BadScript):
        return True
