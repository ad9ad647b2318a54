"""The follower's half of the fetch conversation: what is listed, when a second request goes out, what is given up."""

from __future__ import annotations

from logs import ORDERS, batch, flush, new_log
from recording import Recording

from barnabas.actors.copying import Copying
from barnabas.actors.errors import ErrorCode
from barnabas.actors.fetcher import FIRST_REST_MS, MAX_DOUBLINGS, MAX_LISTED, Fetcher, FetcherTimer, RestTimer
from barnabas.actors.kernel import Address, Millis
from barnabas.actors.messages import Fetch, Fetched, FetchedPartition, Partition, Synced

LEADER = Address("b1/broker")


class Following:
    """One conversation with leader 1; every poll has a fresh id."""

    def __init__(self, *indexes: int) -> None:
        self.ctx = Recording("b2/broker")
        self.fetcher = Fetcher(2, "directory", 1, wait_ms=250, retry_ms=100)
        self.copies: dict[int, Copying] = {}
        self.number = 0
        for index in indexes:
            self.add(index)

    def add(self, index: int) -> None:
        log = new_log(directory=f"orders-{index}")
        self.copies[index] = Copying(partition(index), log, 0, 0, lambda offset: None)
        self.fetcher.add(self.copies[index])

    def poll(self) -> Fetch | None:
        """The request that goes out, if one does."""
        self.number += 1
        self.fetcher.poll(LEADER, 12, self.number, self.ctx)
        sent = self.ctx.take(Fetch)
        assert len(sent) <= 1
        return sent[0] if sent else None

    def open(self) -> None:
        """A session is open and no request is out."""
        first = self.poll()
        assert first is not None
        self.answer(first)

    def answer(self, fetch: Fetch, error: ErrorCode = ErrorCode.NONE, session: int = 7) -> list[FetchedPartition]:
        parts = [FetchedPartition(part.partition, ErrorCode.NONE, 0, 0, 0) for part in fetch.wanted]
        return self.fetcher.answered(Fetched(fetch.id, error, session, fetch.sequence, parts), self.ctx)

    def write(self, index: int, word: str) -> None:
        self.copies[index].log.append(batch(word), 0, 0)
        self.fetcher.change(partition(index))


def partition(index: int) -> Partition:
    return Partition(ORDERS, index)


def listed(fetch: Fetch | None) -> list[int]:
    assert fetch is not None
    return [part.partition[1] for part in fetch.wanted]


def test_the_first_request_lists_everything() -> None:
    fetch = Following(0, 1).poll()
    assert listed(fetch) == [0, 1]
    assert fetch is not None
    assert (fetch.session, fetch.sequence, fetch.broker_epoch) == (0, 0, 12)


def test_later_requests_list_what_has_changed() -> None:
    following = Following(0, 1)
    following.open()
    following.write(1, "a")
    fetch = following.poll()
    assert listed(fetch) == [1]
    assert fetch is not None
    assert (fetch.session, fetch.sequence) == (7, 1)


def test_a_change_that_changes_nothing_is_not_listed() -> None:
    following = Following(0)
    following.open()
    following.fetcher.change(partition(0))
    assert listed(following.poll()) == []


def test_one_request_is_out_at_a_time() -> None:
    following = Following(0)
    following.open()
    assert following.poll() is not None
    following.write(0, "a")
    assert following.poll() is None


def test_a_partition_that_is_added_does_not_wait_for_a_parked_request() -> None:
    following = Following(0)
    following.open()
    assert following.poll() is not None
    following.add(1)
    assert listed(following.poll()) == [1]


def test_but_two_requests_are_enough() -> None:
    following = Following(0)
    following.open()
    following.poll()
    following.add(1)
    following.poll()
    following.add(2)
    assert following.poll() is None


def test_before_there_is_a_session_a_second_request_waits() -> None:
    following = Following(0)
    following.poll()
    following.add(1)
    assert following.poll() is None


def test_the_request_that_opens_a_session_is_not_parked_since_others_may_have_to_follow_it_soon() -> None:
    following = Following(0)
    first = following.poll()
    assert first is not None and first.max_wait_ms == 0
    following.add(1)
    assert following.poll() is None
    following.answer(first)
    second = following.poll()
    assert listed(second) == [1]
    assert second is not None and second.max_wait_ms == 250


def test_both_answers_are_taken() -> None:
    following = Following(0)
    following.open()
    first = following.poll()
    following.add(1)
    second = following.poll()
    assert first is not None and second is not None
    following.answer(first)
    assert [part.partition for part in following.answer(second)] == [partition(1)]


