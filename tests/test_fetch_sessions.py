"""The leader's half of the fetch conversation, and both halves over a channel that loses, doubles and reorders.

`Pair` is a leader's `Followers` without a broker around them: a log, its sessions, and what counts as progress; and a
follower's `Fetchers`. The property at the end lets a channel do what it likes, and then be good.
"""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from logs import P0, WALL_MS, batch, content, grow, new_log
from recording import Recording

from barnabas.actors.copying import Copying
from barnabas.actors.errors import ErrorCode
from barnabas.actors.fetch_sessions import FetchSessions, HighWatermarkTimer, SessionTimer
from barnabas.actors.fetcher import Fetcher, FetcherTimer, RestTimer
from barnabas.actors.kernel import Address, Message, Millis, Payload
from barnabas.actors.leading import Diverging, Leading
from barnabas.actors.messages import Fetch, Fetched, FetchedPartition, FetchPartition, Partition, Synced
from barnabas.storage.log import Log
from barnabas.storage.memory import MemoryDisk

ROUTE = Address("@2/broker")
P1 = Partition(P0.topic, 1)


class Books:
    """What there is to say of each partition: an answer, or None."""

    def __init__(self) -> None:
        self.news: dict[Partition, FetchedPartition] = {}
        self.asked: list[Partition] = []

    def answer(self, wanted: FetchPartition, left: int, ctx: object) -> FetchedPartition | None:
        self.asked.append(wanted.partition)
        return self.news.get(wanted.partition)


class Desk:
    """Sessions with one follower, and what they send."""

    def __init__(self) -> None:
        self.ctx = Recording("b1/broker")
        self.books = Books()
        self.sessions = FetchSessions(self.books.answer)

    def fetch(
        self,
        number: int,
        *wanted: Partition,
        session: int = 0,
        sequence: int = 0,
        epoch: int = 5,
        forgotten: tuple[Partition, ...] = (),
        hw: int = 0,
    ) -> bool:
        parts = [FetchPartition(partition, 0, 0, -1, 0, hw) for partition in wanted]
        fetch = Fetch(number, 2, epoch, "d", session, sequence, 250, parts, list(forgotten))
        taken = self.sessions.request(ROUTE, fetch, self.ctx) is not None
        if taken:
            self.sessions.park(2, self.ctx)
        return taken

    def answers(self) -> list[Fetched]:
        return self.ctx.take(Fetched)

    def open(self, *wanted: Partition) -> int:
        """A session that is parked; its id."""
        self.fetch(1, *wanted)
        self.sessions.on_timer(2, self.ctx)
        [answer] = self.answers()
        self.fetch(2, session=answer.session, sequence=1)
        return answer.session


def good(partition: Partition, records: bytes | None = None) -> FetchedPartition:
    return FetchedPartition(partition, ErrorCode.NONE, 0, 0, 0, records=None if records is None else Payload(records))


def refused(partition: Partition) -> FetchedPartition:
    return FetchedPartition(partition, ErrorCode.FENCED_LEADER_EPOCH, 3, -1, -1)


def test_a_request_with_news_is_answered_at_once() -> None:
    desk = Desk()
    desk.books.news[P0] = good(P0, b"abc")
    desk.fetch(1, P0)
    [answer] = desk.answers()
    assert (answer.id, answer.error, [part.partition for part in answer.partitions]) == (1, ErrorCode.NONE, [P0])


def test_a_request_without_news_waits_as_long_as_it_says() -> None:
    desk = Desk()
    desk.fetch(1, P0)
    assert desk.answers() == []
    assert desk.ctx.timers[SessionTimer(2)] == desk.ctx.now + 250
    desk.sessions.on_timer(2, desk.ctx)
    [answer] = desk.answers()
    assert answer.partitions == []


def test_a_parked_request_is_answered_by_records() -> None:
    desk = Desk()
    desk.open(P0)
    desk.books.news[P0] = good(P0, b"abc")
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    [answer] = desk.answers()
    assert answer.id == 2
    assert SessionTimer(2) not in desk.ctx.timers


