"""A broker's place in the cluster: registration, heartbeats, and the lease that ends before the session does."""

from __future__ import annotations

from recording import Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.membership import HeartbeatTimer, Membership, RegisterTimer
from barnabas.actors.messages import BrokerHeartbeat, HeartbeatReply, Register, Registered

CONTROLLERS = {1: "c1", 2: "c2", 3: "c3"}


class Life:
    """One life of broker 7."""

    def __init__(self) -> None:
        self.ctx = Recording("b7/broker")
        self.member = Membership(7, "cluster", "directory", "rack", CONTROLLERS, heartbeat_ms=250, lease_ms=2700)

    def register(self, *, nameless: bool = False) -> Life:
        self.member.register([], nameless, True, -1, self.ctx)
        return self

    def run(self) -> Life:
        self.register()
        self.ctx.take(Register)
        self.answer()
        self.ctx.sent.clear()
        return self

    def answer(self, error: ErrorCode = ErrorCode.NONE, leader: int = -1, reason: str = "") -> bool:
        epoch = 40 if error is ErrorCode.NONE else -1
        return self.member.on_registered(Registered(0, error, epoch, leader, reason), self.ctx)

    def reply(self, sequence: int, *, error: ErrorCode = ErrorCode.NONE, fenced: bool = False) -> None:
        self.member.on_reply(HeartbeatReply(sequence, error, 1, fenced), self.ctx)

    def asked(self) -> list[str]:
        """Who was sent a registration since the last time."""
        asked = [to.partition("/")[0] for to, message in self.ctx.sent if isinstance(message, Register)]
        self.ctx.sent.clear()
        return asked


# --- Registration ---


def test_a_registration_says_who_and_where() -> None:
    life = Life().register()
    [message] = life.ctx.take(Register)
    assert (message.broker, message.directory_id, message.endpoint, message.rack) == (7, "directory", "b7", "rack")
    assert message.incarnation == life.ctx.incarnation


def test_a_directory_with_nameless_logs_passes_for_a_new_one() -> None:
    [message] = Life().register(nameless=True).ctx.take(Register)
    assert message.directory_id != "directory"


def test_each_controller_is_asked_in_turn() -> None:
    life = Life().register()
    for _ in range(3):
        life.member.on_register_timer(life.ctx)
    assert life.asked() == ["c1", "c2", "c3", "c1"]
    assert RegisterTimer() in life.ctx.timers


def test_whoever_is_named_as_the_active_one_is_asked_at_once() -> None:
    life = Life().register()
    life.asked()
    assert not life.answer(ErrorCode.NOT_CONTROLLER, leader=3)
    assert life.asked() == ["c3"]


def test_but_not_twice_in_a_row() -> None:
    life = Life().register()
    life.asked()
    life.answer(ErrorCode.NOT_CONTROLLER, leader=1)
    assert life.asked() == []


def test_the_broadcast_tells_whom_to_ask() -> None:
    life = Life().register()
    life.asked()
    life.member.hear_of(2, life.ctx)
    life.member.hear_of(2, life.ctx)
    assert life.asked() == ["c2"]


def test_a_refusal_is_remembered_in_words_until_it_is_over() -> None:
    life = Life().register()
    life.answer(ErrorCode.DUPLICATE_BROKER_REGISTRATION, reason="b7 is alive elsewhere")
    assert life.member.refused == "b7 is alive elsewhere"
    life.answer()
    assert life.member.refused == ""


def test_a_member_has_a_broker_epoch_and_sends_heartbeats() -> None:
    life = Life().register()
    assert life.answer()
    assert (life.member.state, life.member.broker_epoch) == ("running", 40)
    assert len(life.ctx.take(BrokerHeartbeat)) == 3
    assert RegisterTimer() not in life.ctx.timers


def test_a_second_answer_changes_nothing() -> None:
    life = Life().run()
    assert not life.member.on_registered(Registered(0, ErrorCode.NONE, 99), life.ctx)
    assert life.member.broker_epoch == 40


# --- Heartbeats and the lease ---


def test_heartbeats_go_to_all_controllers() -> None:
    life = Life().run()
    life.member.heartbeat(55, life.ctx)
    assert [to for to, _ in life.ctx.sent] == ["c1/controller", "c2/controller", "c3/controller"]
    beats = life.ctx.take(BrokerHeartbeat)
    assert {(beat.broker_epoch, beat.metadata_offset, beat.want_stop) for beat in beats} == {(40, 55, False)}
    assert life.ctx.timers[HeartbeatTimer()] == life.ctx.now + 250


def test_before_the_registration_there_are_none() -> None:
    life = Life().register()
    life.ctx.sent.clear()
    life.member.heartbeat(0, life.ctx)
    assert life.ctx.sent == []


def test_the_lease_counts_from_when_the_heartbeat_was_sent() -> None:
    life = Life().run()
    sent = life.ctx.now
    life.ctx.sleep(1_000)
    life.reply(1)
    assert life.member.lease_until == sent + 2_700
    life.ctx.sleep(1_699)
    assert life.member.holds_lease(life.ctx.now)
    life.ctx.sleep(1)
    assert not life.member.holds_lease(life.ctx.now)


def test_there_is_no_lease_before_the_first_answer() -> None:
    life = Life().run()
    assert not life.member.holds_lease(life.ctx.now)


def test_an_answer_that_comes_after_a_pause_renews_nothing_that_is_over() -> None:
    life = Life().run()
    life.ctx.sleep(10_000)
    life.reply(1)
    assert not life.member.holds_lease(life.ctx.now)


def test_an_answer_with_an_error_renews_nothing() -> None:
    life = Life().run()
    life.reply(1, error=ErrorCode.NOT_CONTROLLER)
    assert not life.member.holds_lease(life.ctx.now)


def test_who_is_fenced_has_no_lease() -> None:
    life = Life().run()
    life.reply(1, fenced=True)
    assert not life.member.holds_lease(life.ctx.now)
    assert life.member.fenced


def test_a_late_answer_never_shortens_the_lease() -> None:
    life = Life().run()
    life.ctx.sleep(250)
    life.member.heartbeat(0, life.ctx)
    life.reply(2)
    until = life.member.lease_until
    life.reply(1)
    assert life.member.lease_until == until


def test_an_answer_to_nothing_that_was_sent_is_ignored() -> None:
    life = Life().run()
    life.reply(77)
    assert not life.member.holds_lease(life.ctx.now)


# --- Stopping ---


def test_who_wants_to_stop_says_so_and_waits_for_leave() -> None:
    life = Life().run()
    life.member.stop()
    life.member.heartbeat(0, life.ctx)
    assert life.ctx.take(BrokerHeartbeat)[0].want_stop
    life.member.on_reply(HeartbeatReply(2, ErrorCode.NONE, 1, True, may_stop=True), life.ctx)
    assert life.member.may_stop


def test_who_is_no_member_yet_has_nothing_to_hand_over() -> None:
    life = Life().register()
    life.member.stop()
    assert life.member.state == "registering"


def test_a_controller_that_was_replaced_renews_no_lease() -> None:
    life = Life().run()
    life.member.on_reply(HeartbeatReply(1, ErrorCode.NONE, 1, fenced=False, controller_epoch=3), life.ctx, 4)
    assert not life.member.holds_lease(life.ctx.now)
    life.member.on_reply(HeartbeatReply(1, ErrorCode.NONE, 2, fenced=False, controller_epoch=4), life.ctx, 4)
    assert life.member.holds_lease(life.ctx.now)