def test_a_log_that_began_anew_takes_no_answer_that_its_predecessor_asked_for() -> None:
    """Seed 20069: a compacted log has holes, so what comes after a gap would have been taken for what follows."""
    following = Following(0, 1)
    following.open()
    following.write(0, "a")
    first = following.poll()
    assert listed(first) == [0]
    following.add(0)  # the same leader in the same epoch: the first log was found damaged and set aside
    assert first is not None
    parts = [FetchedPartition(partition(index), ErrorCode.NONE, 0, 0, 0) for index in (0, 1)]
    answer = Fetched(first.id, ErrorCode.NONE, 7, first.sequence, parts)
    second = following.poll()
    assert listed(second) == [0]
    assert [part.partition for part in following.fetcher.answered(answer, following.ctx)] == [partition(1)]
    assert second is not None
    assert [part.partition for part in following.answer(second)] == [partition(0)]


def test_nor_does_it_before_it_has_asked_for_anything_itself() -> None:
    following = Following(0)
    following.open()
    following.write(0, "a")
    first = following.poll()
    following.add(0)
    assert first is not None
    assert following.answer(first) == []


def test_an_answer_counts_if_a_later_request_asked_for_the_same_offset() -> None:
    following = Following(0)
    following.open()
    following.write(0, "a")
    first = following.poll()
    flush(following.copies[0].log)
    following.add(1)
    following.fetcher.change(partition(0))
    second = following.poll()
    assert listed(first) == [0]
    assert listed(second) == [1, 0]
    assert first is not None and second is not None
    assert [part.partition for part in following.answer(first)] == [partition(0)]
    assert [part.partition for part in following.answer(second)] == [partition(1), partition(0)]


def test_a_partition_that_is_removed_is_forgotten_there() -> None:
    following = Following(0, 1)
    following.open()
    following.fetcher.remove(partition(1))
    fetch = following.poll()
    assert fetch is not None
    assert fetch.forgotten == [partition(1)]


def test_an_answer_has_nothing_for_a_partition_that_was_removed() -> None:
    following = Following(0, 1)
    fetch = following.poll()
    assert fetch is not None
    following.fetcher.remove(partition(1))
    assert [part.partition for part in following.answer(fetch)] == [partition(0)]


def test_an_answer_to_nothing_that_is_out_is_ignored() -> None:
    following = Following(0)
    fetch = following.poll()
    assert fetch is not None
    following.answer(fetch)
    assert following.answer(fetch) == []


def test_an_overdue_answer_ends_the_session() -> None:
    following = Following(0, 1)
    following.open()
    lost = following.poll()
    assert lost is not None
    assert following.ctx.timers[FetcherTimer(1)] == following.ctx.now + 350
    following.fetcher.on_timer(FetcherTimer(1), following.ctx)
    fetch = following.poll()
    assert listed(fetch) == [0, 1]
    assert fetch is not None
    assert (fetch.session, fetch.sequence) == (0, 0)
    assert following.answer(lost) == []


