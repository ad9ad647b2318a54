"""Producer ids, in blocks: a broker gives them out one by one without asking again.

A block whose reply is lost is lost with it: ids are plenty (2^63), and none is ever given twice.
"""

from __future__ import annotations

from .decisions import Decision
from .errors import ErrorCode
from .isr_changes import broker_error
from .messages import ProducerIdsReserved, ReserveProducerIds
from .metadata import MetadataImage
from .metadata_records import ProducerIdsTaken

BLOCK = 1000


def reserve(image: MetadataImage, message: ReserveProducerIds) -> Decision:
    """A block of `BLOCK` ids, this broker's alone for ever."""
    error = broker_error(image, message.broker, message.broker_epoch)
    if error is not ErrorCode.NONE:
        return Decision([], reply=lambda: ProducerIdsReserved(message.id, error, leader=image.controller))
    first = image.next_producer_id
    return Decision(
        [ProducerIdsTaken(message.broker, first + BLOCK)],
        f"b{message.broker} asked for producer ids",
        lambda: ProducerIdsReserved(message.id, ErrorCode.NONE, first, BLOCK, leader=image.controller),
    )
