"""The shell's own duties: time, durability, jobs, telling from other threads, and every way to end."""

from __future__ import annotations

import os
import queue
import signal
import threading
from pathlib import Path
from random import Random

import msgspec
import pytest
from shells import ANY_PORT, LIMIT, Do, Mailbox, beat, start

from barnabas.actors.kernel import Address, Context, Incarnation, Timer
from barnabas.actors.node import Node
from barnabas.storage.disk import Reader, StorageError
from barnabas.storage.memory import MemoryDisk, MemoryFlush
from barnabas.storage.real import RealDisk
from barnabas.transport.errors import TransportError
from barnabas.transport.process import CLIENT, Ended, Ending, Shell


class Tick(Timer, frozen=True):
    number: int


class SlowDisk(MemoryDisk):
    """A disk whose flushes wait for the test."""

    def __init__(self) -> None:
        super().__init__(Random(1))
        self.flushing = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)

    def start_flush(self) -> MemoryFlush:
        flush = super().start_flush()
        assert isinstance(flush, MemoryFlush)
        run = flush.run

        def slowly() -> None:
            self.flushing.release()
            assert self.go_on.acquire(timeout=LIMIT)
            run()

        flush.run = slowly  # type: ignore[method-assign]
        return flush


def silent(*_: object) -> None:
    """Nowhere."""


# --- Time ---


def test_timers_fire_in_the_order_of_their_deadlines_and_not_too_early() -> None:
    with start() as node:
        began = node.look(lambda ctx: ctx.now)
        for number, delay in enumerate((40, 1, 20)):
            node.do(lambda ctx, number=number, delay=delay: ctx.set_timer(Tick(number), delay))
        assert [node.box.timers.get(timeout=LIMIT) for _ in range(3)] == [Tick(1), Tick(2), Tick(0)]
        assert node.look(lambda ctx: ctx.now) >= began + 40


def test_an_earlier_timer_is_not_kept_waiting_by_a_later_one() -> None:
    with start() as node:
        node.do(lambda ctx: ctx.set_timer(Tick(1), 3_600_000))
        node.do(lambda ctx: ctx.set_timer(Tick(2), 1))
        assert node.box.timers.get(timeout=LIMIT) == Tick(2)


# --- Durability ---


def test_what_must_wait_for_durability_leaves_only_then_and_nothing_else_waits() -> None:
    disk = SlowDisk()
    with start(bind=ANY_PORT) as server, start(disk=disk) as node:

        def write(ctx: Context) -> None:
            generation = ctx.disk.append("log", b"x")
            ctx.send(server.broker, beat(1), after=generation)
            ctx.send(server.broker, beat(2))

        node.do(write)
        assert disk.flushing.acquire(timeout=LIMIT)
        assert server.box.hear()[1] == beat(2)
        disk.go_on.release()
        assert server.box.hear()[1] == beat(1)
        assert node.box.generations.get(timeout=LIMIT) == 1


def test_what_was_written_during_a_flush_is_flushed_next_in_one_go() -> None:
    disk = SlowDisk()
    with start(disk=disk) as node:
        node.do(lambda ctx: ctx.disk.append("log", b"1"))
        assert disk.flushing.acquire(timeout=LIMIT)
        node.do(lambda ctx: ctx.disk.append("log", b"2"))
        assert node.look(lambda ctx: ctx.disk.append("log", b"3")) == 3
        disk.go_on.release(2)
        assert node.box.generations.get(timeout=LIMIT) == 1
        assert node.box.generations.get(timeout=LIMIT) == 3


def test_a_flush_of_real_files_is_reported(tmp_path: Path) -> None:
    with start(disk=RealDisk(tmp_path)) as node:
        node.do(lambda ctx: ctx.disk.append("log", b"x"))
        assert node.box.generations.get(timeout=LIMIT) == 1
        assert node.look(lambda ctx: ctx.disk.synced) == 1


# --- Jobs ---


class Measure(msgspec.Struct, frozen=True):
    path: str
    name: str = "measure"

    def run(self, reader: Reader) -> object:
        return reader.read(self.path, 0, 100), threading.current_thread().name


