"""What the cluster is asked to do while it is being broken: workloads.

A workload hosts real client actors and is the application on top of them. Several may run at once. Each seed draws
which ones do, and their settings, from a stream of chance of its own; the first of `parts.WORKLOADS` always runs.

A run leads it through its phases; override what matters:

    begin       start the clients, and from now on draw what they ask for
    heal        everything works again: go on drawing
    finish      ask for nothing more
    settled     whether everything that was asked has an outcome; `give_up` if that takes too long
    converged   None when all is well again, or what is not, in words
    conclude    a last look, at the whole: everything that was promised must be there
    concluded   whether that is done

What an application asks for is a `Command`, with all that was chosen by chance written into it. `ask` performs it and
keeps it as a step of the run's schedule; when a schedule is played, nothing is drawn before the healing, and the
schedule's commands are performed instead. So draw in `every`, ask there, and leave reactions (a retry, an answer to an
answer) as they are: they need no chance, and happen again by themselves.

    class Send(Command, frozen=True):
        of: ClassVar[str] = "log"
        process: str
        number: int

        def perform(self, workload: Workload) -> None: ...

Operations go into `history` (`history.Op`), which is judged after the run; what a workload sees itself that should
never be goes into `complaints`, in words. To add a workload: a file below `workloads/`, a line in `parts.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, ClassVar

import msgspec

from ..actors.kernel import Actor
from ..cluster.world import Boot, Micros, World
from ..storage.memory import MemoryDisk
from .fault import said
from .history import Op

if TYPE_CHECKING:
    from .run import Simulation
    from .swarm import Shape

Settings = dict[str, int | float | str | bool]


class Command(msgspec.Struct, frozen=True, tag_field="do", tag=said):
    """Something that an application asks of a client."""

    of: ClassVar[str]
    """The name of its workload."""

    def perform(self, workload: Workload) -> None:
        """Ask it now."""
        raise NotImplementedError


class Workload:
    """See the module's essay. `settings` are what `draw` gave for this seed."""

    name: ClassVar[str]

    @classmethod
    def draw(cls, random: Random, shape: Shape) -> Settings | None:
        """Whether it takes part in a run, and how. (The first workload is never asked.)"""
        return None

    def __init__(self, run: Simulation, settings: Settings) -> None:
        self.run = run
        self.settings = settings
        self.world: World = run.world
        self.history: list[Op] = run.history
        self.complaints: list[str] = []
        self.failures: dict[str, int] = {}  # what clients were refused, by reason
        self.clients: list[str] = []  # their hosts, which the nemesis cuts off
        self.mortal: list[str] = []  # those whose process it may kill
        self.finished = False
        self.chance = run.world.random(f"workload/{self.name}")
        self._drawing = run.schedule is None

    # --- Phases ---

    def begin(self) -> None:
        """Start all clients."""
        for name in self.clients:
            self.world.start(name)

    def heal(self) -> None:
        """Draw again, from a stream that does not depend on what was drawn before."""
        self._drawing = True
        self.chance = self.world.random(f"workload/{self.name}/healed")

    def died(self, host: str) -> None:
        """The process of one of the `mortal` was killed; what it waited for it will never hear of."""

    def finish(self) -> None:
        self.finished = True

    @property
    def growing(self) -> bool:
        """Whether partitions may be added at any moment, because somebody has asked for it."""
        return False

    @property
    def ready(self) -> bool:
        """Whether it has all the topics that it needs. No disk is spoilt before: a topic that is made while others are
        away is at one broker only at first."""
        return True

    def settled(self) -> bool:
        return True

    def give_up(self) -> None:
        """What has no outcome now will never have a known one."""

    def converged(self) -> str | None:
        return None

    def conclude(self) -> None:
        """The last look begins."""

    def concluded(self) -> bool:
        return True

    # --- For subclasses ---

    def ask(self, command: Command) -> None:
        """Perform it now, as a step of the schedule."""
        self.run.perform(command)

    def every(self, span: Callable[[], Micros], draw: Callable[[], None]) -> None:
        """Draw again and again, each time after a span, until the workload is finished."""

        def tick() -> None:
            if self.finished:
                return
            if self._drawing:
                draw()
            self.world.at(span(), tick, first=True)

        self.world.at(span(), tick, first=True)

    def host(self, name: str, role: str, actor: Actor, topics: list[str]) -> None:
        """A client on a host of its own, subscribed to these broadcasts. `begin` starts those in `clients`."""
        self.mortal_host(name, role, lambda: actor, topics)

    def mortal_host(self, name: str, role: str, make: Callable[[], Actor], topics: list[str]) -> None:
        """The same for a client that may die: `make` is called at each start. List it in `mortal` too."""

        def factory(boot: Boot) -> dict[str, Actor]:
            return {role: make()}

        self.world.add(name, factory, MemoryDisk(self.world.random(f"disk/{name}")), topics, role)
