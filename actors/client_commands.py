"""What an application says to its client actors. Local: told by the process (`sender` is "local"), never encoded.

Tokens are the application's own objects. An actor hands them back with the outcome and never looks inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import NamedTuple, Protocol

from ..storage.records import RawRecord
from .admin_messages import AdminRequest
from .errors import ErrorCode
from .group_messages import GroupRequest
from .kernel import Incarnation, Message
from .rows import Rows


class Why(Enum):
    """The kinds of failure that an application may want to tell apart."""

    TIMED_OUT = "timed out"  # it was not done, and never will be
    UNKNOWN_OUTCOME = "unknown outcome"  # it was asked for and not answered: it may have been done
    REFUSED = "refused"  # the cluster said no; `error` says why
    BUFFER_FULL = "buffer full"
    UNKNOWN_TOPIC = "unknown topic"
    NO_BROKERS = "no brokers"
    TOO_LARGE = "too large"
    CLOSED = "closed"
    OUT_OF_RANGE = "out of range"
    CORRUPT = "corrupt"


class Failure(NamedTuple):
    """Why something failed, and a sentence for people."""

    why: Why
    sentence: str
    error: ErrorCode = ErrorCode.NONE


class Command(Message, frozen=True):
    """Base of what an application says."""


# --- To a producer ------------------------------------------------------------------------------------------------


class SendRecords(Command, frozen=True):
    """Append these, in this order. `partition` -1: by key, or sticky without one. One token per record.

    A record's timestamp of -1 becomes that of its batch.
    """

    topic: str
    records: Sequence[RawRecord]
    tokens: Sequence[object]
    partition: int = -1


class SendRows(Command, frozen=True):
    """The same, as columns."""

    topic: str
    rows: Rows
    partition: int = -1


class Intake(Protocol):
    """Where other threads leave records, so that the loop is woken once and not once per record."""

    def take(self, *, again: bool) -> Sequence[SendRows]:
        """The next ones, as many as one turn should handle. If there are any and the actor comes `again` soon, it is
        not woken for the records that follow.
        """
        ...


class SendFrom(Command, frozen=True):
    """There are records in the intake."""

    intake: Intake


class Flush(Command, frozen=True):
    """Send at once what lingers; `flushed(token)` once all that was accepted before has an outcome."""

    token: object


class Close(Command, frozen=True):
    """Take no more. A producer flushes first; what is left after `timeout_ms` fails. `closed()` is said last."""

    timeout_ms: int = 0


# --- To a consumer ------------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """Where to begin: an offset, EARLIEST or LATEST, or the first record at or after `timestamp`."""

    offset: int
    timestamp: int = -1


class Assignment(NamedTuple):
    """A partition to read, by the name of its topic. `generation` is repeated in each chunk, to tell old from new."""

    topic: str
    partition: int
    start: Start
    generation: int = 0


class Assign(Command, frozen=True):
    """Read these partitions and no others. One that is assigned already in this generation goes on where it is."""

    assignments: Sequence[Assignment]


class AssignTopics(Command, frozen=True):
    """Read every partition of these topics, now and when partitions are added."""

    topics: Sequence[str]
    start: Start


class Seek(Command, frozen=True):
    """Go on from there. Chunks of an earlier generation are to be dropped by the application."""

    topic: str
    partition: int
    start: Start
    generation: int


class Pause(Command, frozen=True):
    """Ask for no more of these (topic, partition) until `Resume`."""

    partitions: Sequence[tuple[str, int]]


class Resume(Command, frozen=True):
    """Ask for these again."""

    partitions: Sequence[tuple[str, int]]


class Took(Command, frozen=True):
    """The application has taken chunks of so many bytes: their room is free again."""

    size: int


class Subscribe(Command, frozen=True):
    """As a member of a group: read what it assigns of these topics, and of those that match the pattern ("": none)."""

    topics: Sequence[str]
    pattern: str = ""


class Polled(Command, frozen=True):
    """As a member of a group: the application has come for records. To be said once a second or so."""


class Release(Command, frozen=True):
    """As a member of a group: these are taken no more; commit `offsets` (of some of them) and give them up."""

    places: Sequence[tuple[str, int]]
    offsets: dict[tuple[str, int], int]


class CommitPositions(Command, frozen=True):
    """As a member of a group: keep (offset, metadata) per partition. `committed(token)` or `commit_failed(token, ...)`.

    A token of None: nobody wants to know.
    """

    token: object
    offsets: dict[tuple[str, int], tuple[int, str]]
    timeout_ms: int


class LookUpCommitted(Command, frozen=True):
    """As a member of a group: what is committed. `offsets_committed(token, ...)` or `lookup_failed(token, ...)`."""

    token: object
    places: Sequence[tuple[str, int]]
    timeout_ms: int


class LookUp(Command, frozen=True):
    """Offsets by (topic, partition, EARLIEST | LATEST | time): `offsets(token, ...)` or `failed(token, ...)`."""

    token: object
    queries: Sequence[tuple[str, int, int]]
    timeout_ms: int


# --- To an admin --------------------------------------------------------------------------------------------------


class MakeTopic(Command, frozen=True):
    """Create a topic and wait until it has leaders."""

    token: object
    name: str
    partitions: int = -1
    replication: int = -1
    configs: dict[str, str] | None = None  # None: the defaults
    timeout_ms: int = 30_000


class DropTopic(Command, frozen=True):
    """Delete a topic."""

    token: object
    name: str
    timeout_ms: int = 30_000


class RemoveRecords(Command, frozen=True):
    """Delete the records of a topic below an offset per partition; LATEST: all that are committed now."""

    token: object
    topic: str
    offsets: dict[int, int]
    timeout_ms: int = 30_000


class Change(Command, frozen=True):
    """Have the active controller change something. `request` makes the request of its id and the client's incarnation.

    `of` names what is changed, for sentences. Given `partitions`, it is done once so many of topic `of` have leaders.
    """

    token: object
    of: str
    request: Callable[[int, Incarnation], AdminRequest]
    timeout_ms: int = 30_000
    partitions: int = 0


class Inquire(Command, frozen=True):
    """Ask a broker (-1: any) something that has an id; whoever answers knows all that this client was told before."""

    token: object
    question: Callable[[int], Message]
    timeout_ms: int = 30_000
    broker: int = -1


class Look(Command, frozen=True):
    """A picture of the cluster, with these topics (None: all)."""

    token: object
    names: list[str] | None = None
    timeout_ms: int = 30_000


class AskCoordinator(Command, frozen=True):
    """A question to the coordinator of a group, or a change from outside of it; its id and leader epoch are filled in.

    Everything that can be said so may be said twice.
    """

    token: object
    request: GroupRequest
    timeout_ms: int = 30_000


class AskAllCoordinators(Command, frozen=True):
    """The groups of all brokers: those in these states, of these kinds (empty: of all)."""

    token: object
    states: list[str]
    kinds: list[str]
    timeout_ms: int = 30_000