def test_news_of_many_partitions_are_one_answer() -> None:
    desk = Desk()
    desk.open(P0, P1)
    desk.books.news[P0] = good(P0, b"abc")
    desk.books.news[P1] = good(P1, b"def")
    desk.sessions.appended(P0)
    desk.sessions.appended(P1)
    assert desk.answers() == []
    desk.sessions.speak(desk.ctx)
    [answer] = desk.answers()
    assert [part.partition for part in answer.partitions] == [P0, P1]


def test_other_partitions_records_do_not_wake_it() -> None:
    desk = Desk()
    desk.open(P0)
    desk.books.news[P1] = good(P1, b"abc")
    desk.sessions.appended(P1)
    desk.sessions.speak(desk.ctx)
    assert desk.answers() == []


def test_a_session_remembers_what_was_listed_before() -> None:
    desk = Desk()
    desk.open(P0, P1)
    desk.books.news[P1] = good(P1, b"abc")
    desk.sessions.appended(P1)
    desk.sessions.speak(desk.ctx)
    [answer] = desk.answers()
    assert [part.partition for part in answer.partitions] == [P1]


def test_a_forgotten_partition_is_not_answered() -> None:
    desk = Desk()
    session = desk.open(P0)
    desk.fetch(3, session=session, sequence=2, forgotten=(P0,))
    desk.answers()
    desk.books.news[P0] = good(P0, b"abc")
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    assert desk.answers() == []


def test_a_high_watermark_alone_waits_for_records_to_ride_on() -> None:
    desk = Desk()
    desk.open(P0)
    desk.sessions.hw_moved(P0, desk.ctx)
    assert desk.answers() == []
    assert desk.ctx.timers[HighWatermarkTimer()] == desk.ctx.now + 100
    desk.books.news[P0] = good(P0)
    desk.sessions.on_hw_timer(desk.ctx)
    [answer] = desk.answers()
    assert [part.partition for part in answer.partitions] == [P0]


def test_it_rides_on_the_next_records_of_any_partition() -> None:
    desk = Desk()
    desk.open(P0, P1)
    desk.sessions.hw_moved(P0, desk.ctx)
    desk.books.news = {P0: good(P0), P1: good(P1, b"abc")}
    desk.sessions.appended(P1)
    desk.sessions.speak(desk.ctx)
    [answer] = desk.answers()
    assert [part.partition for part in answer.partitions] == [P1, P0]


def test_a_partition_answered_with_an_error_leaves_the_session() -> None:
    desk = Desk()
    desk.books.news[P0] = refused(P0)
    session = 0
    desk.fetch(1, P0)
    [answer] = desk.answers()
    session = answer.session
    desk.fetch(2, session=session, sequence=1)
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    assert desk.answers() == []


def test_so_does_one_that_diverges() -> None:
    desk = Desk()
    desk.books.news[P0] = FetchedPartition(P0, ErrorCode.NONE, 0, 0, 0, diverging=(0, 0))
    desk.fetch(1, P0)
    [answer] = desk.answers()
    desk.fetch(2, session=answer.session, sequence=1)
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    assert desk.answers() == []


def test_records_are_not_sent_again_before_the_follower_has_told_what_it_took() -> None:
    desk = Desk()
    session = desk.open(P0)
    desk.books.news[P0] = good(P0, b"abc")
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    assert [part.partition for part in desk.answers()[0].partitions] == [P0]
    desk.fetch(3, P1, session=session, sequence=2)  # on its way before the records were there
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    assert desk.answers() == []
    desk.fetch(4, P0, session=session, sequence=3)
    told = [part.partition for answer in desk.answers() for part in answer.partitions]
    assert told == [P0]


def test_but_what_is_wrong_is_told() -> None:
    desk = Desk()
    session = desk.open(P0)
    desk.books.news[P0] = good(P0, b"abc")
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    desk.answers()
    desk.fetch(3, P1, session=session, sequence=2)
    desk.books.news[P0] = refused(P0)
    desk.sessions.appended(P0)
    desk.sessions.speak(desk.ctx)
    assert [part.error for part in desk.answers()[0].partitions] == [ErrorCode.FENCED_LEADER_EPOCH]


