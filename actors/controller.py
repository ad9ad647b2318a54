"""The controller: the voter that, while it leads the quorum, decides for the whole cluster.

This actor is a router. What is decided, and how, is in files of their own: `registrations` (brokers come, go silent,
stop), `topics`, `isr_changes`, `producer_ids`; one decision at a time goes through `decisions`; `broadcast` tells the
world what was committed, `metadata_service` tells who asks. Raft itself is `raft.Raft`, which this actor owns.

After every input it advances: it applies what has been committed, in order, leader or not, so a standby is always
ready; it notices that leadership was won or lost; it decides what is next. It is *active* only once it has applied the
first record of its own epoch: then it has applied everything that earlier leaders committed (R11, KAFKA-15345). When
leadership is lost, everything that was not committed here is forgotten: it was never true.

A committed record that cannot be applied ends the node, standby or not (R12): `apply` raises and nobody catches it.
"""

from __future__ import annotations

from ..storage.disk import Generation
from .admin_messages import AdminRequest
from .administration import administer, inform
from .broadcast import Publisher
from .chores import Chores, ChoreTimer
from .controller_config import ControllerConfig as ControllerConfig
from .controller_config import ControllerPicture as ControllerPicture
from .decisions import Decision, Decisions, Question, Quorum, refusal
from .errors import ErrorCode
from .events import ControllerElected, ControllerResigned
from .isr_changes import alter
from .kernel import Actor, Address, Context, JobDone, Message, Timer
from .messages import (
    AlterPartition,
    BeginEpoch,
    BrokerHeartbeat,
    CreateInternalTopic,
    Describe,
    DescribeConfigs,
    EndEpoch,
    Fetch,
    Fetched,
    FetchLeadership,
    FetchMetadata,
    ListReassignments,
    MetadataRange,
    MetadataSnapshot,
    PeerGone,
    Register,
    ReportDamage,
    ReserveProducerIds,
    Synced,
    Vote,
    Voted,
)
from .metadata import MetadataImage
from .metadata_codec import decode_batches
from .metadata_records import ClusterDefaults, MetadataRecord
from .metadata_service import MetadataSource, describe, leadership
from .narration import narrate
from .producer_ids import reserve
from .quorum_log import Base
from .registrations import Registrations
from .sessions import Sessions
from .snapshotting import Snapshots, SnapshotTimer
from .topics import create_internal

CHUNK = 256 << 10  # bytes of metadata applied before other inputs have their turn
TURN = 100  # questions decided before that

Request = AlterPartition | Register | ReserveProducerIds | ReportDamage | CreateInternalTopic | AdminRequest


class SessionTimer(Timer, frozen=True):
    """The next broker's session ends, if it was not heard from until then."""


class BroadcastTimer(Timer, frozen=True):
    """Time for a heartbeat on both chains."""


class TurnTimer(Timer, frozen=True):
    """There is more to apply or to decide than one turn may do."""


