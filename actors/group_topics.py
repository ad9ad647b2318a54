"""The topics as a coordinator knows them: told by the broker in its node, which knows the metadata."""

from __future__ import annotations

from collections.abc import Iterable

from .coordinator_log_messages import TopicsMoved
from .envelope import Partition, TopicId, TopicName


class Topics:
    """By id and by name. `whole` says whether anything was told yet."""

    def __init__(self) -> None:
        self.whole = False
        self.by_id: dict[TopicId, TopicName] = {}
        self.by_name: dict[str, TopicName] = {}

    def moved(self, news: TopicsMoved) -> set[TopicId]:
        """Take news in. Returns the topics that are gone."""
        gone = set(news.deleted)
        if news.whole:
            self.whole = True
            gone |= set(self.by_id) - {topic.id for topic in news.topics}
        for topic_id in gone:
            topic = self.by_id.pop(topic_id, None)
            if topic is not None and self.by_name.get(topic.name) == topic:
                del self.by_name[topic.name]
        for topic in news.topics:
            self.by_id[topic.id] = topic
            self.by_name[topic.name] = topic
        return gone

    def has(self, partition: Partition) -> bool:
        """Whether there is such a partition."""
        topic = self.by_id.get(partition.topic)
        return topic is not None and 0 <= partition.index < topic.partitions

    def name(self, topic_id: TopicId) -> str:
        """For people; the id of a topic that is gone."""
        topic = self.by_id.get(topic_id)
        return topic_id if topic is None else topic.name

    def partitions(self, topics: Iterable[TopicName]) -> list[Partition]:
        """All partitions of these topics."""
        return [Partition(topic.id, index) for topic in topics for index in range(topic.partitions)]