def test_an_unknown_session_is_refused() -> None:
    desk = Desk()
    assert not desk.fetch(1, P0, session=77, sequence=4)
    assert [answer.error for answer in desk.answers()] == [ErrorCode.FETCH_SESSION_ID_NOT_FOUND]


def test_a_gap_in_the_sequence_is_refused() -> None:
    desk = Desk()
    session = desk.open(P0)
    assert not desk.fetch(9, session=session, sequence=5)
    assert [answer.error for answer in desk.answers()] == [ErrorCode.INVALID_FETCH_SESSION_EPOCH]


def test_a_session_of_another_life_is_refused() -> None:
    desk = Desk()
    session = desk.open(P0)
    assert not desk.fetch(3, session=session, sequence=2, epoch=6)
    assert [answer.error for answer in desk.answers()] == [ErrorCode.FETCH_SESSION_ID_NOT_FOUND]


def test_a_request_that_comes_again_is_silently_dropped() -> None:
    desk = Desk()
    session = desk.open(P0)
    assert not desk.fetch(2, session=session, sequence=1)
    assert not desk.fetch(1, P0)
    assert desk.answers() == []


def test_a_new_session_takes_the_place_of_the_old_one() -> None:
    desk = Desk()
    old = desk.open(P0)
    assert desk.fetch(3, P1)
    assert not desk.fetch(4, session=old, sequence=2)


def test_a_second_request_has_the_first_answered() -> None:
    desk = Desk()
    session = desk.open(P0)
    desk.fetch(3, P1, session=session, sequence=2)
    assert [answer.id for answer in desk.answers()] == [2]
    desk.sessions.on_timer(2, desk.ctx)
    assert [answer.id for answer in desk.answers()] == [3]


def test_an_answer_is_bounded_and_the_rest_follows_on_the_next_request() -> None:
    desk = Desk()
    desk.books.news = {P0: good(P0, bytes(1 << 20)), P1: good(P1, b"abc")}
    desk.fetch(1, P0, P1)
    [first] = desk.answers()
    assert [part.partition for part in first.partitions] == [P0]
    desk.books.news.pop(P0)
    desk.fetch(2, session=first.session, sequence=1)
    [second] = desk.answers()
    assert [part.partition for part in second.partitions] == [P1]


def test_a_follower_that_is_gone_is_forgotten() -> None:
    desk = Desk()
    session = desk.open(P0)
    desk.sessions.forget(2)
    assert not desk.fetch(3, session=session, sequence=2)


# --- Both halves over a bad channel ---


