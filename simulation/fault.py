"""What can be broken: faults, and the moves that draw them.

A `Fault` is one thing that happens at one moment, with everything that was chosen by chance written into it: which
host, for how long, with which seed. So a list of faults with their times is a *schedule* that can be saved, played
again and shortened (`schedule`), and means the same after the code has changed.

A *move* is how the nemesis comes to faults: a function that chooses victims with the nemesis's chance and yields
faults, each with a delay from now. It is registered by a decorator; every seed draws how often it is chosen, or never:

    class Unplug(Fault, frozen=True):
        host: str
        down_us: int

        def strike(self, nemesis: Nemesis) -> bool:
            return nemesis.kill(self.host, self.down_us)   # False: it came to nothing, and is not counted

    @move
    def unplug(nemesis: Nemesis) -> Draws:
        yield 0, Unplug(nemesis.chosen(nemesis.servers), nemesis.down_us())

Put both into a file below `moves/` and import it in `moves/__init__.py`. Nothing else is needed: swarm, log, schedule,
replay and shrinking know it then.

A move may also wait for something that an actor says, a log that was cut, a leader that began, and strike then: it
yields `When`. What strikes is an ordinary fault at its time, so a schedule knows nothing of what was waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import msgspec

from ..actors.kernel import Event

if TYPE_CHECKING:
    from .nemesis import Nemesis

Micros = int
Draws = Iterator[tuple[Micros, "Fault | When"]]
Move = Callable[["Nemesis"], Draws]

HOSTS = frozenset(("host", "source", "target", "watcher", "gone", "publisher", "subscriber"))
"""Fields of faults that name a host. A schedule may have been shortened, and the host with it."""

MOVES: dict[str, Move] = {}
"""All moves by name, in the order of their registration. Complete once `moves` is imported."""


def move(function: Move) -> Move:
    """Register a move under the name of its function."""
    name = function.__name__
    assert name not in MOVES, f"there is a move {name} already"
    MOVES[name] = function
    return function


class When(NamedTuple):
    """The next time that this event happens, within so long: break what `then` says, with delays from that moment."""

    event: type[Event]
    host: str  # where; "" anywhere
    for_us: Micros
    then: Callable[[], Draws]


def said(name: str) -> str:
    """`PowerLoss` as `power_loss`: what a class is called in logs and schedules."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")


class Fault(msgspec.Struct, frozen=True, tag_field="do", tag=said):
    """Something that breaks. The fields are all that was chosen by chance."""

    harmless: ClassVar[bool] = False
    """It only prepares another one, and is not counted."""

    def strike(self, nemesis: Nemesis) -> bool:
        """Do it now. False if there was nothing to break."""
        raise NotImplementedError

    def sentence(self) -> str:
        """What it is about, in a line of the log. The kind is said beside it."""
        fields = msgspec.structs.asdict(self).items()
        return ", ".join(str(value) if name == "host" else f"{name} {value}" for name, value in fields)

    @property
    def lasts_us(self) -> Micros:
        """How long it goes on."""
        return int(getattr(self, "for_us", getattr(self, "down_us", 0)))

    @property
    def hosts(self) -> list[str]:
        """The hosts that it names, by the names of its fields."""
        return [value for name, value in msgspec.structs.asdict(self).items() if name in HOSTS]

    @property
    def kind(self) -> str:
        """Its name in logs and counts."""
        return said(type(self).__name__)


def seconds(micros: Micros) -> str:
    """A span, for sentences."""
    return f"{micros / 1e6:.2f} s"
