"""Leaders on request: the preferred one if it may, whoever is left only by hand."""

from __future__ import annotations

import pytest
from administered import CLIENT, Administered

from barnabas.actors.elections import Restart, registration_changes
from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Incarnation
from barnabas.actors.messages import CreateTopic, ElectLeaders, PartitionsDone
from barnabas.actors.metadata import ImpossibleRecord
from barnabas.actors.metadata_records import BrokerRegistered, PartitionChanged


class Scene(Administered):
    """orders-0 prefers b1, orders-1 prefers b2."""

    def __init__(self) -> None:
        super().__init__()
        self.done(CreateTopic(1, CLIENT, "orders", assignments=[[1, 2, 3], [2, 3, 1]]))

    def back(self, broker: int) -> None:
        """Unfenced and in sync again."""
        self.unfence(broker)
        for index in (0, 1):
            self.in_sync("orders", *self.state("orders", index).isr, broker, index=index)

    def lose(self, broker: int) -> None:
        """It dies, and a new life of it has an empty disk."""
        self.fence(broker)
        restart = Restart(same_directory=False, same_boot=False, clean=False, recovered={})
        record = BrokerRegistered(broker, Incarnation(self.image.end + 100), "other", f"b{broker}", "")
        self.image.apply([record, *registration_changes(self.image, broker, restart)], self.image.end)
        self.check()


def test_the_preferred_leader_leads_again_in_a_new_epoch() -> None:
    scene = Scene()
    scene.fence(1)
    scene.back(1)
    assert scene.state("orders").leader == 2
    assert scene.outcomes(ElectLeaders(2, CLIENT, [("orders", 0)])) == [(ErrorCode.NONE, "")]
    assert (scene.state("orders").leader, scene.state("orders").leader_epoch) == (1, 2)


def test_why_it_does_not_is_said() -> None:
    scene = Scene()
    scene.fence(1)
    partitions = [("orders", 0), ("orders", 1), ("orders", 5), ("nothing", 0)]
    outcomes = scene.outcomes(ElectLeaders(2, CLIENT, partitions))
    assert [error for error, _ in outcomes] == [
        ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE,
        ErrorCode.ELECTION_NOT_NEEDED,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
    ]
    assert outcomes[0][1] == "b1, the preferred leader of orders-0, is not up."
    scene.unfence(1)
    [(_, sentence)] = scene.outcomes(ElectLeaders(3, CLIENT, [("orders", 0)]))
    assert "is not in sync" in sentence


def test_everywhere_names_those_that_changed() -> None:
    scene = Scene()
    scene.fence(1)
    scene.back(1)
    reply = scene.ask(ElectLeaders(2, CLIENT))
    assert isinstance(reply, PartitionsDone)
    assert [(outcome.topic, outcome.index) for outcome in reply.outcomes] == [("orders", 0)]
    assert scene.outcomes(ElectLeaders(3, CLIENT)) == []


def test_an_unclean_leader_is_elected_by_hand_where_nobody_else_may_lead() -> None:
    scene = Scene()
    for broker in (3, 2, 1):
        scene.lose(broker)
    assert scene.state("orders").leader == -1
    scene.unfence(3)
    scene.unfence(2)
    assert scene.state("orders").leader == -1
    request = ElectLeaders(2, CLIENT, [("orders", 0)], unclean=True, leaders=[("orders", 0, 3)])
    assert scene.outcomes(request) == [(ErrorCode.NONE, "")]
    state = scene.state("orders")
    assert (state.leader, state.isr, state.elr, state.last_known_elr) == (3, (3,), (), ())
    scene.in_sync("orders", 3, 2)
    assert scene.state("orders").isr == (2, 3)


def test_an_unclean_election_is_refused_in_words() -> None:
    scene = Scene()
    reply = scene.ask(ElectLeaders(2, CLIENT, unclean=True))
    assert isinstance(reply, PartitionsDone)
    assert "one by one" in reply.reason
    [(error, sentence)] = scene.outcomes(ElectLeaders(3, CLIENT, [("orders", 0)], unclean=True))
    assert (error, "b1 leads orders-0" in sentence) == (ErrorCode.ELECTION_NOT_NEEDED, True)
    for broker in (1, 2, 3):
        scene.fence(broker)
    [(error, sentence)] = scene.outcomes(ElectLeaders(4, CLIENT, [("orders", 0)], unclean=True))
    assert (error, "is up" in sentence) == (ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, True)
    request = ElectLeaders(5, CLIENT, [("orders", 0)], unclean=True, leaders=[("orders", 0, 1)])
    [(error, sentence)] = scene.outcomes(request)
    assert (error, "b1 is no replica" in sentence) == (ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE, True)


def test_no_record_elects_uncleanly_while_somebody_leads() -> None:
    scene = Scene()
    state = scene.state("orders")
    with pytest.raises(ImpossibleRecord, match="unclean"):
        scene.image.apply([PartitionChanged(state.partition, 2, 1, 1, [2], unclean=True)], scene.image.end)
