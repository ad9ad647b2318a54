"""What a controller remembers of heartbeats."""

from __future__ import annotations

from barnabas.actors.kernel import Incarnation, Millis
from barnabas.actors.messages import BrokerHeartbeat
from barnabas.actors.metadata import MetadataImage
from barnabas.actors.metadata_records import BrokerRegistered, BrokerUnfenced
from barnabas.actors.sessions import Sessions


def beat(broker: int, sequence: int, life: int = 1, epoch: int = 0) -> BrokerHeartbeat:
    return BrokerHeartbeat(sequence, broker, epoch, Incarnation(life), 7, False)


def image_of(*brokers: int) -> MetadataImage:
    image = MetadataImage()
    for broker in brokers:
        epoch = image.end
        image.apply([BrokerRegistered(broker, Incarnation(1), "d", "e", ""), BrokerUnfenced(broker, epoch)], epoch)
    return image


def test_sessions_end_in_the_order_of_their_last_heartbeats_then_by_id() -> None:
    sessions, image = Sessions(3000, 250), image_of(1, 2, 3)
    for broker, at in ((3, 100), (1, 200), (2, 100)):
        sessions.heard(beat(broker, 1, epoch=image.brokers[broker].epoch), Millis(at))
    assert sessions.expired(image, Millis(3099)) == []
    assert sessions.expired(image, Millis(3100)) == [2, 3]
    assert sessions.expired(image, Millis(3200)) == [2, 3, 1]
    assert sessions.next_end(image) == 3100


def test_heartbeats_that_were_overtaken_or_doubled_are_no_sign_of_life() -> None:
    sessions = Sessions(3000, 250)
    assert sessions.heard(beat(1, 5), Millis(0))
    assert not sessions.heard(beat(1, 5), Millis(10))
    assert not sessions.heard(beat(1, 4), Millis(10))
    assert sessions.heard(beat(1, 6), Millis(10))


def test_a_later_life_counts_from_its_own_first_heartbeat() -> None:
    sessions = Sessions(3000, 250)
    sessions.heard(beat(1, 500), Millis(0))
    assert sessions.heard(beat(1, 1, life=2, epoch=9), Millis(10))
    assert not sessions.heard(beat(1, 501), Millis(20))
    assert sessions.of(1, Incarnation(1)) is None


def test_a_new_controller_goes_on_with_what_it_heard_but_leaves_two_heartbeats_at_least() -> None:
    sessions, image = Sessions(3000, 250), image_of(1, 2)
    sessions.heard(beat(1, 1), Millis(0))
    sessions.inherit(image, Millis(50_000))
    assert sessions.expired(image, Millis(50_499)) == []
    assert sessions.expired(image, Millis(50_500)) == [1]
    assert sessions.expired(image, Millis(53_000)) == [1, 2]


def test_a_session_that_has_ended_begins_again_with_a_heartbeat() -> None:
    sessions = Sessions(3000, 250)
    sessions.heard(beat(1, 1), Millis(0))
    sessions.ended(1)
    assert not sessions.alive(1, Incarnation(1), Millis(1))
    sessions.heard(beat(1, 2), Millis(2))
    assert sessions.alive(1, Incarnation(1), Millis(3))