def test_a_session_that_the_leader_does_not_know_is_begun_anew_at_once() -> None:
    following = Following(0)
    fetch = following.poll()
    assert fetch is not None
    following.answer(fetch, ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
    assert listed(following.poll()) == [0]


def test_after_another_error_it_rests() -> None:
    following = Following(0)
    fetch = following.poll()
    assert fetch is not None
    following.answer(fetch, ErrorCode.UNKNOWN_LEADER_EPOCH)
    assert following.poll() is None
    following.ctx.sleep(100)
    assert listed(following.poll()) == [0]


def test_a_partition_that_was_dropped_is_listed_again_at_once() -> None:
    following = Following(0, 1)
    following.open()
    assert following.poll() is not None
    following.fetcher.dropped(partition(0), following.ctx, rest=False)
    assert listed(following.poll()) == [0]


def test_or_after_a_rest() -> None:
    following = Following(0, 1)
    following.open()
    following.fetcher.dropped(partition(0), following.ctx, rest=True)
    fetch = following.poll()
    assert listed(fetch) == []
    assert fetch is not None
    following.ctx.sleep(100)
    following.answer(fetch)
    assert listed(following.poll()) == [0]


def test_who_was_refused_first_rests_but_shortly_and_does_not_wait_for_a_parked_request() -> None:
    """A follower that hears of an election before its leader asks too early; nothing is committed without it."""
    following = Following(0, 1)
    following.open()
    assert following.poll() is not None  # and it is parked
    for times in range(6):
        following.fetcher.dropped(partition(0), following.ctx, rest=True)
        rest = following.ctx.timers[RestTimer(1)] - following.ctx.now
        assert rest == min(100, FIRST_REST_MS << times)
        following.ctx.sleep(rest)
        following.fetcher.on_timer(RestTimer(1), following.ctx)
        again = following.poll()
        assert listed(again) == [0]
        assert again is not None
        following.answer(again)


def test_after_an_answer_that_counts_the_next_rest_is_short_again_and_each_ends_at_its_time() -> None:
    following = Following(0, 1)
    following.open()
    for _ in range(3):
        following.fetcher.dropped(partition(0), following.ctx, rest=True)
    following.fetcher.dropped(partition(1), following.ctx, rest=True)
    assert following.ctx.timers[RestTimer(1)] - following.ctx.now == FIRST_REST_MS
    following.ctx.sleep(FIRST_REST_MS)
    following.fetcher.on_timer(RestTimer(1), following.ctx)
    fetch = following.poll()
    assert listed(fetch) == [1]
    assert following.ctx.timers[RestTimer(1)] - following.ctx.now == 3 * FIRST_REST_MS
    following.fetcher.change(partition(0))
    following.fetcher.dropped(partition(0), following.ctx, rest=True)
    assert following.ctx.timers[RestTimer(1)] - following.ctx.now == FIRST_REST_MS


def test_a_partition_that_pauses_is_forgotten_there_and_listed_again_after_it() -> None:
    following = Following(0, 1)
    following.open()
    following.fetcher.pause(partition(0), Millis(following.ctx.now + 100))
    following.write(0, "a")
    fetch = following.poll()
    assert listed(fetch) == []
    assert fetch is not None
    assert fetch.forgotten == [partition(0)]
    following.answer(fetch)
    following.ctx.sleep(100)
    assert listed(following.poll()) == [0]


def test_what_is_to_be_forgotten_is_told_later_if_nothing_is_asked_for_now() -> None:
    following = Following(0)
    following.open()
    following.fetcher.remove(partition(0))
    following.add(1)
    following.fetcher.pause(partition(1), Millis(following.ctx.now + 100))
    assert following.poll() is None
    following.ctx.sleep(100)
    fetch = following.poll()
    assert listed(fetch) == [1]
    assert fetch is not None
    assert fetch.forgotten == [partition(0)]


def test_a_copy_that_is_being_cut_is_left_out() -> None:
    following = Following(0, 1)
    following.copies[0]._lower = lambda offset: following.ctx.disk.written
    following.copies[0].log.append(batch("a"), 0, 0)
    following.copies[0].cut(0)
    assert listed(following.poll()) == [1]


def test_synced_goes_out_while_a_request_is_parked() -> None:
    following = Following(0)
    following.open()
    following.write(0, "a")
    following.poll()
    flush(following.copies[0].log)
    following.fetcher.tell_synced(LEADER, 12, [partition(0)], following.ctx)
    [synced] = following.ctx.take(Synced)
    assert [(part.partition, part.durable) for part in synced.partitions] == [(partition(0), 1)]


def test_what_was_said_is_not_said_again() -> None:
    following = Following(0)
    following.open()
    following.write(0, "a")
    following.poll()
    flush(following.copies[0].log)
    for _ in range(2):
        following.fetcher.tell_synced(LEADER, 12, [partition(0)], following.ctx)
    assert len(following.ctx.take(Synced)) == 1


def test_without_a_parked_request_the_next_one_says_it() -> None:
    following = Following(0)
    following.open()
    following.write(0, "a")
    flush(following.copies[0].log)
    following.fetcher.tell_synced(LEADER, 12, [partition(0)], following.ctx)
    assert following.ctx.take(Synced) == []
    fetch = following.poll()
    assert fetch is not None
    assert fetch.wanted[0].durable == 1


def test_nothing_to_copy_asks_nothing() -> None:
    assert Following().poll() is None


def test_thousands_are_listed_in_requests_of_so_many_that_are_not_parked_until_all_are_listed() -> None:
    scene = Following(*range(MAX_LISTED + 3))
    first = scene.poll()
    assert first is not None
    assert (len(first.wanted), first.max_wait_ms) == (MAX_LISTED, 0)
    assert scene.poll() is None  # the session is not open yet
    scene.answer(first)
    second = scene.poll()
    assert second is not None
    assert (listed(second), second.max_wait_ms, second.session) == (
        [MAX_LISTED, MAX_LISTED + 1, MAX_LISTED + 2],
        250,
        7,
    )


def test_a_leader_that_is_slow_again_and_again_is_given_more_time_until_it_answers() -> None:
    scene = Following(0)
    given = []
    for _ in range(4):
        assert scene.poll() is not None
        given.append(scene.ctx.timers[FetcherTimer(1)] - scene.ctx.now)
        scene.fetcher.on_timer(FetcherTimer(1), scene.ctx)
    assert given == [350, 450, 650, 250 + (100 << MAX_DOUBLINGS)]
    answered = scene.poll()
    assert answered is not None
    scene.answer(answered)
    scene.write(0, "a")
    assert scene.poll() is not None
    assert scene.ctx.timers[FetcherTimer(1)] - scene.ctx.now == 350
