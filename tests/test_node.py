"""What a node promises its actors: order, durability before speech, timers, and whom it takes messages from."""

from __future__ import annotations

from random import Random

from logs import flush_disk

from barnabas.actors.kernel import Actor, Address, Context, Incarnation, JobDone, Message, Millis, Timer
from barnabas.actors.messages import PROTOCOL_VERSION, Envelope, GiveProducerId, PeerGone, Reborn
from barnabas.actors.node import Effects, Node
from barnabas.storage.disk import Generation, Reader
from barnabas.storage.memory import MemoryDisk


class Tick(Timer, frozen=True):
    number: int = 0


class Count(Actor):
    """Writes down what it is told. `say` is done at the next message."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.ctx: Context | None = None

    def on_start(self, ctx: Context) -> None:
        self.ctx = ctx
        self.heard.append("start")

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        self.heard.append((sender, message))

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        self.heard.append((timer, ctx.now))

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        self.heard.append(("synced", generation))

    def on_job(self, done: JobDone, ctx: Context) -> None:
        self.heard.append((done.result, done.error))


class ReadAll:
    name = "read all"

    def run(self, reader: Reader) -> object:
        return reader.list("")


class Scene:
    """One node `n1` with the actors `a` and `b`."""

    def __init__(self) -> None:
        self.disk = MemoryDisk(Random(1))
        self.a, self.b = Count(), Count()
        self.node = Node("n1", Incarnation(11), self.disk, Random(1), {"a": self.a, "b": self.b})
        self.node.start(Millis(1_000), Millis(5_000))
        self.a.heard.clear()
        self.b.heard.clear()

    @property
    def ctx(self) -> Context:
        """What `a` may ask for, as if it were in a handler."""
        assert self.a.ctx is not None
        return self.a.ctx

    def deliver(
        self, body: Message, *, to: str = "a", origin: str = "@n2#1", life: int = 22, to_life: int = 0
    ) -> Effects:
        envelope = Envelope(PROTOCOL_VERSION, "n2/x", Incarnation(life), to, Incarnation(to_life), body)
        self.node.deliver(envelope, origin, Millis(1_000), Millis(5_000))
        return self.node.flush()

    def sent(self) -> list[tuple[str, Message]]:
        return [(to, envelope.body) for to, envelope in self.node.flush().outgoing]


ASK = GiveProducerId(1)
OTHER = GiveProducerId(2)


# --- Durability ---


def test_what_need_not_wait_leaves_at_once() -> None:
    scene = Scene()
    scene.ctx.send(Address("n2/a"), ASK)
    assert scene.sent() == [("n2", ASK)]


def test_what_must_wait_leaves_when_it_is_durable() -> None:
    scene = Scene()
    generation = scene.ctx.disk.append("vote", b"1")
    scene.ctx.send(Address("n2/a"), ASK, after=generation)
    assert scene.sent() == []
    scene.node.synced(Generation(generation - 1), Millis(1_001), Millis(0))
    assert scene.sent() == []
    scene.node.synced(flush_disk(scene.disk), Millis(1_001), Millis(0))
    assert scene.sent() == [("n2", ASK)]


def test_what_is_durable_already_does_not_wait() -> None:
    scene = Scene()
    generation = scene.ctx.disk.append("vote", b"1")
    flush_disk(scene.disk)
    scene.ctx.send(Address("n2/a"), ASK, after=generation)
    assert scene.sent() == [("n2", ASK)]


def test_what_waits_is_overtaken_by_what_need_not() -> None:
    scene = Scene()
    generation = scene.ctx.disk.append("vote", b"1")
    scene.ctx.send(Address("n2/a"), ASK, after=generation)
    scene.ctx.send(Address("n2/a"), OTHER)
    assert scene.sent() == [("n2", OTHER)]


def test_what_waits_for_the_same_leaves_in_order() -> None:
    scene = Scene()
    generation = scene.ctx.disk.append("vote", b"1")
    scene.ctx.send(Address("n2/a"), ASK, after=generation)
    scene.ctx.send(Address("n2/a"), OTHER, after=generation)
    scene.node.synced(flush_disk(scene.disk), Millis(1_001), Millis(0))
    assert scene.sent() == [("n2", ASK), ("n2", OTHER)]


def test_what_waits_leaves_before_the_actors_hear_of_it() -> None:
    """They may say more because of it, and that must come after."""
    scene = Scene()
    generation = scene.ctx.disk.append("vote", b"1")
    scene.ctx.send(Address("n1/b"), ASK, after=generation)
    scene.node.synced(flush_disk(scene.disk), Millis(1_001), Millis(0))
    assert scene.a.heard == [("synced", generation)]
    assert scene.b.heard == [("synced", generation), (Address("n1/a"), ASK)]


def test_what_waits_dies_with_the_node() -> None:
    scene = Scene()
    generation = scene.ctx.disk.append("vote", b"1")
    scene.ctx.send(Address("n2/a"), ASK, after=generation)
    flush_disk(scene.disk)
    reborn = Node("n1", Incarnation(12), scene.disk, Random(2), {"a": Count()})
    reborn.start(Millis(2_000), Millis(0))
    reborn.synced(scene.disk.synced, Millis(2_001), Millis(0))
    assert reborn.flush().outgoing == []


# --- Lives ---


def test_a_request_comes_from_the_connection_and_not_from_whom_it_names() -> None:
    scene = Scene()
    scene.deliver(ASK)
    assert scene.a.heard == [(Address("@n2#1/x"), ASK)]


def test_a_message_for_another_life_is_dropped_and_answered_with_reborn() -> None:
    scene = Scene()
    effects = scene.deliver(ASK, to_life=10)
    assert scene.a.heard == []
    assert scene.node.dropped == 1
    [(to, envelope)] = effects.outgoing
    assert (to, envelope.body, envelope.incarnation, envelope.to) == ("@n2#1", Reborn(), 11, "x")


def test_reborn_is_never_answered_with_reborn() -> None:
    assert Scene().deliver(Reborn(), to_life=10).outgoing == []


def test_a_message_for_this_life_is_taken() -> None:
    scene = Scene()
    scene.deliver(ASK, to_life=11)
    assert len(scene.a.heard) == 1


def test_an_answer_names_the_life_that_asked() -> None:
    scene = Scene()
    scene.deliver(ASK, life=22)
    scene.ctx.send(Address("@n2#1/x"), OTHER)
    [(_, envelope)] = scene.node.flush().outgoing
    assert (envelope.to_incarnation, envelope.incarnation) == (22, 11)


def test_a_life_that_nobody_has_heard_of_is_not_named() -> None:
    scene = Scene()
    scene.ctx.send(Address("n9/x"), ASK)
    [(_, envelope)] = scene.node.flush().outgoing
    assert envelope.to_incarnation == 0


def test_a_life_that_is_gone_is_forgotten_and_told_with_its_number() -> None:
    scene = Scene()
    scene.deliver(ASK, origin="n2", life=22)
    scene.node.peer_gone("n2", Incarnation(0), Millis(1_234), Millis(0))
    assert scene.b.heard == [(Address("local"), PeerGone("n2", Incarnation(22), 1_234))]
    scene.ctx.send(Address("n2/x"), ASK)
    [(_, envelope)] = scene.node.flush().outgoing
    assert envelope.to_incarnation == 0


def test_a_message_for_nobody_is_dropped_and_counted() -> None:
    scene = Scene()
    assert scene.deliver(ASK, to="ghost").outgoing == []
    assert scene.node.dropped == 1


# --- Timers ---


def test_a_timer_fires_once_when_it_is_due() -> None:
    scene = Scene()
    scene.ctx.set_timer(Tick(), 50)
    assert scene.node.deadline == 1_050
    scene.node.advance(Millis(1_049), Millis(0))
    assert scene.a.heard == []
    scene.node.advance(Millis(1_050), Millis(0))
    scene.node.advance(Millis(2_000), Millis(0))
    assert scene.a.heard == [(Tick(), 1_050)]
    assert scene.node.deadline is None


def test_setting_an_equal_timer_again_moves_it() -> None:
    scene = Scene()
    scene.ctx.set_timer(Tick(), 50)
    scene.ctx.set_timer(Tick(), 80)
    assert scene.node.deadline == 1_080
    scene.node.advance(Millis(1_060), Millis(0))
    assert scene.a.heard == []


def test_different_timers_fire_in_the_order_of_their_deadlines_then_of_their_setting() -> None:
    scene = Scene()
    for number, delay in ((1, 50), (2, 20), (3, 50)):
        scene.ctx.set_timer(Tick(number), delay)
    scene.node.advance(Millis(1_100), Millis(0))
    assert [timer for timer, _ in scene.a.heard] == [Tick(2), Tick(1), Tick(3)]  # type: ignore[misc]


def test_a_cancelled_timer_does_not_fire() -> None:
    scene = Scene()
    scene.ctx.set_timer(Tick(), 50)
    scene.ctx.cancel_timer(Tick())
    scene.ctx.cancel_timer(Tick(9))
    assert scene.node.deadline is None
    scene.node.advance(Millis(1_100), Millis(0))
    assert scene.a.heard == []


def test_equal_timers_of_two_actors_are_two_timers() -> None:
    scene = Scene()
    scene.ctx.set_timer(Tick(), 50)
    assert scene.b.ctx is not None
    scene.b.ctx.set_timer(Tick(), 60)
    scene.node.advance(Millis(1_050), Millis(0))
    assert (len(scene.a.heard), len(scene.b.heard)) == (1, 0)
    assert scene.node.deadline == 1_060


# --- Within the node ---


def test_actors_of_one_node_talk_within_the_same_input() -> None:
    scene = Scene()
    scene.ctx.send(Address("n1/b"), ASK)
    effects = scene.deliver(OTHER)
    assert scene.b.heard == [(Address("n1/a"), ASK)]
    assert effects.outgoing == []


def test_what_the_process_says_comes_from_local() -> None:
    scene = Scene()
    scene.node.tell("b", ASK, Millis(1_001), Millis(0))
    assert scene.b.heard == [(Address("local"), ASK)]


def test_a_job_ends_at_the_actor_that_submitted_it() -> None:
    scene = Scene()
    job_id = scene.ctx.submit(ReadAll())
    [(same, job)] = scene.node.flush().jobs
    assert same == job_id
    scene.node.job_done(job_id, job.run(scene.disk), None, Millis(1_001), Millis(0))
    assert (scene.a.heard, scene.b.heard) == ([([], None)], [])


def test_a_broadcast_goes_to_a_topic() -> None:
    scene = Scene()
    scene.ctx.publish("M", ASK)
    [(topic, envelope)] = scene.node.flush().published
    assert (topic, envelope.body, envelope.sender) == ("M", ASK, "n1/a")


def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    scene = Scene()
    scene.ctx.stop("the first")
    scene.ctx.stop("the second")
    assert scene.node.flush().stop == "the first"


def test_effects_are_taken_once() -> None:
    scene = Scene()
    scene.ctx.send(Address("n2/a"), ASK)
    assert len(scene.sent()) == 1
    assert scene.sent() == []
