"""What applications hold: producers, consumers and admins that block, and their twins that await.

Keys and values are bytes; text becomes UTF-8. The asyncio clients load on first use: who blocks needs no asyncio here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .admin import Admin as Admin
from .arrivals import ConsumerRecord as ConsumerRecord
from .arrivals import TopicPartition as TopicPartition
from .consumer import Consumer as Consumer
from .outcomes import FailedRecord as FailedRecord
from .outcomes import RecordMetadata as RecordMetadata
from .outcomes import SendFuture as SendFuture
from .producer import Producer as Producer
from .runtime import Runtime as Runtime

if TYPE_CHECKING:
    from .asyncio_admin import AsyncAdmin as AsyncAdmin
    from .asyncio_consumer import AsyncConsumer as AsyncConsumer
    from .asyncio_producer import AsyncProducer as AsyncProducer

_LATER = {
    "AsyncAdmin": ".asyncio_admin",
    "AsyncConsumer": ".asyncio_consumer",
    "AsyncProducer": ".asyncio_producer",
}


def __getattr__(name: str) -> object:
    home = _LATER.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
