"""InitProducerId: an identity for a producer that numbers its batches. Transactional ids are not served yet."""

from __future__ import annotations

from ....actors.errors import ErrorCode
from ....actors.messages import GiveProducerId, ProducerIdGiven
from ..exchange import BROKER, Exchange
from ..messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse


async def init_producer_id(request: InitProducerIdRequest, exchange: Exchange) -> InitProducerIdResponse:
    """A new identity each time, also for who has one: without a transactional id Kafka does the same."""
    if request.transactional_id is not None:
        return InitProducerIdResponse(error_code=ErrorCode.UNSUPPORTED_VERSION, producer_epoch=-1)
    given = await exchange.ask(BROKER, GiveProducerId(exchange.number), ProducerIdGiven)
    if given.error is not ErrorCode.NONE:
        return InitProducerIdResponse(error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, producer_epoch=-1)
    return InitProducerIdResponse(producer_id=given.producer_id, producer_epoch=given.producer_epoch)
