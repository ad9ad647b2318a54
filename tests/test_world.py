"""What the world does to nodes: deaths, pauses, connections, broadcasts, and that it does the same each time.

`Echo` answers each `GiveProducerId` with a `ProducerIdGiven` and writes down what it hears. A host `n` has one, called
`n/echo`. On the perfect network a message takes 100 µs, a flush takes 300 µs.
"""

from __future__ import annotations

from collections.abc import Sequence

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Actor, Address, Context, Message, Timer
from barnabas.actors.messages import GiveProducerId, PeerGone, ProducerIdGiven, Reborn
from barnabas.cluster.world import EPOCH_WALL_MS, Boot, Perfect, World
from barnabas.storage.disk import Generation, Reader
from barnabas.storage.memory import MemoryDisk

MS = 1000


class Wake(Timer, frozen=True):
    number: int


class Job:
    name = "list"

    def run(self, reader: Reader) -> object:
        return reader.list("")


class Echo(Actor):
    def __init__(self) -> None:
        self.heard: list[tuple[int, object]] = []  # (when, what)
        self.ctx: Context | None = None

    def on_start(self, ctx: Context) -> None:
        self.ctx = ctx
        self.heard.append((ctx.now, "start"))

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        self.heard.append((ctx.now, message))
        if isinstance(message, GiveProducerId) and sender != "local":
            ctx.send(sender, ProducerIdGiven(message.id, ErrorCode.NONE))
        elif isinstance(message, GiveProducerId):
            self.act(message.id, ctx)

    def act(self, number: int, ctx: Context) -> None:
        """Told by the process: 1 asks n2, 2 writes first and asks once that is durable, 3 sets timers, and so on."""
        match number:
            case 1:
                ctx.send(Address("n2/echo"), GiveProducerId(100))
            case 2:
                ctx.send(Address("n2/echo"), GiveProducerId(200), after=ctx.disk.append("file", b"x"))
            case 3:
                for delay in (10, 20, 30):
                    ctx.set_timer(Wake(delay), delay)
            case 4:
                ctx.publish("news", ProducerIdGiven(400, ErrorCode.NONE))
            case 5:
                ctx.stop("enough")
            case _:
                ctx.submit(Job())

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        self.heard.append((ctx.now, timer))

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        self.heard.append((ctx.now, "synced"))

    def on_job(self, done: object, ctx: Context) -> None:
        self.heard.append((ctx.now, "job"))


class Scene:
    """Hosts n1 .. n3. `lives` has every echo that was ever born, by host."""

    def __init__(self, seed: int = 1) -> None:
        self.world = World(seed)
        self.lives: dict[str, list[Echo]] = {name: [] for name in ("n1", "n2", "n3")}
        for name in self.lives:
            self.world.add(name, self.birth, MemoryDisk(self.world.random(name)), ["news"], "echo")
            self.world.start(name)

    def birth(self, boot: Boot) -> dict[str, Actor]:
        echo = Echo()
        self.lives[boot.name].append(echo)
        return {"echo": echo}

    def tell(self, name: str, number: int) -> None:
        self.world.tell(name, "echo", GiveProducerId(number))

    def run(self, ms: float) -> None:
        self.world.run_until(self.world.now + int(ms * MS))

    def heard(self, name: str, kind: type[object] = object, life: int = -1) -> list[object]:
        return [what for _, what in self.lives[name][life].heard if isinstance(what, kind)]

    def disk(self, name: str) -> MemoryDisk:
        disk = self.world.hosts[name].disk
        assert isinstance(disk, MemoryDisk)
        return disk


# --- Messages ---


def test_a_request_arrives_and_its_answer_comes_back() -> None:
    scene = Scene()
    scene.tell("n1", 1)
    scene.run(1)
    assert scene.heard("n2", GiveProducerId) == [GiveProducerId(100)]
    assert scene.heard("n1", ProducerIdGiven) == [ProducerIdGiven(100, ErrorCode.NONE)]


def test_nodes_share_no_memory() -> None:
    scene = Scene()
    scene.tell("n1", 1)
    scene.run(1)
    scene.tell("n1", 1)
    scene.run(1)
    first, second = scene.heard("n2", GiveProducerId)
    assert first == second
    assert first is not second


def test_a_message_to_a_host_that_is_down_is_lost() -> None:
    scene = Scene()
    scene.world.crash("n2")
    scene.tell("n1", 1)
    scene.world.start("n2")
    scene.run(1)
    assert scene.heard("n2", GiveProducerId) == []


