"""A subscriber's half of the metadata broadcast: how a broker knows what the cluster has decided (D26).

The broadcast is a hint, the log is the truth. Frames may be lost, late, doubled or in the wrong order; whatever
happens to them, the image converges on the log, at worst two heartbeats and one round trip behind:

- a frame is applied if it continues the image (what it repeats is skipped), and kept if it comes too early;
- a gap or silence asks a controller for the range that is missing: one question at a time, at a random moment within
  50 ms, so that brokers that miss one frame together do not ask together. The active controller is asked first, then
  each in turn; every one knows what is committed. A question to one that has died meanwhile goes to the next at once;
- another controller epoch is no gap: only committed records are broadcast, so a frame that continues the image is true
  whoever says it;
- a frame of an older controller epoch than the newest heard is from one who does not know that it was replaced;
- what is kept is bounded: if it overflows it is thrown away and fetched;
- a snapshot comes in pieces and replaces the image whole, if it is ahead of it.

Nothing here waits: the owner hands in messages and timers, and is told whether anything moved. `take_changed` says
what did since it was last asked. A batch that is damaged on its way is as good as lost; a whole one that does not
apply is fatal (R12), as at the controllers.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..storage.records import InvalidBatch
from .broker_configs import ALL_BROKERS
from .errors import ErrorCode
from .kernel import Address, Context, Payload, Timer, address, node_of
from .messages import FetchMetadata, MetadataRange, MetadataSnapshot, MetadataUpdate, Partition
from .metadata import MetadataImage
from .metadata_codec import decode_batches
from .metadata_records import (
    BrokersConfigured,
    MetadataRecord,
    PartitionChanged,
    PartitionCreated,
    TopicConfigured,
    TopicDeleted,
)
from .metadata_snapshot import BadSnapshot
from .snapshot_pieces import SnapshotPieces

HEARTBEAT_MS = 250
SILENCE_MS = 2 * HEARTBEAT_MS
JITTER_MS = 50
RETRY_MS = 250
MAX_EARLY = 4096


class MetadataFetchDue(Timer, frozen=True):
    """The random moment of a fetch has come."""


class MetadataFetchLost(Timer, frozen=True):
    """The fetch that is out was not answered: ask the next controller."""


class MetadataSilence(Timer, frozen=True):
    """No frame for two heartbeats."""


class MetadataFollower:
    """Follows the metadata. `controllers`: id to node endpoint; `image`: from a cached snapshot, or empty."""

    def __init__(self, cluster_id: str, controllers: Mapping[int, str], image: MetadataImage | None = None) -> None:
        assert controllers, "at least one controller"
        self.cluster_id = cluster_id
        self.controllers = {controller: controllers[controller] for controller in sorted(controllers)}
        self.image = MetadataImage() if image is None else image
        self.known_end = 0  # the highest committed end that any controller has told
        self.epoch = -1  # the highest controller epoch heard
        self.active = -1  # the controller to ask first, -1: unknown
        self.answered = False  # a controller has answered at least once
        self._early: dict[int, MetadataUpdate] = {}  # by what they continue
        self._asked: FetchMetadata | None = None  # the question that is out
        self._at = ""  # the node that it was asked of
        self._due = False  # a question will be asked within 50 ms
        self._turn = 0
        self._next_id = 0
        self._pieces = SnapshotPieces()  # of a snapshot that is not whole yet
        self._changed: dict[Partition, None] | None = None  # None: everything

    @property
    def caught_up(self) -> bool:
        """Whether the image is as far as any controller has told, and one has."""
        return self.answered and self.image.end >= self.known_end

    def take_changed(self) -> list[Partition] | None:
        """The partitions that were made, changed or deleted since the last take; None if it may be any of them."""
        changed, self._changed = self._changed, {}
        return None if changed is None else sorted(changed)

    # --- inputs: each says whether the image moved, or whether it is now known to be up to date

    def start(self, ctx: Context) -> None:
        """Ask at once; brokers start at different moments anyway."""
        self._await_frames(ctx)
        self._ask(ctx)

    def refresh(self, ctx: Context) -> None:
        """There may be news: ask, unless a question is out or about to be."""
        if self._asked is None and not self._due:
            self._due = True
            ctx.set_timer(MetadataFetchDue(), ctx.random.randint(0, JITTER_MS))

    def on_peer_gone(self, node: str, ctx: Context) -> None:
        """Nobody answers at a node any more."""
        if self.controllers.get(self.active) == node:
            self.active = -1
        if self._asked is not None and self._at == node:
            self._ask(ctx)

    def on_update(self, update: MetadataUpdate, ctx: Context) -> bool:
        """A frame of the broadcast."""
        if update.cluster_id != self.cluster_id or update.controller_epoch < self.epoch:
            return False
        self._await_frames(ctx)
        self.epoch, self.active = update.controller_epoch, update.controller
        self.known_end = max(self.known_end, update.offset)
        before = self.image.end
        if update.records is not None and update.offset > self.image.end:
            self._take(update)
        if self.known_end > self.image.end:
            self.refresh(ctx)
        return self.image.end > before

    def on_range(self, answer: MetadataRange, ctx: Context) -> bool:
        """Part of the log, perhaps the rest of it."""
        if self._asked is None or answer.id != self._asked.id:
            return False
        self._settle(ctx)
        if answer.error is not ErrorCode.NONE:
            self._retry(ctx)
            return False
        was, before = self.caught_up, self.image.end
        self._heard(answer.controller_epoch, answer.leader, answer.committed)
        if answer.records is not None and not self._apply(answer.records):
            self._retry(ctx)
            return False
        self._apply_early()
        self._go_on(before, ctx)
        return self.image.end > before or self.caught_up > was

    def on_snapshot(self, answer: MetadataSnapshot, ctx: Context) -> bool:
        """A piece of a snapshot; the last one replaces the image."""
        if self._asked is None or answer.id != self._asked.id:
            return False
        self._settle(ctx)
        if not self._pieces.add(answer):
            self._retry(ctx)
            return False
        self._heard(answer.controller_epoch, answer.leader, answer.end)
        data = self._pieces.whole(answer)
        if data is None:
            self._ask(ctx)
            return False
        before = self.image.end
        try:
            image = MetadataImage.from_snapshot(data)
        except BadSnapshot:
            self._retry(ctx)
            return False
        if image.end > self.image.end:
            self.image, self._changed = image, None
        self._apply_early()
        self._ask(ctx)  # the log goes on behind the snapshot
        return self.image.end > before

    def on_timer(self, timer: Timer, ctx: Context) -> bool:
        """One of the three timers, or anybody else's. Nothing moves by time alone: always False."""
        match timer:
            case MetadataFetchDue():
                self._due = False
                if self._asked is None:
                    self._ask(ctx)
            case MetadataFetchLost():
                self._asked, self.active = None, -1
                self._ask(ctx)
            case MetadataSilence():
                self._await_frames(ctx)
                self.refresh(ctx)
            case _:
                pass
        return False

    # --- asking

    def _ask(self, ctx: Context) -> None:
        self._next_id += 1
        pieces = self._pieces
        self._asked = FetchMetadata(self._next_id, self.cluster_id, self.image.end, pieces.end, pieces.position)
        to = self._target()
        self._at = node_of(to)
        ctx.send(to, self._asked)
        ctx.set_timer(MetadataFetchLost(), RETRY_MS + ctx.random.randint(0, JITTER_MS))

    def _target(self) -> Address:
        if self.active in self.controllers:
            return address(self.controllers[self.active], "controller")
        self._turn += 1
        endpoints = list(self.controllers.values())
        return address(endpoints[self._turn % len(endpoints)], "controller")

    def _settle(self, ctx: Context) -> None:
        """The question that was out is answered."""
        self._asked = None
        ctx.cancel_timer(MetadataFetchLost())

    def _retry(self, ctx: Context) -> None:
        """The answer was of no use: ask the next one, not at once."""
        self.active = -1
        self._due = True
        ctx.set_timer(MetadataFetchDue(), RETRY_MS + ctx.random.randint(0, JITTER_MS))

    def _go_on(self, before: int, ctx: Context) -> None:
        """Fetch the rest: at once while it flows, later if this controller is behind what is known."""
        if self.image.end >= self.known_end:
            return
        if self.image.end > before:
            self._ask(ctx)
        else:
            self._retry(ctx)

    def _await_frames(self, ctx: Context) -> None:
        ctx.set_timer(MetadataSilence(), SILENCE_MS)

    def _heard(self, epoch: int, leader: int, committed: int) -> None:
        """A controller's answer: whom it takes for the active one counts unless it is behind the times itself."""
        self.answered = True
        self.known_end = max(self.known_end, committed)
        if epoch >= self.epoch:
            self.epoch, self.active = epoch, leader

    # --- applying

    def _take(self, update: MetadataUpdate) -> None:
        """Apply a frame, and what it makes room for; or keep it until its time comes."""
        assert update.records is not None
        if update.previous <= self.image.end:
            self._apply(update.records)
            self._apply_early()
            return
        if len(self._early) >= MAX_EARLY:
            self._early.clear()
        self._early[update.previous] = update

    def _apply_early(self) -> None:
        while self._early:
            first = min(self._early)
            if first > self.image.end:
                return
            update = self._early.pop(first)
            if update.records is not None and update.offset > self.image.end:
                self._apply(update.records)

    def _apply(self, records: Payload) -> bool:
        """Apply what is new in whole batches; False if they are damaged or do not continue the image."""
        try:
            batches = decode_batches(records.data)
        except InvalidBatch:
            return False
        for first_offset, _, decoded in batches:
            if first_offset < self.image.end:
                continue  # known; batches are applied whole, so it ends at or below the image's end
            if first_offset > self.image.end:
                return False
            self._note(decoded)
            self.image.apply(decoded, first_offset)
        return True

    def _note(self, records: list[MetadataRecord]) -> None:
        if self._changed is None:
            return
        for record in records:
            match record:
                case PartitionChanged(partition=partition) | PartitionCreated(partition=partition):
                    self._changed[Partition(*partition)] = None
                case BrokersConfigured(broker=broker) if broker == ALL_BROKERS:
                    self._changed = None  # some of it may be a default of topics
                    return
                case TopicDeleted(id=topic_id) | TopicConfigured(id=topic_id):
                    topic = self.image.topics.get(topic_id)
                    count = 0 if topic is None else topic.partitions
                    self._changed.update((Partition(topic_id, index), None) for index in range(count))
                case _:
                    pass
