"""A broker's side of the coordinators in its node: it tells them what happens to the logs that their state is in.

The other side is `shard`. A coordinator hears of a term when this broker begins to lead a partition of its topic, of
each move of the high watermark in it, and of its end; of the lease whenever it is renewed; and of topics that come and
go. It has its records written by `AppendRecords`, which is answered before anything else happens at this node, so
within a term nothing is ever uncertain: what was written is committed sooner or later, or the term ends.

These topics are written by nobody else (`Produce` to them is refused), so what a coordinator reads up to the beginning
of its term, and what it has written since, is all that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..storage.disk import DiskFull
from ..storage.records import InvalidBatch, check_incoming
from .coordinator_log_messages import (
    AppendRecords,
    Committed,
    LeaseRenewed,
    RecordsAppended,
    TermBegan,
    TermEnded,
    TopicsMoved,
)
from .errors import ErrorCode
from .internal_topics import internal_topic
from .kernel import Address, Context, Millis, address, node_of
from .messages import Partition, TopicId, TopicName
from .metadata import MetadataImage
from .reads import Find
from .replica import Replica


class CoordinatorLogs:
    """What the coordinators of one node are told."""

    def __init__(
        self,
        find: Find,
        image: Callable[[], MetadataImage],
        appended: Callable[[Replica, Context], None],
        actors: Sequence[str],
    ) -> None:
        self._find = find
        self._image = image
        self._appended = appended
        self._actors = tuple(actors)  # the coordinators that live in this node
        self._terms: dict[Partition, tuple[str, int, int]] = {}  # actor, leader epoch, high watermark as told
        self._topics: dict[TopicId, TopicName] | None = None  # as told; None: nothing yet
        self._leased = Millis(-1)

    # --- Terms ---

    def began(self, replica: Replica, ctx: Context) -> None:
        """This broker leads a partition now."""
        topic = internal_topic(replica.topic)
        if topic is None or topic.actor not in self._actors:
            return
        self._terms[replica.partition] = (topic.actor, replica.leader_epoch, -1)
        log = replica.log
        term = TermBegan(topic.name, replica.partition, replica.leader_epoch, log.start, log.end)
        self._tell(topic.actor, term, ctx)

    def ended(self, partition: Partition, ctx: Context) -> None:
        """It does not any more, or not in the same epoch."""
        term = self._terms.pop(partition, None)
        if term is not None:
            actor, epoch, _ = term
            self._tell(actor, TermEnded(partition, epoch), ctx)

    def committed(self, replica: Replica, ctx: Context) -> None:
        """The high watermark may have moved, in a term in which this broker knows it."""
        term = self._terms.get(replica.partition)
        if term is None:
            return
        actor, epoch, told = term
        hw = replica.readable_hw
        if hw > told:
            self._terms[replica.partition] = (actor, epoch, hw)
            self._tell(actor, Committed(replica.partition, epoch, hw), ctx)

    def leased(self, until: Millis, ctx: Context) -> None:
        """The lease may have been renewed."""
        if until > self._leased:
            self._leased = until
            for actor in self._actors:
                self._tell(actor, LeaseRenewed(until), ctx)

    # --- Topics ---

    def adopted(self, changed: Sequence[Partition] | None, ctx: Context) -> None:
        """The metadata have moved: tell what came, grew and went. `changed` None: it may be anything."""
        if not self._actors:
            return
        image = self._image()
        if self._topics is None or changed is None:
            known = {topic.id: TopicName(topic.id, topic.name, topic.partitions) for topic in image.topics.values()}
            self._topics = dict(known)
            self._moved(TopicsMoved(image.end, True, [known[topic_id] for topic_id in sorted(known)], []), ctx)
            return
        topics, deleted = [], []
        for topic_id in dict.fromkeys(partition.topic for partition in changed):
            topic = image.topics.get(topic_id)
            if topic is None:
                if self._topics.pop(topic_id, None) is not None:
                    deleted.append(topic_id)
                continue
            name = TopicName(topic.id, topic.name, topic.partitions)
            if self._topics.get(topic_id) != name:
                self._topics[topic_id] = name
                topics.append(name)
        if topics or deleted:
            self._moved(TopicsMoved(image.end, False, topics, deleted), ctx)

    def _moved(self, moved: TopicsMoved, ctx: Context) -> None:
        for actor in self._actors:
            self._tell(actor, moved, ctx)

    # --- Writing ---

    def append(self, sender: Address, request: AppendRecords, ctx: Context) -> None:
        """Write a coordinator's records, now or not at all."""
        replica = self._find(request.partition, request.leader_epoch, ctx)
        if not isinstance(replica, Replica):
            self._refuse(sender, request, replica, "this broker does not lead it any more", ctx)
            return
        leading = replica.leading
        assert leading is not None, "only leaders are found"
        if not leading.enough:
            reason = f"{len(leading.isr)} replicas are in sync, {leading.min_insync} are needed"
            self._refuse(sender, request, ErrorCode.NOT_ENOUGH_REPLICAS, reason, ctx)
            return
        data = bytearray(request.batch.data)
        try:
            check_incoming(data, replica.max_message_bytes)
            done = replica.log.append(data, replica.leader_epoch, ctx.wall)
        except InvalidBatch as error:
            self._refuse(sender, request, ErrorCode.MESSAGE_TOO_LARGE, str(error), ctx)
            return
        except DiskFull as error:  # the reserve that user writes must leave (`writes`) is used up too
            self._refuse(sender, request, ErrorCode.KAFKA_STORAGE_ERROR, str(error), ctx)
            return
        answer = RecordsAppended(
            request.id, request.partition, request.leader_epoch, ErrorCode.NONE, done.base_offset, done.last_offset + 1
        )
        ctx.send(sender, answer)  # before the high watermark may pass it
        self._appended(replica, ctx)

    def _refuse(self, to: Address, request: AppendRecords, error: ErrorCode, reason: str, ctx: Context) -> None:
        ctx.send(to, RecordsAppended(request.id, request.partition, request.leader_epoch, error, reason=reason))

    def _tell(
        self, actor: str, message: TermBegan | TermEnded | Committed | LeaseRenewed | TopicsMoved, ctx: Context
    ) -> None:
        ctx.send(address(node_of(ctx.me), actor), message)
