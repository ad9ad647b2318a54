"""Brokers come, go silent, come back and stop: registration, sessions, fencing (D2, D5, D6, KIP-631).

A broker's epoch is the metadata offset of its registration. A new incarnation is fenced until a heartbeat of it says
that it has applied the metadata up to there: it serves nothing before it knows what changed while it was away.

Who replaces whom: a node holds a lock on its data directory for life, so a registration with the same directory id
proves the earlier process dead and replaces it at once; one with another directory id waits for its session to end.
A registration that was overtaken on its way by that of a later life is recognised by its incarnation, or by the count
of lives of its directory, and refused. A directory that comes back with a smaller count is an older copy: it may join
once the session has ended, and proves nothing.

Fencing is cheap and reversible, and safety never depends on when it happens: what matters are epochs. A broker is
fenced when its session ends (a heartbeat of one that hears no answer does not renew it: `hearing`), or at once when its
connection is refused (`PeerGone`), unless it was heard from since; one heartbeat takes that back. A hint that was false
makes hints about that broker worthless for a while.

Stopping: the broker is told `may_stop` when it leads nothing, is in no ISR, and every live broker has applied the
metadata that says so, so no client is sent to a broker that is gone (D6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .decisions import Decision, Question
from .elections import Restart, damage_change, fence_changes, registration_changes, stop_changes, unfence_changes
from .errors import ErrorCode
from .hearing import Hearing
from .isr_changes import broker_error
from .kernel import Context, Incarnation, Message, Millis
from .messages import BrokerHeartbeat, HeartbeatReply, Partition, PeerGone, Register, Registered, ReportDamage
from .metadata import MetadataImage
from .metadata_records import BrokerFenced, BrokerRegistered, BrokerStopping, BrokerUnfenced, MetadataRecord
from .sessions import Sessions

HINTS_IGNORED_MS = 30_000
STRAY_MS = 100  # a heartbeat so soon after a hint may have been on its way when its sender died


class _Hint(NamedTuple):
    """A broker was fenced on a hint about this incarnation."""

    incarnation: Incarnation
    at: Millis


class Registrations:
    """The active controller's dealings with brokers, for one epoch; `sessions` outlives it."""

    def __init__(self, cluster_id: str, image: MetadataImage, sessions: Sessions) -> None:
        self._cluster_id = cluster_id
        self._image = image
        self._sessions = sessions
        self.hearing = Hearing(sessions.session_ms // 6)
        self._hints: dict[int, _Hint] = {}
        self._deaf_until: dict[int, Millis] = {}  # hints about these brokers are ignored
        self._left: dict[int, int] = {}  # stopping broker -> metadata end that shows it without any duty

    # --- registration

    def register(self, message: Register, ctx: Context) -> Decision:
        """Admit a broker, or say why not."""
        known = self._image.brokers.get(message.broker)
        removed = self._image.removed.get(message.broker)
        if message.cluster_id != self._cluster_id:
            reason = f"This is cluster {self._cluster_id}, b{message.broker} belongs to {message.cluster_id}."
            return self._refused(message, ErrorCode.INCONSISTENT_CLUSTER_ID, reason)
        if known is not None and known.incarnation == message.incarnation:
            return Decision([], reply=lambda: self._registered(message))
        if known is not None and message.incarnation in known.retired:
            reason = f"A later life of b{message.broker} has registered since."
            return self._refused(message, ErrorCode.DUPLICATE_BROKER_REGISTRATION, reason)
        if removed is not None and message.incarnation in (*removed.retired, removed.incarnation):
            reason = f"b{message.broker} was removed from the cluster: start it again if it is to come back."
            return self._refused(message, ErrorCode.DUPLICATE_BROKER_REGISTRATION, reason)
        same_directory = known is not None and known.directory_id == message.directory_id
        if known is not None and not same_directory and self._sessions.alive(known.id, known.incarnation, ctx.now):
            reason = (
                f"b{message.broker} is running at {known.endpoint} with another data directory "
                f"({known.directory_id}, not {message.directory_id}); its session has not ended."
            )
            return self._refused(message, ErrorCode.DUPLICATE_BROKER_REGISTRATION, reason)
        older = same_directory and known is not None and message.life < known.life
        if older and known is not None and self._sessions.alive(known.id, known.incarnation, ctx.now):
            reason = f"A later life of b{message.broker} has registered since."
            return self._refused(message, ErrorCode.DUPLICATE_BROKER_REGISTRATION, reason)
        restart = Restart(
            same_directory=same_directory and not older,
            same_boot=message.same_boot,
            clean=known is not None and message.clean_epoch == known.epoch,
            recovered={Partition(*replica.partition): replica for replica in message.recovered},
        )
        record = BrokerRegistered(
            message.broker,
            message.incarnation,
            message.directory_id,
            message.endpoint,
            message.rack,
            message.life,
            dict(sorted(message.listeners.items())),
        )
        now = ctx.now

        def reply() -> Message:
            state = self._image.brokers[message.broker]
            self._sessions.registered(message.broker, state.incarnation, state.epoch, now)
            self._forget(message.broker)
            return self._registered(message)

        how = "after a clean stop" if restart.clean else ("again" if same_directory else "with a new data directory")
        if older:
            how = "with an older copy of its data directory"
        cause = f"b{message.broker} started {how}"
        return Decision([record, *registration_changes(self._image, message.broker, restart)], cause, reply)

    def _registered(self, message: Register) -> Message:
        epoch = self._image.brokers[message.broker].epoch
        return Registered(message.id, ErrorCode.NONE, epoch, self._image.controller)

    def _refused(self, message: Register, error: ErrorCode, reason: str) -> Decision:
        return Decision([], reply=lambda: Registered(message.id, error, leader=self._image.controller, reason=reason))

    def _forget(self, broker: int) -> None:
        self._hints.pop(broker, None)
        self._left.pop(broker, None)

    # --- heartbeats

    def heartbeat(self, beat: BrokerHeartbeat, fresh: bool, ctx: Context) -> tuple[HeartbeatReply, Question | None]:
        """The answer, at once, and what is to be decided because of it: nothing, if it is a late or second copy."""
        image = self._image
        error = broker_error(image, beat.broker, beat.broker_epoch)
        if error is ErrorCode.NONE and image.brokers[beat.broker].incarnation != beat.incarnation:
            error = ErrorCode.STALE_BROKER_EPOCH
        if error is not ErrorCode.NONE:
            return HeartbeatReply(beat.sequence, error, image.controller), None
        state = image.brokers[beat.broker]
        question: Question | None = None
        if not fresh or self._stray(beat, ctx.now):
            pass
        elif beat.want_stop:
            if not self._idle(beat.broker):
                question = Question(lambda _: self._stop(beat), key=("stop", beat.broker))
        elif state.fenced and beat.metadata_offset > state.epoch:
            question = Question(lambda _: self._unfence(beat), key=("unfence", beat.broker))
        may_stop = beat.want_stop and self._may_stop(beat.broker)
        reply = HeartbeatReply(
            beat.sequence, ErrorCode.NONE, image.controller, state.fenced, may_stop, image.controller_epoch
        )
        return reply, question

    def _unfence(self, beat: BrokerHeartbeat) -> Decision:
        state = self._image.brokers.get(beat.broker)
        if state is None or state.epoch != beat.broker_epoch or not state.fenced:
            return Decision([])
        records: list[MetadataRecord] = [BrokerUnfenced(beat.broker, state.epoch)]
        records += unfence_changes(self._image, beat.broker)
        return Decision(records, f"b{beat.broker} sends heartbeats and knows its registration")

    def damaged(self, report: ReportDamage) -> Decision:
        """A running broker found damage: it loses its place there, so that it may fetch those partitions anew."""
        if broker_error(self._image, report.broker, report.broker_epoch) is not ErrorCode.NONE:
            return Decision([])
        change = damage_change(self._image, report.broker, Partition(*report.partition), report.leader_epoch)
        return Decision([] if change is None else [change], f"b{report.broker} found its log damaged")

    # --- stopping

    def _stop(self, beat: BrokerHeartbeat) -> Decision:
        state = self._image.brokers.get(beat.broker)
        if state is None or state.epoch != beat.broker_epoch:
            return Decision([])
        records: list[MetadataRecord] = [] if state.stopping else [BrokerStopping(beat.broker, state.epoch)]
        records += stop_changes(self._image, beat.broker)
        return Decision(records, f"b{beat.broker} asked to stop")

    def _idle(self, broker: int) -> bool:
        """Stopping, and with nothing left to hand over. A fenced broker has nothing by nature."""
        return self._image.brokers[broker].stopping and not self._has_duties(broker)

    def _has_duties(self, broker: int) -> bool:
        return any(broker in state.isr for state in self._image.partitions.values())

    def _may_stop(self, broker: int) -> bool:
        if not self._idle(broker):
            self._left.pop(broker, None)
            return False
        shown = self._left.setdefault(broker, self._image.end)
        for other, state in self._image.brokers.items():
            if other == broker or state.fenced:
                continue
            contact = self._sessions.of(other, state.incarnation)
            if contact is None or contact.metadata_offset < shown:
                return False
        return True

    # --- fencing

    def expire(self, now: Millis) -> list[Question]:
        """One question for all sessions that have ended: decided in one batch as if one after the other (R14)."""
        brokers = self._sessions.expired(self._image, now)
        if not brokers:
            return []
        return [Question(lambda ctx: self._fence_expired(ctx.now), key=("expire",))]

    def _fence_expired(self, now: Millis) -> Decision:
        brokers = self._sessions.expired(self._image, now)
        deaf = bool(brokers) and all(self.hearing.hears_nothing(broker) for broker in brokers)
        silent = f"no heartbeat for {self._sessions.session_ms} ms"
        return self._fence(brokers, "it hears no answer to its heartbeats" if deaf else silent)

    def peer_gone(self, gone: PeerGone, now: Millis) -> Question | None:
        """A connection was refused: fence that broker, unless there is reason to doubt."""
        there = [state for _, state in sorted(self._image.brokers.items()) if state.endpoint == gone.node]
        fenced = [state.id for state in there if not state.fenced and self._believes(gone, state.id, now)]
        if not fenced:
            return None
        return Question(lambda ctx: self._fence_gone(gone, fenced[0], ctx.now), key=("gone", fenced[0]))

    def _believes(self, gone: PeerGone, broker: int, now: Millis) -> bool:
        state = self._image.brokers[broker]
        if gone.incarnation not in (0, state.incarnation) or now < self._deaf_until.get(broker, 0):
            return False
        contact = self._sessions.of(broker, state.incarnation)
        return contact is None or not 0 <= gone.disconnected_at < contact.at

    def _fence_gone(self, gone: PeerGone, broker: int, now: Millis) -> Decision:
        state = self._image.brokers.get(broker)
        if state is None or state.fenced or not self._believes(gone, broker, now):
            return Decision([])
        self._hints[broker] = _Hint(state.incarnation, now)
        return self._fence([broker], "its connection was refused")

    def _fence(self, brokers: Sequence[int], reason: str) -> Decision:
        records: list[MetadataRecord] = [
            BrokerFenced(broker, self._image.brokers[broker].epoch, reason) for broker in brokers
        ]
        records += fence_changes(self._image, brokers)
        named = " and ".join(f"b{broker}" for broker in brokers)

        def reply() -> None:
            for broker in brokers:
                self._sessions.ended(broker)

        return Decision(records, f"{named}: {reason}", reply)

    def _stray(self, beat: BrokerHeartbeat, now: Millis) -> bool:
        """A heartbeat of a broker that was fenced on a hint: it lives, so such hints are worth nothing here. Unless the
        heartbeat comes so soon that it proves nothing: then it is a stray, and the next one will tell.
        """
        hint = self._hints.get(beat.broker)
        if hint is None or hint.incarnation != beat.incarnation or not self._image.brokers[beat.broker].fenced:
            return False
        if now - hint.at < STRAY_MS:
            return True
        del self._hints[beat.broker]
        self._deaf_until[beat.broker] = Millis(now + HINTS_IGNORED_MS)
        return False
