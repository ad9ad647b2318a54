"""What applications hold: blocking producers, consumers and admins. Keys and values are bytes; text becomes UTF-8."""

from .admin import Admin as Admin
from .consumer import Consumer as Consumer
from .consumer import ConsumerRecord as ConsumerRecord
from .consumer import TopicPartition as TopicPartition
from .producer import Producer as Producer
from .producer import RecordMetadata as RecordMetadata
from .producer import SendFuture as SendFuture
from .runtime import Runtime as Runtime