@pytest.mark.parametrize("real", [True, False])
def test_a_job_reads_files_and_its_result_comes_back(real: bool, tmp_path: Path) -> None:
    with start(disk=RealDisk(tmp_path) if real else None) as node:
        node.do(lambda ctx: ctx.disk.append("log", b"abc"))
        job = Measure("log")
        assert node.look(lambda ctx: ctx.submit(job)) > 0
        done = node.box.jobs.get(timeout=LIMIT)
        assert isinstance(done.result, tuple)
        data, thread = done.result
        assert (done.job, done.error, data) == (job, None, b"abc")
        assert thread.startswith("job") == real


@pytest.mark.parametrize("real", [True, False])
def test_a_job_that_cannot_read_has_failed_with_a_sentence(real: bool, tmp_path: Path) -> None:
    with start(disk=RealDisk(tmp_path) if real else None) as node:
        node.do(lambda ctx: ctx.submit(Measure("nothing")))
        assert "nothing" in str(node.box.jobs.get(timeout=LIMIT).error)


class Broken(msgspec.Struct, frozen=True):
    name: str = "broken"

    def run(self, reader: Reader) -> object:
        raise AssertionError("a bug in a job")


@pytest.mark.parametrize("real", [True, False])
def test_a_bug_in_a_job_ends_the_node(real: bool, tmp_path: Path) -> None:
    with start(disk=RealDisk(tmp_path) if real else None, ends=Ending.BUG, log=silent) as node:
        node.do(lambda ctx: ctx.submit(Broken()))
        assert node.wait().reason == "AssertionError: a bug in a job"


# --- From other threads ---


