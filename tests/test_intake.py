"""Records on their way to the I/O thread: who is woken, what one turn takes, and room."""

from __future__ import annotations

import threading

import pytest

from barnabas.actors.rows import Rows
from barnabas.client.errors import Closed
from barnabas.client.intake import RUN, Intake, Put


def put(intake: Intake, count: int = 1, topic: str = "t", size: int = 1) -> list[Put]:
    return [intake.put(topic, -1, None, b"x", number, size) for number in range(count)]


def test_the_first_record_of_a_burst_wakes_and_the_others_do_not() -> None:
    intake = Intake(1_000)
    assert put(intake, 3) == [Put.WAKE, Put.TAKEN, Put.TAKEN]


def test_while_the_io_thread_comes_by_itself_nobody_wakes_it() -> None:
    intake = Intake(1_000)
    put(intake)
    assert [len(command.rows.keys) for command in intake.take(again=True)] == [1]
    assert put(intake, 2) == [Put.TAKEN, Put.TAKEN]
    assert [len(command.rows.keys) for command in intake.take(again=True)] == [2]


def test_once_it_has_found_nothing_it_is_woken_again() -> None:
    intake = Intake(1_000)
    put(intake)
    intake.take(again=True)
    assert intake.take(again=True) == []
    assert put(intake, 2) == [Put.WAKE, Put.TAKEN]


def test_who_does_not_come_again_is_woken_for_every_burst() -> None:
    intake = Intake(1_000)
    put(intake)
    intake.take(again=False)
    assert put(intake, 2) == [Put.WAKE, Put.TAKEN]


def test_a_large_burst_does_not_wait_for_the_next_look() -> None:
    intake = Intake(1 << 30)
    put(intake)
    intake.take(again=True)
    wakes = [number for number, result in enumerate(put(intake, 2 * RUN), 1) if result is Put.WAKE]
    assert wakes == [RUN]


def test_one_turn_takes_about_as_much_as_it_should_and_leaves_the_rest() -> None:
    intake = Intake(1 << 30)
    rows = Rows([None] * 1_000, [b"x"] * 1_000, range(1_000), [1] * 1_000)
    for _ in range(10):
        intake.put_all("t", -1, rows)
    counts = []
    while commands := intake.take(again=True):
        counts.append(sum(len(command.rows.keys) for command in commands))
    assert sum(counts) == 10_000
    assert max(counts) < 2 * RUN


def test_topics_and_partitions_stay_in_the_order_of_the_calls() -> None:
    intake = Intake(1_000)
    for topic in "aabba":
        put(intake, topic=topic)
    assert [(run.topic, len(run.rows.keys)) for run in intake.take(again=True)] == [("a", 2), ("b", 2), ("a", 1)]


def test_there_is_room_again_when_outcomes_are_known() -> None:
    intake = Intake(10)
    assert put(intake, 3, size=4) == [Put.WAKE, Put.TAKEN, Put.NO_ROOM]
    assert intake.pending == 8
    intake.freed += 4
    assert put(intake, 2, size=4) == [Put.TAKEN, Put.NO_ROOM]


def test_a_record_larger_than_the_buffer_is_let_in_alone() -> None:
    intake = Intake(10)
    assert put(intake, 2, size=100) == [Put.WAKE, Put.NO_ROOM]


def test_reserved_room_is_taken_once_and_can_be_given_back() -> None:
    intake = Intake(10)
    assert intake.reserve(6)
    assert not intake.reserve(6)
    intake.put_all("t", 0, Rows([None], [b"x"], ["a"], [6]), reserved=True)
    assert intake.pending == 6
    assert intake.reserve(4)
    intake.give_back(4)
    assert intake.pending == 6


def test_what_comes_after_the_end_is_refused_and_takes_no_room() -> None:
    intake = Intake(10)
    intake.close()
    with pytest.raises(Closed):
        put(intake)
    with pytest.raises(Closed):
        intake.put_all("t", 0, Rows([None], [b"x"], ["a"], [1]))
    assert intake.pending == 0


def test_threads_that_put_at_the_same_time_lose_nothing_and_always_wake_someone() -> None:
    intake, taken, woken = Intake(1 << 30), 0, threading.Semaphore(0)
    threads = 4

    def work() -> None:
        for number in range(2_000):
            if intake.put("t", -1, None, b"x", number, 1) is Put.WAKE:
                woken.release()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    while taken < threads * 2_000:
        assert woken.acquire(timeout=10), "there are records, and nobody was woken"
        while commands := intake.take(again=True):
            taken += sum(len(command.rows.keys) for command in commands)
    for worker in workers:
        worker.join()
    assert intake.pending == threads * 2_000
