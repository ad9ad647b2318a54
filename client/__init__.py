"""What applications hold: producers, consumers and admins that block, and their twins that await.

Keys and values are bytes; text becomes UTF-8. Names load on first use: a command that says that there is no cluster
needs no consumer, and who blocks needs no asyncio here.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .admin import Admin as Admin
    from .arrivals import ConsumerRecord as ConsumerRecord
    from .arrivals import TopicPartition as TopicPartition
    from .asyncio_admin import AsyncAdmin as AsyncAdmin
    from .asyncio_consumer import AsyncConsumer as AsyncConsumer
    from .asyncio_producer import AsyncProducer as AsyncProducer
    from .consumer import Consumer as Consumer
    from .outcomes import FailedRecord as FailedRecord
    from .outcomes import RecordMetadata as RecordMetadata
    from .outcomes import SendFuture as SendFuture
    from .producer import Producer as Producer
    from .runtime import Runtime as Runtime

_HOMES = {
    "Admin": ".admin",
    "AsyncAdmin": ".asyncio_admin",
    "AsyncConsumer": ".asyncio_consumer",
    "AsyncProducer": ".asyncio_producer",
    "Consumer": ".consumer",
    "ConsumerRecord": ".arrivals",
    "FailedRecord": ".outcomes",
    "Producer": ".producer",
    "RecordMetadata": ".outcomes",
    "Runtime": ".runtime",
    "SendFuture": ".outcomes",
    "TopicPartition": ".arrivals",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value