def test_or_it_waits_for_the_next_life() -> None:
    scene = Scene()
    scene.world.holds_for_next_life = lambda source, target: True
    scene.world.crash("n2")
    scene.tell("n1", 1)
    scene.world.start("n2")
    scene.run(1)
    assert scene.heard("n2", GiveProducerId) == [GiveProducerId(100)]


def test_what_was_meant_for_the_dead_is_answered_with_reborn() -> None:
    scene = Scene()
    scene.world.gone_time = lambda watcher, gone: None  # nobody notices
    scene.world.holds_for_next_life = lambda source, target: True
    scene.tell("n1", 1)
    scene.run(1)
    scene.world.crash("n2")
    scene.tell("n1", 1)
    scene.world.start("n2")
    scene.run(1)
    assert scene.heard("n2", GiveProducerId) == []
    assert scene.heard("n1", Reborn) == [Reborn()]


def test_what_is_on_a_connection_is_lost_when_it_is_reset() -> None:
    scene = Scene()
    scene.tell("n1", 1)
    scene.world.reset_connections("n1", "n2")
    scene.run(1)
    assert scene.heard("n2", GiveProducerId) == []
    scene.tell("n1", 1)
    scene.run(1)
    assert len(scene.heard("n2", GiveProducerId)) == 1


def test_an_answer_dies_with_the_connection_that_its_request_came_on() -> None:
    scene = Scene()
    scene.tell("n1", 1)
    scene.run(0.15)  # the request has arrived, the answer is under way
    scene.world.reset_connections("n1", "n2")
    scene.run(1)
    assert len(scene.heard("n2", GiveProducerId)) == 1
    assert scene.heard("n1", ProducerIdGiven) == []


class Slower(Perfect):
    """The first message takes longer than the second."""

    def __init__(self, *, stream: bool) -> None:
        self.times = iter([5000, 100, 100, 100])
        self.stream = stream

    def delays(self, source: str, target: str, size: int, now: int) -> Sequence[int]:
        return (next(self.times),)

    def in_order(self, source: str, target: str) -> bool:
        return self.stream


def test_nothing_overtakes_on_a_stream() -> None:
    orders = []
    for stream in (True, False):
        scene = Scene()
        scene.world.network = Slower(stream=stream)
        scene.tell("n1", 1)
        scene.disk("n1").append("other", b"")
        scene.tell("n1", 2)
        scene.run(10)
        orders.append([message.id for message in scene.heard("n2", GiveProducerId)])  # type: ignore[attr-defined]
    assert orders == [[100, 200], [200, 100]]


def test_a_broadcast_reaches_every_subscriber_that_lives() -> None:
    scene = Scene()
    scene.world.crash("n3")
    scene.tell("n1", 4)
    scene.world.start("n3")
    scene.run(1)
    assert [len(scene.heard(name, ProducerIdGiven)) for name in ("n1", "n2", "n3")] == [1, 1, 0]


# --- Disks and jobs ---


def test_what_must_be_durable_first_leaves_after_the_flush() -> None:
    scene = Scene()
    scene.tell("n1", 2)
    scene.run(0.25)
    assert scene.heard("n2", GiveProducerId) == []
    scene.run(0.25)
    assert len(scene.heard("n2", GiveProducerId)) == 1
    assert scene.heard("n1", str) == ["start", "synced"]


def test_a_job_ends_later() -> None:
    scene = Scene()
    scene.tell("n1", 99)
    assert scene.heard("n1", str) == ["start"]
    scene.run(1)
    assert scene.heard("n1", str) == ["start", "job"]


def test_a_disk_that_fails_costs_the_process_its_life() -> None:
    scene = Scene()
    failed: list[str] = []
    scene.world.on_failure = lambda host, error: failed.append(host.name)
    scene.disk("n1").fail_next_fsync = True
    scene.tell("n1", 2)
    scene.run(1)
    assert failed == ["n1"]
    assert scene.world.hosts["n1"].node is None
    assert "Input/output error" in str(scene.world.hosts["n1"].stopped)
    assert scene.heard("n2", GiveProducerId) == []


# --- Deaths ---


def test_kill_9_loses_nothing_that_was_written() -> None:
    scene = Scene()
    scene.tell("n1", 2)
    scene.world.crash("n1")
    scene.world.start("n1")
    assert scene.disk("n1").read("file", 0, 9) == b"x"