class Controller(Actor):
    """One voter of the quorum, active or standing by."""

    def __init__(self, config: ControllerConfig, raft: Quorum) -> None:
        self.config = config
        self.raft = raft
        self.image = MetadataImage()
        self.active_epoch: int | None = None  # the epoch in which this controller decides, None while it does not
        self.sessions = Sessions(config.session_ms, config.heartbeat_ms)
        self.decisions = Decisions(raft)
        self.source = MetadataSource(config.cluster_id, self.image, raft)
        self.registrations: Registrations | None = None  # None unless active
        self.publisher: Publisher | None = None  # None unless active
        self.chores: Chores | None = None  # None unless active
        self._snapshots = Snapshots(config.snapshot_records, config.cluster_id, config.voters, raft)
        self._proposals: dict[int, tuple[int, int]] = {}  # by broker: its epoch and the last AlterPartition, ever
        self._gone: dict[str, PeerGone] = {}  # by node: hints that came while this controller was not active
        self._armed = False  # the session timer is set
        self._late = False  # it came late the last time

    @property
    def active(self) -> bool:
        """Whether this controller decides."""
        return self.active_epoch is not None

    # --- inputs

    def on_start(self, ctx: Context) -> None:
        self.image, snapshots = self._snapshots.start(ctx)
        self.source = MetadataSource(self.config.cluster_id, self.image, self.raft)
        self.raft.start(ctx, Base(self.image.end, self.image.controller_epoch), snapshots)
        self._advance(ctx)

    def on_message(self, sender: Address, message: Message, ctx: Context) -> None:
        match message:
            case Fetch() | Fetched() | Synced() | Vote() | Voted() | BeginEpoch() | EndEpoch():
                self.raft.on_message(sender, message, ctx)
            case BrokerHeartbeat():
                self._on_heartbeat(sender, message, ctx)
            case AlterPartition() | Register() | ReserveProducerIds() | ReportDamage():
                self._on_request(sender, message, ctx)
            case AdminRequest() | CreateInternalTopic():
                self._on_request(sender, message, ctx)
            case FetchMetadata():
                ctx.send(sender, self.source.answer(message))
            case MetadataSnapshot() | MetadataRange():
                self._snapshots.on_answer(sender, message, ctx)
            case FetchLeadership():
                broadcasts = [self.config.broadcasts[controller] for controller in sorted(self.config.broadcasts)]
                voters = self.config.voters
                ctx.send(sender, leadership(self.image, message, self.config.cluster_id, voters, broadcasts))
            case Describe():
                ctx.send(sender, describe(self.image, message, self.config.cluster_id))
            case DescribeConfigs() | ListReassignments():
                ctx.send(sender, inform(self.image, message))
            case PeerGone():
                self._on_peer_gone(sender, message, ctx)
            case _:
                pass  # said to another actor, or by a newer program
        self._advance(ctx)

    def on_timer(self, timer: Timer, ctx: Context) -> None:
        if not self.raft.on_timer(timer, ctx):
            match timer:
                case SessionTimer():
                    self._on_session_timer(ctx)
                case SnapshotTimer():
                    self._snapshots.on_timer(ctx)
                case ChoreTimer() if self.chores is not None:
                    for question in self.chores.look(ctx):
                        self.decisions.ask(question, ctx)
                case BroadcastTimer() if self.publisher is not None:
                    self.publisher.heartbeat(ctx)
                    ctx.set_timer(BroadcastTimer(), self.config.heartbeat_ms)
                case _:
                    pass  # TurnTimer: advancing is all
        self._advance(ctx)

    def on_synced(self, generation: Generation, ctx: Context) -> None:
        self.raft.on_synced(generation, ctx)
        loaded = self._snapshots.on_synced(generation, ctx)
        if loaded is not None:
            assert not self.active, "who decides has everything"
            self.image = loaded
            self.source = MetadataSource(self.config.cluster_id, self.image, self.raft)
        self._advance(ctx)

    def on_job(self, done: JobDone, ctx: Context) -> None:
        self.raft.on_job(done, ctx)
        self._advance(ctx)

    def resign(self, ctx: Context) -> None:
        """The process is stopping: hand over the quorum."""
        self.raft.resign(ctx)
        self._advance(ctx)

    def describe(self) -> ControllerPicture:
        config, raft = self.config, self.raft
        return ControllerPicture(
            config.id, self.active, raft.epoch, raft.leader, self.image.end, waiting=len(self.decisions)
        )

    # --- requests

    def _on_request(self, sender: Address, message: Request, ctx: Context) -> None:
        if isinstance(message, AlterPartition) and not self._newest(message):
            return
        if not self.active:
            reply = refusal(message, ErrorCode.NOT_CONTROLLER, self.raft.leader, "This controller is not active.")
            if reply is not None:
                ctx.send(sender, reply)
            return
        self.decisions.ask(Question(lambda ctx: self._decide(message, ctx), sender, message), ctx)

    def _newest(self, message: AlterPartition) -> bool:
        """Whether this was said after all that was heard of this life of the broker.

        A leader whose proposal is refused forgets it. An earlier copy of it that comes late must not be granted then:
        the leader would not know of a member that it has to wait for.
        """
        latest = (message.broker_epoch, message.id)
        newest = latest > self._proposals.get(message.broker, (-1, -1))
        if newest:
            self._proposals[message.broker] = latest
        return newest

    def _decide(self, message: Request, ctx: Context) -> Decision:
        match message:
            case AlterPartition():
                return alter(self.image, message)
            case Register():
                assert self.registrations is not None
                return self.registrations.register(message, ctx)
            case ReportDamage():
                assert self.registrations is not None
                return self.registrations.damaged(message)
            case ReserveProducerIds():
                return reserve(self.image, message)
            case CreateInternalTopic():
                return create_internal(self.image, message, ctx, self.config.internal_configs)
            case _:
                return administer(self.image, message, ctx)

    def _on_heartbeat(self, sender: Address, beat: BrokerHeartbeat, ctx: Context) -> None:
        deaf = self.registrations is not None and self.registrations.hearing.deaf(beat, ctx.now)
        fresh = self.sessions.heard(beat, ctx.now, deaf=deaf)
        if self.registrations is None:
            return  # only an answer of the active controller means anything to a broker
        reply, question = self.registrations.heartbeat(beat, fresh and not deaf, ctx)
        ctx.send(sender, reply)
        if question is not None:
            self.decisions.ask(question, ctx)

    def _on_peer_gone(self, sender: Address, gone: PeerGone, ctx: Context) -> None:
        self.raft.on_message(sender, gone, ctx)
        if self.registrations is None:
            self._gone[gone.node] = gone  # the controller itself may be what died there: the next one will ask
            return
        self._fence_gone(self.registrations, gone, ctx)

    def _fence_gone(self, registrations: Registrations, gone: PeerGone, ctx: Context) -> None:
        question = registrations.peer_gone(gone, ctx.now)
        if question is not None:
            self.decisions.ask(question, ctx)

    def _on_session_timer(self, ctx: Context) -> None:
        """Sessions may have ended. A timer that is late tells of a pause here: first hear what has queued up (D5)."""
        self._armed = False
        end = None if self.registrations is None else self.sessions.next_end(self.image)
        if self.registrations is None or end is None or end > ctx.now:
            return
        late, self._late = self._late, ctx.now - end >= self.config.heartbeat_ms
        if late or not self._late:
            for question in self.registrations.expire(ctx.now):
                self.decisions.ask(question, ctx)

    def _arm_sessions(self, ctx: Context) -> None:
        """While active, a timer is set for the first session to end; heartbeats only make it later."""
        end = None if self._armed or not self.active else self.sessions.next_end(self.image)
        if end is not None:
            self._armed = True
            ctx.set_timer(SessionTimer(), max(end - ctx.now, self.config.heartbeat_ms // 4))

    # --- advancing

    def _advance(self, ctx: Context) -> None:
        """Apply what is committed, notice who leads, decide what is next: until nothing is left or the turn is over."""
        self._notice_loss(ctx)
        for _ in range(TURN):
            applied = self._apply_committed(ctx)
            self._notice_win(ctx)
            if not applied and not (self.active and self.decisions.next(ctx)):
                break
        else:
            ctx.set_timer(TurnTimer(), 0)
        self._arm_sessions(ctx)
        self._snapshots.consider(self.image, ctx)

    def _apply_committed(self, ctx: Context) -> bool:
        """Apply, publish and conclude one chunk of committed batches; False if there is none."""
        if self.image.end >= self.raft.hw:
            return False
        data = self.raft.read(self.image.end, CHUNK)
        assert data, f"nothing to read at {self.image.end}, committed up to {self.raft.hw}"
        cause = self.decisions.cause if self.active else None
        applied: list[MetadataRecord] = []
        for first_offset, _, records in decode_batches(data):
            events = [] if cause is None else narrate(self.image, records, first_offset, cause)
            self.image.apply(records, first_offset)
            applied += records
            for event in events:
                ctx.emit(event)
        assert self.image.end <= self.raft.hw, f"applied up to {self.image.end}, committed up to {self.raft.hw}"
        if self.publisher is not None:
            self.publisher.applied(data, applied, ctx)
        self.decisions.committed(self.image.end, ctx)
        return True

    def _notice_win(self, ctx: Context) -> None:
        """Active begins with having applied the first record of the own epoch, and with it all that came before."""
        raft, config = self.raft, self.config
        if self.active or not raft.leading or raft.epoch_start < 0 or self.image.end <= raft.epoch_start:
            return
        assert (self.image.controller, self.image.controller_epoch) == (config.id, raft.epoch), "another one leads"
        self.active_epoch = raft.epoch
        self.registrations = Registrations(config.cluster_id, self.image, self.sessions)
        for gone in self._gone.values():
            if ctx.now - gone.disconnected_at < config.session_ms:
                self._fence_gone(self.registrations, gone, ctx)
        self._gone = {}
        self.sessions.inherit(self.image, ctx.now)
        self.publisher = Publisher(config.cluster_id, config.id, raft.epoch, self.image, raft.epoch_start)
        self.publisher.applied(raft.read(raft.epoch_start, CHUNK), [], ctx)
        self.publisher.heartbeat(ctx)
        ctx.set_timer(BroadcastTimer(), config.heartbeat_ms)
        self.chores = Chores(self.image)
        self.chores.look(ctx)
        cause = "it has applied the first record of its epoch"
        ctx.emit(ControllerElected(controller=config.id, epoch=raft.epoch, offset=self.image.end, cause=cause))
        if self.image.defaults is None:
            self.decisions.ask(Question(self._fix_defaults), ctx)

    def _notice_loss(self, ctx: Context) -> None:
        """Forget everything of the epoch, timers too: whatever was not committed was never true."""
        if self.active_epoch is None or (self.raft.leading and self.raft.epoch == self.active_epoch):
            return
        epoch, self.active_epoch = self.active_epoch, None
        self.registrations = self.publisher = self.chores = None
        ctx.cancel_timer(BroadcastTimer())
        ctx.cancel_timer(ChoreTimer())
        ctx.cancel_timer(SessionTimer())
        self._armed = self._late = False
        dropped = self.decisions.drop(ctx)
        cause = "another one leads" if self.raft.leader not in (-1, self.config.id) else "it leads the quorum no more"
        ctx.emit(ControllerResigned(controller=self.config.id, epoch=epoch, dropped=dropped, cause=cause))

    def _fix_defaults(self, ctx: Context) -> Decision:
        config = self.config
        if self.image.defaults is not None:
            return Decision([])
        defaults = ClusterDefaults(config.default_partitions, config.default_replication, dict(config.default_configs))
        return Decision([defaults], "the first active controller's configuration says so")
