"""CreatePartitions, ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments: what becomes of partitions.

All are asked of the controllers by the gateway, except for the last, which any broker knows.
"""

from __future__ import annotations

from functools import partial

from ....actors.admin_messages import (
    CreatePartitions,
    ElectLeaders,
    ListReassignments,
    PartitionsDone,
    PartitionTarget,
    Reassign,
    ReassignmentsListed,
)
from ....actors.client_commands import Change, Command
from ....actors.errors import ErrorCode
from ..exchange import BROKER, Exchange, Outcome
from ..messages.alter_partition_reassignments import (
    AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse,
    ReassignableTopicResponse,
)
from ..messages.create_partitions import (
    CreatePartitionsRequest,
    CreatePartitionsResponse,
    CreatePartitionsTopic,
    CreatePartitionsTopicResult,
)
from ..messages.elect_leaders import (
    ElectLeadersRequest,
    ElectLeadersResponse,
    PartitionResult,
    ReplicaElectionResult,
)
from ..messages.list_partition_reassignments import (
    ListPartitionReassignmentsRequest,
    ListPartitionReassignmentsResponse,
    OngoingPartitionReassignment,
    OngoingTopicReassignment,
)
from .topics import said

UNCLEAN = 1
"""As the type of an election: whoever is left may lead."""

Outcomes = dict[tuple[str, int], tuple[ErrorCode, str | None]]


async def create_partitions(request: CreatePartitionsRequest, exchange: Exchange) -> CreatePartitionsResponse:
    outcomes = await exchange.commands([partial(_grow, topic, request) for topic in request.topics])
    results = []
    for topic, outcome in zip(request.topics, outcomes, strict=True):
        error, sentence = (ErrorCode.NONE, None) if outcome.failure is None else said(outcome.failure)
        results.append(CreatePartitionsTopicResult(topic.name, error, sentence))
    return CreatePartitionsResponse(results=results)


def _grow(topic: CreatePartitionsTopic, request: CreatePartitionsRequest, token: object) -> Command:
    wanted = partial(
        CreatePartitions,
        name=topic.name,
        total=topic.count,
        assignments=[given.broker_ids for given in topic.assignments or ()],
        validate_only=request.validate_only,
    )
    led = 0 if request.validate_only else max(topic.count, 0)  # wait for leaders: then the new ones can be used
    return Change(token, topic.name, wanted, max(request.timeout_ms, 0), led)


async def elect_leaders(request: ElectLeadersRequest, exchange: Exchange) -> ElectLeadersResponse:
    """No partitions named: all that are not led by their preferred leader, and only those are answered."""
    named = request.topic_partitions
    places = None if named is None else [(t.topic, index) for t in named for index in t.partitions]
    wanted = partial(ElectLeaders, partitions=places, unclean=request.election_type == UNCLEAN)
    [outcome] = await exchange.commands([lambda token: _ask("leaders", wanted, request.timeout_ms, token)])
    if outcome.failure is not None:
        error, _ = said(outcome.failure)
        return ElectLeadersResponse(error_code=error)
    results: dict[str, list[PartitionResult]] = {}
    for (topic, index), (error, sentence) in _outcomes(outcome).items():
        results.setdefault(topic, []).append(PartitionResult(index, error, sentence))
    return ElectLeadersResponse(
        replica_election_results=[ReplicaElectionResult(topic, found) for topic, found in results.items()]
    )


async def alter_partition_reassignments(
    request: AlterPartitionReassignmentsRequest, exchange: Exchange
) -> AlterPartitionReassignmentsResponse:
    targets = [
        PartitionTarget(topic.name, asked.partition_index, asked.replicas)
        for topic in request.topics
        for asked in topic.partitions
    ]
    wanted = partial(Reassign, targets=targets)
    [outcome] = await exchange.commands([lambda token: _ask("replicas", wanted, request.timeout_ms, token)])
    if outcome.failure is not None:
        error, sentence = said(outcome.failure)
        return AlterPartitionReassignmentsResponse(error_code=error, error_message=sentence)
    told = _outcomes(outcome)
    responses = [
        ReassignableTopicResponse(
            topic.name,
            [
                ReassignablePartitionResponse(asked.partition_index, *told[topic.name, asked.partition_index])
                for asked in topic.partitions
            ],
        )
        for topic in request.topics
    ]
    return AlterPartitionReassignmentsResponse(error_message=None, responses=responses)


def _ask(of: str, wanted: partial[ElectLeaders] | partial[Reassign], timeout_ms: int, token: object) -> Command:
    return Change(token, of, wanted, max(timeout_ms, 0))


def _outcomes(outcome: Outcome) -> Outcomes:
    assert isinstance(outcome.answer, PartitionsDone), "such requests are answered so"
    return {(each.topic, each.index): (each.error, each.reason or None) for each in outcome.answer.outcomes}


async def list_partition_reassignments(
    request: ListPartitionReassignmentsRequest, exchange: Exchange
) -> ListPartitionReassignmentsResponse:
    named = request.topics
    places = None if named is None else [(t.name, index) for t in named for index in t.partition_indexes]
    listed = await exchange.ask(BROKER, ListReassignments(exchange.number, places), ReassignmentsListed)
    topics: dict[str, list[OngoingPartitionReassignment]] = {}
    for moving in listed.reassignments:
        place = OngoingPartitionReassignment(moving.index, moving.replicas, moving.adding, moving.removing)
        topics.setdefault(moving.topic, []).append(place)
    return ListPartitionReassignmentsResponse(
        error_code=listed.error,
        error_message=None,
        topics=[OngoingTopicReassignment(name, places) for name, places in topics.items()],
    )