def test_a_loss_of_power_may_lose_what_was_not_durable() -> None:
    kept = set()
    for seed in range(20):
        scene = Scene(seed)
        scene.tell("n1", 2)
        scene.world.power_loss("n1")
        kept.add(scene.disk("n1").size("file") or 0)
    assert 0 in kept


def test_a_loss_of_power_keeps_what_was_durable() -> None:
    for seed in range(20):
        scene = Scene(seed)
        scene.tell("n1", 2)
        scene.run(1)
        scene.world.power_loss("n1")
        assert scene.disk("n1").size("file") == 1


def test_timers_flushes_and_jobs_die_with_the_process() -> None:
    scene = Scene()
    for number in (2, 3, 99):
        scene.tell("n1", number)
    scene.world.crash("n1")
    scene.world.start("n1")
    scene.run(100)
    assert scene.heard("n1", str) == ["start"] or scene.heard("n1", str) == ["start", "synced"]
    assert scene.heard("n1", Wake) == []
    assert scene.heard("n1", str, life=0) == ["start"]


def test_the_others_hear_of_a_death_by_name_and_life() -> None:
    scene = Scene()
    node = scene.world.hosts["n2"].node
    assert node is not None
    scene.world.crash("n2")
    scene.run(30)
    [gone] = scene.heard("n1", PeerGone)
    assert isinstance(gone, PeerGone)
    assert (gone.node, gone.incarnation) == ("n2", node.incarnation)


def test_nobody_hears_of_a_death_when_the_next_life_was_quicker() -> None:
    scene = Scene()
    scene.world.crash("n2")
    scene.world.start("n2")
    scene.run(30)
    assert scene.heard("n1", PeerGone) == []


def test_a_false_hint_is_told_like_a_true_one() -> None:
    scene = Scene()
    scene.world.hint_gone("n1", "n2")
    assert len(scene.heard("n1", PeerGone)) == 1
    assert scene.world.hosts["n2"].node is not None


def test_each_life_has_an_incarnation_of_its_own() -> None:
    scene = Scene()
    lives = set()
    for _ in range(3):
        scene.world.crash("n1")
        scene.world.start("n1")
        node = scene.world.hosts["n1"].node
        assert node is not None
        lives.add(node.incarnation)
    assert len(lives) == 3


def test_a_process_may_end_by_itself() -> None:
    scene = Scene()
    scene.tell("n1", 5)
    assert scene.world.hosts["n1"].node is None
    assert scene.world.hosts["n1"].stopped == "enough"


# --- Pauses and clocks ---


def test_a_paused_process_does_nothing_and_then_everything_in_a_burst() -> None:
    scene = Scene()
    scene.tell("n2", 3)
    scene.world.pause("n2", 50 * MS)
    scene.tell("n1", 1)
    scene.run(49)
    assert scene.heard("n2", GiveProducerId) == [GiveProducerId(3)]
    assert scene.heard("n2", Wake) == []
    scene.run(2)
    assert scene.heard("n2", Wake) == [Wake(10), Wake(20), Wake(30)]
    assert GiveProducerId(100) in scene.heard("n2", GiveProducerId)
    assert {when for when, what in scene.lives["n2"][-1].heard if isinstance(what, Wake)} == {50}


def test_clocks_may_drift_and_walls_may_be_wrong() -> None:
    scene = Scene()
    scene.world.hosts["n1"].clock.rate_ppm = 100_000
    scene.world.hosts["n1"].clock.wall_offset_ms = -5_000
    scene.run(1_000)
    scene.tell("n1", 3)
    ctx = scene.lives["n1"][-1].ctx
    assert ctx is not None
    assert (ctx.now, ctx.wall) == (1_100, EPOCH_WALL_MS + 1_000 - 5_000)
    scene.run(9.2)
    assert scene.heard("n1", Wake) == [Wake(10)]


# --- Determinism ---


def story(seed: int, last: int) -> str:
    scene = Scene(seed)
    for number in (1, 2, 3, last):
        scene.tell("n1", number)
        scene.run(3)
    scene.world.crash("n2")
    scene.run(50)
    return scene.world.trace_hash()


def test_equal_seeds_and_deeds_give_equal_traces() -> None:
    assert story(1, 4) == story(1, 4)


def test_another_seed_or_another_deed_gives_another_trace() -> None:
    assert len({story(1, 4), story(2, 4), story(1, 99)}) == 3


def test_streams_of_chance_do_not_shift_each_other() -> None:
    world = World(7)
    before = world.random("a").random()
    world.random("b").random()
    assert world.random("a").random() == before
    assert World(8).random("a").random() != before