class Pair:
    """One leader and one follower of one partition. Messages lie in `channel` until somebody delivers them."""

    def __init__(self, words: str, own: str) -> None:
        self.leader_ctx, self.follower_ctx = Recording("b1/broker"), Recording("b2/broker", seed=1)
        log = new_log()
        grow(log, words, 0)
        log.assign_epoch(2)
        self.leading = Leading(log, 2, Millis(0))
        self.sessions = FetchSessions(self._answer)
        copy = new_log(MemoryDisk(Random(2)))
        grow(copy, words[: len(words) // 2], 0)
        grow(copy, own, 1)
        self.copying = Copying(P0, copy, 2, 0, lambda offset: None)
        self.fetcher = Fetcher(2, "d", 1, 250, 250)
        self.fetcher.add(self.copying)
        self.channel: list[tuple[str, Message]] = []
        self.requests = 0
        self.poll()

    def _answer(self, wanted: FetchPartition, left: int, ctx: object) -> FetchedPartition | None:
        log: Log = self.leading.log
        verdict = self.leading.check(wanted)
        if isinstance(verdict, Diverging):
            return FetchedPartition(P0, ErrorCode.NONE, 2, 0, 0, diverging=(verdict.epoch, verdict.end))
        if log.end == wanted.offset:
            return None
        return FetchedPartition(
            P0, ErrorCode.NONE, 2, 0, 0, records=Payload(log.read(wanted.offset, 80, limit=log.end))
        )

    def poll(self) -> None:
        self.requests += 1
        self.fetcher.poll(Address("b1/broker"), 5, self.requests, self.follower_ctx)
        self._collect()

    def _collect(self) -> None:
        self.channel += [("leader", message) for _, message in self.follower_ctx.sent]
        self.channel += [("follower", message) for _, message in self.leader_ctx.sent]
        self.follower_ctx.sent.clear()
        self.leader_ctx.sent.clear()

    def deliver(self, place: int, *, keep: bool = False) -> None:
        target, message = self.channel[place] if keep else self.channel.pop(place)
        if target == "leader":
            self._to_leader(message)
        else:
            self._to_follower(message)
        self._collect()

    def _to_leader(self, message: Message) -> None:
        if isinstance(message, Synced):
            for part in message.partitions:
                self.leading.synced(2, 5, part.durable, self.leader_ctx.now)
            return
        assert isinstance(message, Fetch)
        if self.sessions.request(ROUTE, message, self.leader_ctx) is None:
            return
        for wanted in message.wanted:
            if self.leading.check(wanted) is None:
                self.leading.fetched(2, 5, wanted, self.leader_ctx.now)
        self.sessions.park(2, self.leader_ctx)

    def _to_follower(self, message: Message) -> None:
        assert isinstance(message, Fetched)
        for part in self.fetcher.answered(message, self.follower_ctx):
            if part.diverging is not None:
                self.copying.diverged(*part.diverging)
                self.fetcher.dropped(P0, self.follower_ctx, rest=False)
            else:
                self.copying.take(part)  # raises if these are not the continuation
                self.fetcher.change(P0)
        self.poll()

    def sleep(self, ms: int) -> None:
        """Both clocks go on, and timers fire."""
        for ctx in (self.leader_ctx, self.follower_ctx):
            ctx.sleep(ms)
            for timer, due in list(ctx.timers.items()):
                if due <= ctx.now:
                    del ctx.timers[timer]
                    match timer:
                        case SessionTimer():
                            self.sessions.on_timer(2, ctx)
                        case FetcherTimer() | RestTimer():
                            self.fetcher.on_timer(timer, ctx)
                            self.poll()
                        case _:
                            pass
        self._collect()

    def append(self, word: str) -> None:
        self.leading.log.append(batch(word), 2, WALL_MS)
        self.leading.grew(self.leader_ctx.now)
        self.sessions.appended(P0)
        self.sessions.speak(self.leader_ctx)
        self._collect()

    @property
    def proven(self) -> bool:
        """What the leader counts is really a common prefix."""
        progress = self.leading.followers.get(2)
        end = 0 if progress is None else max(0, progress.end)
        mine, theirs = content(self.leading.log), content(self.copying.log)
        return end <= len(theirs) and mine[:end] == theirs[:end]


STEPS = st.lists(
    st.tuples(st.sampled_from(["deliver", "double", "lose", "append", "sleep"]), st.integers(0, 7)), max_size=60
)


@settings(max_examples=250, deadline=None)
@given(steps=STEPS, words=st.text("abc", max_size=6), own=st.text("xy", max_size=3))
def test_over_any_channel_the_follower_ends_with_the_leaders_log(
    steps: list[tuple[str, int]], words: str, own: str
) -> None:
    pair = Pair(words, own)
    for step, number in steps:
        if step == "append":
            pair.append("defghijk"[number])
        elif step == "sleep":
            pair.sleep(100 * number)
        elif pair.channel:
            place = number % len(pair.channel)
            if step == "lose":
                pair.channel.pop(place)
            else:
                pair.deliver(place, keep=step == "double")
        assert pair.proven
    for _ in range(40):  # from now on nothing is lost, and in order
        while pair.channel:
            pair.deliver(0)
        if content(pair.copying.log) == content(pair.leading.log) and pair.leading.counted(2) >= 0:
            break
        pair.sleep(100)
    assert content(pair.copying.log) == content(pair.leading.log)
    assert pair.proven
