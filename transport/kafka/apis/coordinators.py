"""FindCoordinator: which broker keeps a group, or a transactional id. Any broker knows."""

from __future__ import annotations

from ....actors.coordinator_messages import CoordinatorKind, CoordinatorPlace, CoordinatorsFound, FindCoordinator
from ....actors.errors import ErrorCode
from ..exchange import BROKER, Exchange
from ..messages.find_coordinator import Coordinator, FindCoordinatorRequest, FindCoordinatorResponse
from ..view import View

MANY_FROM = 4
"""The first version that asks for several keys at once (KIP-699)."""


async def find_coordinator(request: FindCoordinatorRequest, exchange: Exchange) -> FindCoordinatorResponse:
    keys = request.coordinator_keys if exchange.version >= MANY_FROM else [request.key]
    if request.key_type == CoordinatorKind.GROUP:
        asked = FindCoordinator(exchange.number, CoordinatorKind.GROUP, keys)
        answer = await exchange.ask(BROKER, asked, CoordinatorsFound)
        found = [_place(exchange.view, place) for place in answer.places]
    else:
        sentence = "This version coordinates groups only, not transactions."
        found = [Coordinator(key, -1, "", -1, ErrorCode.INVALID_REQUEST, sentence) for key in keys]
    if exchange.version >= MANY_FROM:
        return FindCoordinatorResponse(coordinators=found)
    [one] = found
    return FindCoordinatorResponse(0, one.error_code, one.error_message, one.node_id, one.host, one.port)


def _place(view: View, found: CoordinatorPlace) -> Coordinator:
    place = view.place(found.broker) if found.error is ErrorCode.NONE else None
    if place is not None:
        return Coordinator(found.key, place.broker, place.host, place.port, ErrorCode.NONE, None)
    error = found.error if found.error is not ErrorCode.NONE else ErrorCode.COORDINATOR_NOT_AVAILABLE
    return Coordinator(found.key, -1, "", -1, error, found.reason or None)
