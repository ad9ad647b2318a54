"""One request of one client, from its frame to its reply.

What an API does is a coroutine: it tells the node's actors something, awaits what they answer, and returns the
response. Nobody schedules it. It runs as soon as its request's turn has come, up to the first `await`, and goes on
when the next answer arrives; so what pipelined requests tell the actors, they tell in the order in which they came.
It awaits answers and nothing else: no sleep, no socket.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from ...actors.client_commands import Command, Failure
from ...actors.group_messages import GroupReply
from ...actors.kernel import Message
from ...actors.messages import Described, TopicId
from ...storage.disk import Buffer
from .codec import Header, write_response
from .wire import Schema

if TYPE_CHECKING:
    from .door import Door
    from .view import View

M = TypeVar("M", bound=Message)
Numbered = TypeVar("Numbered", bound=GroupReply)

BROKER = "broker"
GROUPS = "groups"
GATEWAY = "gateway"
NO_TOPIC = TopicId("")


class Rejected(Exception):
    """There is no answer that the client could read: its connection is closed, as Kafka does in such a case."""


class Outcome(NamedTuple):
    """What became of one of an exchange's commands to the gateway: `failure`, or an answer or a topic's id."""

    number: int  # of the command, within its exchange
    failure: Failure | None = None
    answer: Message | None = None
    topic_id: TopicId = NO_TOPIC
    starts: dict[int, int] | None = None  # where partitions begin after records were deleted


class Ticket:
    """The token of a command: whom to tell its outcome."""

    __slots__ = ("exchange", "number")

    def __init__(self, exchange: Exchange, number: int) -> None:
        self.exchange, self.number = exchange, number

    def tell(self, outcome: Outcome) -> None:
        self.exchange.door.answered(self.exchange, outcome)


class GatewayOutlet:
    """Where the gateway's outcomes go: to the exchange that gave the command."""

    def done(self, token: object, topic_id: TopicId) -> None:
        ticket = _ticket(token)
        ticket.tell(Outcome(ticket.number, topic_id=topic_id))

    def deleted(self, token: object, starts: dict[int, int]) -> None:
        ticket = _ticket(token)
        ticket.tell(Outcome(ticket.number, starts=starts))

    def described(self, token: object, picture: Described) -> None:
        self.answered(token, picture)

    def answered(self, token: object, answer: Message) -> None:
        ticket = _ticket(token)
        ticket.tell(Outcome(ticket.number, answer=answer))

    def failed(self, token: object, failure: Failure) -> None:
        ticket = _ticket(token)
        ticket.tell(Outcome(ticket.number, failure))

    def closed(self) -> None:
        """The gateway is never closed."""


def _ticket(token: object) -> Ticket:
    assert isinstance(token, Ticket), "the gateway hears of exchanges only"
    return token


class Unfinished(Exception):
    """The exchange awaits an answer."""


class _Answer(Awaitable[object]):
    """What an exchange awaits: the next thing that it is told."""

    __slots__ = ()

    def __await__(self) -> Generator[None, object, object]:
        return (yield)


_ANSWER = _Answer()


class Exchange:
    """See the module's essay. `version` is that of the request; `view` is what this broker knows of the cluster."""

    __slots__ = ("_door", "coroutine", "done", "header", "number", "parts", "route")

    def __init__(self, door: Door, route: str, number: int, header: Header) -> None:
        self._door = door
        self.route = route
        self.number = number
        self.header = header
        self.coroutine: Coroutine[None, object, Schema | None] | None = None
        self.done = False
        self.parts: list[Buffer] = []  # the reply; none with `done`: nothing is to be sent

    @property
    def version(self) -> int:
        return self.header.version

    @property
    def view(self) -> View:
        return self._door.view

    @property
    def door(self) -> Door:
        """Its limits and settings."""
        return self._door

    @property
    def client(self) -> str:
        """What the client calls itself."""
        return self.header.client or ""

    @property
    def host(self) -> str:
        """Where the client is, as Kafka prints it."""
        return self._door.host_of(self.route)

    def tell(self, actor: str, message: Message) -> None:
        """Say something to an actor of this node; its answers come to this exchange, in order."""
        self._door.said(self, actor, message)

    async def answer(self, kind: type[M]) -> M:
        """The next answer."""
        found = await _ANSWER
        assert isinstance(found, kind), f"{self.header.api.name} expected {kind.__name__}, was told {found!r}"
        return found

    async def ask(self, actor: str, message: Message, kind: type[M]) -> M:
        """Say something, and await the one answer to it."""
        self.tell(actor, message)
        return await self.answer(kind)

    async def ask_each(self, actor: str, messages: Sequence[Message], kind: type[Numbered]) -> list[Numbered]:
        """Say several things whose ids are their places in the list; the answers in the same order."""
        for message in messages:
            self.tell(actor, message)
        answers: dict[int, Numbered] = {}
        while len(answers) < len(messages):
            answer = await self.answer(kind)
            answers[answer.id] = answer
        return [answers[place] for place in range(len(messages))]

    async def commands(self, make: Sequence[Callable[[object], Command]]) -> list[Outcome]:
        """Give the gateway commands, each made with its token; their outcomes, in the order of the commands."""
        for number, command in enumerate(make):
            self.tell(GATEWAY, command(Ticket(self, number)))
        outcomes: dict[int, Outcome] = {}
        while len(outcomes) < len(make):
            found = await _ANSWER
            assert isinstance(found, Outcome), f"{self.header.api.name} expected an outcome, was told {found!r}"
            outcomes[found.number] = found
        return [outcomes[number] for number in range(len(make))]

    async def until(self, true: Callable[[], bool], timeout_ms: int) -> bool:
        """Wait until the view makes this true, or so long at most; whether it has become true."""
        if true():
            return True
        self._door.watch(self, true, timeout_ms)
        await _ANSWER
        return true()

    def go_on(self, answer: object) -> list[Buffer]:
        """Give the coroutine an answer (None at first). Its reply in bytes; Unfinished if it awaits another answer."""
        assert self.coroutine is not None, "it has begun"
        try:
            self.coroutine.send(answer)
        except StopIteration as finished:
            return [] if finished.value is None else write_response(self.header, finished.value)
        raise Unfinished


Handler = Callable[[Any, Exchange], Coroutine[None, object, Schema | None]]
"""What an API does with a decoded request. None: the client expects no reply. Raises Rejected."""


def handler(function: object) -> Handler:
    """What a module of `apis` has under an API's name."""
    return cast(Handler, function)
