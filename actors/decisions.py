"""Decide, append, wait for commit, apply, reply: one decision at a time (D27).

Who wants something decided hands in a `Question`. When its turn comes it is asked once: `decide` reads the image,
changes nothing, and answers with a `Decision`: records, and what to say when they are committed. Until they are, the
next question waits, so every question sees all that was decided before it; nothing is ever decided on a state that
may yet be lost (R10). A decision without records is answered at once.

The queue is bounded: one who comes too late is told to come again. When leadership is lost, all who wait are told who
else may lead. What was appended may yet be committed by the next leader, so NOT_CONTROLLER means: nobody knows, ask
again there. Every question is fit for being asked twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, Protocol

from ..storage.disk import Generation
from .admin_messages import AdminRequest
from .errors import ErrorCode
from .kernel import Address, Context, JobDone, Message, Timer
from .messages import (
    AdminDone,
    AlterPartition,
    CreateInternalTopic,
    ElectLeaders,
    InternalTopicCreated,
    PartitionsAltered,
    PartitionsDone,
    ProducerIdsReserved,
    Reassign,
    Register,
    Registered,
    ReserveProducerIds,
)
from .metadata_codec import encode_records
from .metadata_records import MetadataRecord
from .quorum_log import Base

MAX_QUEUE = 10_000


class Quorum(Protocol):
    """What the controller needs of Raft (`raft.Raft`)."""

    epoch: int
    leader: int
    epoch_start: int
    hw: int

    @property
    def leading(self) -> bool: ...
    @property
    def wants_snapshot(self) -> bool: ...
    @property
    def log_end(self) -> int: ...
    @property
    def log_start(self) -> int: ...
    def read(self, offset: int, max_bytes: int) -> bytes: ...
    def append(self, batch: bytes, ctx: Context) -> int: ...
    def resign(self, ctx: Context) -> None: ...
    def trim(self, base: Base) -> None: ...
    def load(self, base: Base, ctx: Context) -> None: ...
    def start(self, ctx: Context, newest: Base, snapshots: Mapping[int, int]) -> None: ...
    def on_job(self, done: JobDone, ctx: Context) -> bool: ...
    def on_message(self, sender: Address, message: Message, ctx: Context) -> None: ...
    def on_timer(self, timer: Timer, ctx: Context) -> bool: ...
    def on_synced(self, generation: Generation, ctx: Context) -> None: ...


class Decision(NamedTuple):
    """Records to write, the cause of them, and the reply: asked for once they are applied, None for no reply."""

    records: list[MetadataRecord]
    cause: str = ""
    reply: Callable[[], Message | None] = lambda: None


class Question(NamedTuple):
    """Something to decide. While one with an equal `key` waits, this one need not be asked. `sender` may be refused."""

    decide: Callable[[Context], Decision]
    sender: Address | None = None
    request: Message | None = None
    key: Hashable = None


class _Waiting(NamedTuple):
    end: int
    question: Question
    decision: Decision


class Decisions:
    """The queue of one controller, in one epoch after the other."""

    def __init__(self, quorum: Quorum, limit: int = MAX_QUEUE) -> None:
        self._quorum = quorum
        self._limit = limit
        self._queue: deque[Question] = deque()
        self._keys: set[Hashable] = set()
        self._waiting: _Waiting | None = None  # appended, not yet committed

    def __len__(self) -> int:
        return len(self._queue) + (self._waiting is not None)

    @property
    def cause(self) -> str | None:
        """Why the decision that waits for its commit was made; None if none waits."""
        return None if self._waiting is None else self._waiting.decision.cause

    def ask(self, question: Question, ctx: Context) -> None:
        """Queue a question, or refuse it in words."""
        if question.key is not None and question.key in self._keys:
            return
        if len(self._queue) >= self._limit and question.sender is not None:
            reason = f"{len(self._queue)} requests are waiting for the controller: try again later"
            _refuse(question, ErrorCode.THROTTLING_QUOTA_EXCEEDED, self._quorum.leader, reason, ctx)
            return
        if question.key is not None:
            self._keys.add(question.key)
        self._queue.append(question)

    def next(self, ctx: Context) -> bool:
        """Decide one question; False if there is none or one waits for its commit. Only while active."""
        if self._waiting is not None or not self._queue:
            return False
        question = self._queue.popleft()
        self._keys.discard(question.key)
        decision = question.decide(ctx)
        if not decision.records:
            self._conclude(question, decision, ctx)
            return True
        end = self._quorum.append(encode_records(decision.records, timestamp=ctx.wall), ctx)
        self._waiting = _Waiting(end, question, decision)
        return True

    def committed(self, end: int, ctx: Context) -> None:
        """Everything below `end` is applied."""
        if self._waiting is not None and end >= self._waiting.end:
            waiting, self._waiting = self._waiting, None
            self._conclude(waiting.question, waiting.decision, ctx)

    def drop(self, ctx: Context) -> int:
        """Leadership is lost: forget everything, and say so where it is known to whom. Returns how much it was."""
        dropped = [] if self._waiting is None else [self._waiting.question]
        dropped += self._queue
        self._waiting = None
        self._queue.clear()
        self._keys.clear()
        for question in dropped:
            _refuse(question, ErrorCode.NOT_CONTROLLER, self._quorum.leader, "This controller is not active.", ctx)
        return len(dropped)

    @staticmethod
    def _conclude(question: Question, decision: Decision, ctx: Context) -> None:
        reply = decision.reply()
        if reply is not None and question.sender is not None:
            ctx.send(question.sender, reply)


def refusal(request: Message, error: ErrorCode, leader: int, reason: str = "") -> Message | None:
    """The reply to a request that is not decided here; None for what is not answered."""
    match request:
        case AlterPartition(id=request_id):
            return PartitionsAltered(request_id, error, [], leader=leader)
        case Register(id=request_id):
            return Registered(request_id, error, leader=leader, reason=reason)
        case ReserveProducerIds(id=request_id):
            return ProducerIdsReserved(request_id, error, leader=leader)
        case Reassign(id=request_id) | ElectLeaders(id=request_id):
            return PartitionsDone(request_id, error, reason, leader=leader)
        case AdminRequest(id=request_id):
            return AdminDone(request_id, error, reason, leader=leader)
        case CreateInternalTopic(id=request_id):
            return InternalTopicCreated(request_id, error, leader=leader, reason=reason)
        case _:
            return None


def _refuse(question: Question, error: ErrorCode, leader: int, reason: str, ctx: Context) -> None:
    if question.sender is None or question.request is None:
        return
    reply = refusal(question.request, error, leader, reason)
    if reply is not None:
        ctx.send(question.sender, reply)