def test_what_many_threads_tell_arrives_whole_and_each_in_its_order() -> None:
    with start() as node:

        def talk(thread: int) -> None:
            for number in range(2_000):
                node.shell.tell("broker", beat(thread * 10_000 + number))

        threads = [threading.Thread(target=talk, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        heard = [node.box.hear()[1].sequence for _ in range(8_000)]
        for thread in threads:
            thread.join()
    for thread in range(4):
        assert [n for n in heard if n // 10_000 == thread] == [thread * 10_000 + n for n in range(2_000)]


def test_what_is_told_before_the_start_is_heard_and_after_the_end_it_is_not() -> None:
    box = Mailbox()
    random = Random(1)
    node = Node(CLIENT, Incarnation(1), MemoryDisk(random), random, {"broker": box})
    shell = Shell(node)
    shell.tell("broker", beat(1))
    shell.tell("broker", Do(lambda ctx: ctx.stop("enough")))
    assert shell.run() == Ended(Ending.STOPPED, "enough")
    shell.tell("broker", beat(2))
    shell.close()
    assert box.hear()[1] == beat(1)
    assert box.heard.empty()


# --- Watching over handlers ---


def test_a_slow_handler_is_reported_by_what_it_was_given() -> None:
    reports: queue.Queue[tuple[str, float]] = queue.Queue()
    hold = threading.Event()
    with start(on_slow=lambda what, seconds: reports.put((what, seconds))) as node:
        node.do(lambda ctx: hold.wait(0.05))
        what, seconds = reports.get(timeout=LIMIT)
        assert what == "Do"
        assert seconds >= 0.05


# --- Beginning and ending ---


def test_the_port_is_open_before_the_actors_start() -> None:
    endpoints: list[str] = []

    class Early(Mailbox):
        def on_start(self, ctx: Context) -> None:
            endpoints.append(ctx.me)
            ctx.send(Address(f"{ctx.me}"), beat(1))

    with start(Early(), bind=ANY_PORT) as node:
        assert node.box.hear()[1] == beat(1)
        assert endpoints == [node.broker]
        assert not node.endpoint.endswith("*")


def test_a_taken_port_is_refused_in_a_sentence_and_no_actor_starts() -> None:
    made: list[str] = []

    def make(endpoint: str) -> Node:
        made.append(endpoint)
        raise AssertionError("it was not to be made")

    with start(bind=ANY_PORT) as node, pytest.raises(TransportError, match=f"{node.endpoint}: Address already in use"):
        Shell(make, bind=node.endpoint).run()
    assert not made


@pytest.mark.parametrize(
    "place", ["tcp://0.0.0.0:*", "tcp://[::]:*", "tcp://192.0.2.1:1", "tcp://*:*", "tcp://example:1"]
)
@pytest.mark.parametrize("option", ["bind", "broadcast"])
def test_only_loopback_may_be_listened_on_unless_insecure(place: str, option: str) -> None:
    random = Random(1)
    node = Node(CLIENT, Incarnation(1), MemoryDisk(random), random, {})
    with pytest.raises(TransportError, match="loopback"):
        Shell(node, **{option: place}).run()


def test_insecure_listens_everywhere() -> None:
    with start(bind="tcp://0.0.0.0:*", insecure=True) as node:
        assert node.endpoint.startswith("tcp://0.0.0.0:")


def test_a_node_that_stops_itself_is_flushed_and_its_last_words_are_sent() -> None:
    disk = SlowDisk()
    with start(bind=ANY_PORT) as server, start(disk=disk, ends=Ending.STOPPED) as node:
        node.ask(server.broker)
        server.box.hear()

        def last(ctx: Context) -> None:
            ctx.send(server.broker, beat(2), after=ctx.disk.append("log", b"x"))
            ctx.stop("it was asked to")

        node.do(last)
        node.do(lambda ctx: ctx.send(server.broker, beat(666)))
        assert disk.flushing.acquire(timeout=LIMIT)
        disk.go_on.release()
        assert node.wait() == Ended(Ending.STOPPED, "it was asked to")
        assert server.box.hear()[1] == beat(2)
        assert disk.synced == disk.written


def test_a_handler_that_fails_ends_the_node_at_once_with_its_traceback() -> None:
    log: list[str] = []
    disk = SlowDisk()

    def fail(ctx: Context) -> None:
        ctx.disk.append("log", b"x")
        raise AssertionError("who am I?")

    with start(disk=disk, ends=Ending.BUG, log=log.append) as node:
        node.do(fail)
        assert node.wait() == Ended(Ending.BUG, "AssertionError: who am I?")
    assert "in fail" in log[0]
    assert not disk.flushing.acquire(blocking=False)


def test_a_failing_disk_ends_the_node_with_its_reason() -> None:
    disk = MemoryDisk(Random(1))
    with start(disk=disk, ends=Ending.STORAGE) as node:
        disk.fail_writes = True
        node.do(lambda ctx: ctx.disk.append("log", b"x"))
        assert "log" in node.wait().reason


def test_a_failing_flush_ends_the_node_and_fails_its_disk() -> None:
    disk = MemoryDisk(Random(1))
    disk.fail_next_fsync = True
    with start(disk=disk, ends=Ending.STORAGE) as node:
        node.do(lambda ctx: ctx.disk.append("log", b"x"))
        assert "injected" in node.wait().reason
    assert disk.failed is not None


def test_an_error_of_a_handler_that_catches_it_is_no_error() -> None:
    disk = MemoryDisk(Random(1), full=1)

    def write(ctx: Context) -> str:
        try:
            ctx.disk.append("log", b"xx")
        except StorageError as error:
            return str(error)
        return ""

    with start(disk=disk) as node:
        assert "log" in node.look(write)


def test_a_signal_is_told_to_whoever_asked() -> None:
    random = Random(1)
    node = Node(CLIENT, Incarnation(1), MemoryDisk(random), random, {"broker": Mailbox()})
    shell = Shell(
        node,
        signals={signal.SIGTERM: lambda: shell.tell("broker", Do(lambda ctx: ctx.stop("a signal")))},
        on_start=lambda _: os.kill(os.getpid(), signal.SIGTERM),
    )
    before = signal.getsignal(signal.SIGTERM)
    assert shell.run() == Ended(Ending.STOPPED, "a signal")
    assert signal.getsignal(signal.SIGTERM) == before


def test_closing_before_the_start_is_closing_all_the_same() -> None:
    random = Random(1)
    shell = Shell(Node(CLIENT, Incarnation(1), MemoryDisk(random), random, {}), bind=ANY_PORT)
    shell.close("never mind")
    assert shell.run() == Ended(Ending.CLOSED, "never mind")


def test_a_closed_shell_leaves_no_thread_and_no_descriptor() -> None:
    def used() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0

    def once() -> None:
        with start(bind=ANY_PORT, broadcast=ANY_PORT) as server, start(topics={"M": "x"}) as other:
            other.do(lambda ctx: other.shell.watch(server.endpoint))
            other.do(lambda ctx: other.shell.subscribe(server.shell.broadcast_endpoint))
            other.do(lambda ctx: ctx.disk.append("log", b"x"))
            other.ask(server.broker)

    once()  # what is made once per process
    before = used()
    once()
    assert used() == before
