"""Members of consumer groups that come, go, die, sleep and change their minds, while the cluster is being broken.

Members of the group `g` are the real client: a consumer that reads what its group assigns. What stands here is the
application: it remembers what it was given (`delivered`), commits now and then what it has, and releases what it is
asked for, at once or late. Members of the group `c` speak Kafka's classic protocol (`classic_members`); they commit,
and read nothing. Somebody outside of both asks what is committed.

After the healing everybody comes, and nobody goes any more: both groups must become stable, every partition must be
read to its end by whoever owns it, and committed to there.
"""

from __future__ import annotations

from functools import partial
from random import Random
from typing import TYPE_CHECKING, ClassVar

from ...actors.client_commands import (
    AskCoordinator,
    Close,
    Failure,
    Start,
    Subscribe,
)
from ...actors.consumer_outlet import ConsumerSettings
from ...actors.group_consumer import GroupConsumerActor
from ...actors.group_member import MemberSettings
from ...actors.group_messages import Plan
from ...actors.group_reading import GroupSettings
from ...actors.group_settings import GroupSettings as CoordinatorSettings
from ...actors.kernel import Actor, Message
from ...actors.messages import EARLIEST, TOPIC_LEADERSHIP, CommitOffsets, FetchOffsets, OffsetsFetched, Partition
from ...actors.offset_messages import NewOffset
from ...cluster.world import Boot, Micros
from ...storage.memory import MemoryDisk
from ..history import NEVER, Op, Outcome
from ..swarm import Shape
from ..views import coordinator_of
from ..workload import Command, Settings, Workload
from .classic_members import ClassicMember
from .group_application import COMMIT_TIMEOUT_MS, GROUP, Application, Place
from .group_asker import GroupAsker

if TYPE_CHECKING:
    from ..run import Simulation

CLASSIC = "c"
ASKER = "gasker"
OURS = "t[0-9]+"
"""A pattern of the first workload's topics. Those of others may be trimmed and compacted, and are judged otherwise."""


class Arrive(Command, frozen=True):
    """Start a member that does not run."""

    of: ClassVar[str] = "groups"
    process: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.arrive(self.process)


class Depart(Command, frozen=True):
    """A member closes in good order; its process ends when it has."""

    of: ClassVar[str] = "groups"
    process: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.depart(self.process)


class Die(Command, frozen=True):
    """kill -9 of a member."""

    of: ClassVar[str] = "groups"
    process: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.die(self.process)


class Sleep(Command, frozen=True):
    """A member does nothing for a while: its process is stopped."""

    of: ClassVar[str] = "groups"
    process: str
    for_us: Micros

    def perform(self, workload: Workload) -> None:
        if workload.world.hosts[self.process].node is not None:
            workload.world.pause(self.process, self.for_us)


class Read(Command, frozen=True):
    """A member reads these topics from now on, and what the pattern matches."""

    of: ClassVar[str] = "groups"
    process: str
    topics: list[str]
    pattern: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.read(self.process, self.topics, self.pattern)


class Keep(Command, frozen=True):
    """A member commits what it has."""

    of: ClassVar[str] = "groups"
    process: str
    number: int

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.commit(self.process, self.number)


class Leave(Command, frozen=True):
    """All members of a group leave, or die, so that nobody is in it for a while."""

    of: ClassVar[str] = "groups"
    group: str
    kill: bool

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        for name in workload.members if self.group == GROUP else workload.classic:
            if self.kill:
                workload.die(name)
            else:
                workload.depart(name)


class BeginAgain(Command, frozen=True):
    """Somebody outside wants the group to begin again. It is refused while anybody is in it."""

    of: ClassVar[str] = "groups"
    number: int

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.reset(self.number)


class AskCommitted(Command, frozen=True):
    """What is committed in a group?"""

    of: ClassVar[str] = "groups"
    group: str

    def perform(self, workload: Workload) -> None:
        assert isinstance(workload, GroupsWorkload)
        workload.ask_committed(self.group)


class GroupsWorkload(Workload):
    """See the module's essay."""

    name = "groups"

    @classmethod
    def draw(cls, random: Random, shape: Shape) -> Settings | None:
        if random.random() < 0.4:
            return None
        members = random.randint(2, 5)
        return {
            "members": members,
            "classic": random.choice((0, 0, 2, 3)),
            "weight": random.choice((0, 40_000)),
            "silent": random.choice((0.0, 0.3, 0.6)),
            "churns": True,
            "assignor": random.choice(("uniform", "uniform", "range", "leader")),
            "static": random.choice((0.0, 0.0, 0.5)),
            "churn_us": random.choice((700_000, 2_000_000, 6_000_000)),
            "keep_us": random.choice((150_000, 500_000, 1_500_000)),
            "session_ms": random.choice((2_000, 4_000, 8_000)),
            "grace_ms": random.choice((100, 1_000)),
            "rebalance_ms": random.choice((3_000, 8_000)),
            "slow_us": random.choice((0, 0, 300_000, 2_000_000)),
            "releases": random.random() < 0.7,
            "spoils": random.choice((0.0, 0.3)),
            "empty_us": random.choice((5_000_000, 15_000_000)),
            "retention_ms": random.choice((0, 0, 1_500)),
            "max_members": random.choice((1_000, 1_000, max(2, members - 1))),
        }

    def __init__(self, run: Simulation, settings: Settings) -> None:
        super().__init__(run, settings)
        self.delivered: dict[Place, list[tuple[int, int]]] = {}  # what members of `g` got, as disjoint rising ranges
        self.kept = 0  # commits with a good verdict
        self.applications: dict[str, Application] = {}  # the present lives of members of `g`
        self._topics = [f"t{number}" for number in range(run.swarm.shape.topics)]
        self._wants: dict[str, tuple[list[str], str]] = {}
        self._lives: dict[str, int] = {}
        self._asked: dict[object, tuple[Micros, str]] = {}
        self._resets: dict[object, tuple[Micros, list[Place]]] = {}
        self._number = 0
        self._questions = 0
        self._last = 0  # when everybody committed everything the last time
        self._churning = bool(settings["churns"])
        retention = self.figure("retention_ms")
        run.machines.group_settings = CoordinatorSettings(
            session_ms=self.figure("session_ms"),
            grace_ms=self.figure("grace_ms"),
            max_members=self.figure("max_members"),
            **({"retention_ms": retention, "observed_ms": retention // 2} if retention else {}),
        )
        self._hints()
        self.members = [f"m{number}" for number in range(1, self.figure("members") + 1)]
        self.classic = [f"k{number}c" for number in range(1, self.figure("classic") + 1)]
        self._chance = self.world.random("workload/groups/members")
        self.static = {name for name in self.members if self._chance.random() < self.figure("static")}
        for name in self.members:
            self._wants[name] = (list(self._topics), "")
            self.world.add(name, partial(self._native, name), self._disk(name), [TOPIC_LEADERSHIP], "consumer")
        for name in self.classic:
            self.world.add(name, partial(self._classic, name), self._disk(name), [TOPIC_LEADERSHIP], "classic")
        self.host(ASKER, "asker", GroupAsker(run.machines.brokers, self), [TOPIC_LEADERSHIP])
        self.clients = [ASKER, *self.members, *self.classic]

    def figure(self, name: str) -> int:
        """A setting that is a number."""
        value = self.settings[name]
        assert isinstance(value, int | float), f"{name} is {value}"
        return value  # type: ignore[return-value]

    def _disk(self, name: str) -> MemoryDisk:
        return MemoryDisk(self.world.random(f"disk/{name}"))

    def _hints(self) -> None:
        """The end of a connection is heard of late, or never."""
        random, times = self.world.random("gone/routes"), self.run.swarm.times

        def gone(target: str, source: str) -> Micros | None:
            lost = random.random() < times.gone_lost
            return None if lost else int(random.expovariate(1 / times.gone_us))

        self.world.route_gone_time = gone

    # --- Hosts ---

    def _native(self, name: str, boot: Boot) -> dict[str, Actor]:
        self._lives[name] = self._lives.get(name, 0) + 1
        application = self.applications[name] = Application(self, name, self._lives[name])
        assignor = str(self.settings["assignor"])
        member = MemberSettings(
            GROUP,
            instance=f"static-{name}" if name in self.static else "",
            client_id=name,
            assignor=assignor,
            rebalance_timeout_ms=self.figure("rebalance_ms"),
        )
        settings = GroupSettings(member, Start(EARLIEST))
        consumer = ConsumerSettings(max_wait_ms=300)
        application.actor = GroupConsumerActor(
            self.run.machines.brokers, application, consumer, settings, application.plan
        )
        self.world.at(0, partial(self.subscribe, application))
        return {"consumer": application.actor}

    def _classic(self, name: str, boot: Boot) -> dict[str, Actor]:
        self._lives[name] = self._lives.get(name, 0) + 1
        session = max(1_000, self.figure("session_ms") // 2)
        actor = ClassicMember(
            self.run.machines.brokers,
            CLASSIC,
            f"{name}-{self._lives[name]}",
            self._topics,
            session_ms=session,
            rebalance_ms=self.figure("rebalance_ms"),
            instance=f"static-{name}" if name == "k1c" and self.static else "",
            weight=self.figure("weight"),
        )
        actor.silent = not self.run.nemesis.healed and self._chance.random() < self.figure("silent")
        return {"classic": actor}

    def tell(self, application: Application, message: Message) -> None:
        """Say something to a member, if that life of it still is."""
        if self.applications.get(application.process) is application:
            self.world.tell(application.process, "consumer", message)

    # --- Phases ---

    def begin(self) -> None:
        super().begin()
        self.every(partial(self._span, "churn_us"), self._draw_churn)
        for name in self.members:
            self.every(partial(self._span, "keep_us"), partial(self._draw_keep, name))
        self.every(lambda: 400_000, lambda: self.ask(AskCommitted(self.chance.choice((GROUP, CLASSIC)))))
        self.every(lambda: 1_500_000, self._draw_reset)
        self.every(partial(self._span, "empty_us"), self._draw_leave)

    def heal(self) -> None:
        """Everybody comes, and nobody goes any more; who finds no place in the group stays away."""
        super().heal()
        most = self.figure("max_members")
        for name in [*self.members[:most], *self.classic[:most]]:
            self.world.resume(name)
            if name in self.applications and self.applications[name].leaving:
                self.die(name)
            self.arrive(name)
        for name in [*self.members[most:], *self.classic[most:]]:
            self.die(name)
        self._churning = False

    def settled(self) -> bool:
        return not any(application.waits for application in self._living())

    def give_up(self) -> None:
        for application in self.applications.values():
            application.forget()
        for token in [*self._resets]:
            self._reset_over(token, "info")

    def converged(self) -> str | None:
        """GL1: the groups are stable, with everybody in them who lives."""
        if not self.run.nemesis.healed:
            return None
        owned: dict[Place, list[str]] = {}
        for application in self._living():
            for place in application.owned:
                owned.setdefault(place, []).append(application.process)
        for group, names in ((GROUP, self.members), (CLASSIC, self.classic)):
            alive = [name for name in names if self.world.hosts[name].node is not None]
            found = coordinator_of(self.world, group)
            if found is None:
                return f"GL2: group {group} has no coordinator" if alive else None
            state, members = found.picture(group)
            if state != ("Stable" if alive else "Empty") or members != len(alive):
                return f"GL1: group {group} is {state} with {members} members, {len(alive)} live"
        wrong = [place for place in self.run.workload.places() if len(owned.get(place, ())) != 1]
        return f"GL1: {wrong[0]} is owned by {owned.get(wrong[0])}" if wrong and self._living() else None

    def conclude(self) -> None:
        """Everything is read, and committed."""
        self._last = 0
        self._commit_all()

    def concluded(self) -> bool:
        """Whether all is committed up to its end. (The ends stand still by now.)"""
        found = coordinator_of(self.world, GROUP)
        if found is None or not self._living():
            return found is None or not self.members
        image = found.topics
        ends = {
            (topic, index): self.run.copies.history(Partition(image.by_name[topic].id, index)).true_hw
            for topic, index in self.run.workload.places()
        }
        behind = [place for place, end in ends.items() if found.committed(GROUP, place) < end]
        if behind and self.world.now - self._last > 1_000_000:
            self._commit_all()
        return not behind

    def _commit_all(self) -> None:
        self._last = self.world.now
        for application in self._living():
            self._number += 1
            application.keep(self._number)

    def _living(self) -> list[Application]:
        return [a for name, a in self.applications.items() if self.world.hosts[name].node is not None]

    # --- What is asked ---

    def arrive(self, name: str) -> None:
        """Unless it is there."""
        if self.world.hosts[name].node is None:
            self.world.start(name)

    def depart(self, name: str) -> None:
        """In good order."""
        application = self.applications.get(name)
        if application is None or self.world.hosts[name].node is None:
            self.die(name)
            return
        application.leaving = True
        self.tell(application, Close(timeout_ms=2_000))

    def gone(self, application: Application) -> None:
        """A member has closed."""
        if self.applications.get(application.process) is application:
            self.die(application.process)

    def die(self, name: str) -> None:
        """kill -9."""
        self.world.crash(name)
        if name in self.applications:
            self.applications[name].forget()

    def read(self, name: str, topics: list[str], pattern: str) -> None:
        """From now on."""
        self._wants[name] = (topics, pattern)
        if name in self.applications:
            self.subscribe(self.applications[name])

    def subscribe(self, application: Application) -> None:
        """As it wants."""
        topics, pattern = self._wants[application.process]
        if not application.leaving:
            self.tell(application, Subscribe(topics, pattern))

    def commit(self, name: str, number: int) -> None:
        """What it has."""
        application = self.applications.get(name)
        if application is not None and self.world.hosts[name].node is not None:
            application.keep(number)

    def ask_committed(self, group: str) -> None:
        """By somebody who is in no group."""
        self._questions += 1
        token = f"question {self._questions}"  # a schedule brings numbers of its own, of orders to begin again
        self._asked[token] = (self.world.now, group)
        command = AskCoordinator(token, FetchOffsets(0, group, -1, None), 5_000)
        self.world.tell(ASKER, "asker", command)

    def reset(self, number: int) -> None:
        """All partitions of the group, to their beginning."""
        topics = {name: topic for topic, name in self.run.metadata.topics.items()}
        places = [(topic, index) for topic, index in self.run.workload.places() if topic in topics]
        if not places:
            return
        self._resets[number] = (self.world.now, places)
        offsets = [NewOffset(Partition(topics[topic], index), 0, -1, f"reset-{number}") for topic, index in places]
        command = AskCoordinator(number, CommitOffsets(0, GROUP, -1, "", -1, offsets), COMMIT_TIMEOUT_MS)
        self.world.tell(ASKER, "asker", command)

    # --- Draws ---

    def _span(self, name: str) -> Micros:
        every = self.figure(name)
        return self.chance.randint(every // 2, every * 3 // 2)

    def _draw_keep(self, name: str) -> None:
        self._number += 1
        self.ask(Keep(name, self._number))

    def _draw_churn(self) -> None:
        if not self._churning:
            return
        name = self.chance.choice([*self.members, *self.classic])
        if self.world.hosts[name].node is None:
            self.ask(Arrive(name))
            return
        kind = self.chance.randrange(10)
        if kind < 3:
            self.ask(Depart(name))
        elif kind < 6:
            self.ask(Die(name))
        elif kind < 8 or name in self.classic:
            session = self.figure("session_ms") * 1000
            self.ask(Sleep(name, self.chance.choice((session // 2, session * 3 // 2, session * 3))))
        else:
            few = self.chance.sample(self._topics, self.chance.randint(1, len(self._topics)))
            wanted = self.chance.choice((([], OURS), (sorted(few), ""), (list(self._topics), "")))
            self.ask(Read(name, *wanted))

    def _draw_reset(self) -> None:
        if self._churning and self.chance.random() < 0.3:
            self._number += 1
            self.ask(BeginAgain(self._number))

    def _draw_leave(self) -> None:
        if self._churning:
            self.ask(Leave(self.chance.choice((GROUP, GROUP, CLASSIC)), self.chance.random() < 0.5))

    def spoilt(self, name: str, plan: Plan) -> Plan:
        """A leader's plan; now and then one that is none."""
        spoils = not self.run.nemesis.healed and (plan.group_epoch * 7 + len(name)) % 10 < 10 * self.figure("spoils")
        return Plan(plan.group_epoch, plan.shares[:-1]) if spoils and len(plan.shares) > 1 else plan

    # --- What comes of it ---

    def deliver(self, place: Place, first: int, end: int) -> None:
        """Members got everything from `first` up to `end`."""
        ranges = self.delivered.setdefault(place, [])
        ranges.append((first, end))
        ranges.sort()
        merged: list[tuple[int, int]] = []
        for low, high in ranges:
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], high))
            else:
                merged.append((low, high))
        self.delivered[place] = merged

    def note(self, op: Op) -> None:
        """Into the history, unless offsets expire in this run: then nobody can tell what was committed."""
        if not self.settings["retention_ms"]:
            self.history.append(op)

    # --- The outlet of the asker ---

    def answered(self, token: object, answer: Message) -> None:
        """What is committed: the oracle has seen it, and the history keeps what members may know."""
        if token in self._resets:
            self._reset_over(token, "ok")
            return
        called, group = self._asked.pop(token)
        assert isinstance(answer, OffsetsFetched), f"nobody asked for {answer!r}"
        if group != GROUP:
            return
        topics = self.run.metadata.topics  # whoever answered may be dead by now
        for kept in answer.offsets:
            key = f"{topics[kept.partition[0]]}-{kept.partition[1]}"
            self.note(Op(ASKER, "committed", key, called, self.world.now, offset=kept.offset, group=GROUP))

    def failed(self, token: object, failure: Failure) -> None:
        if token in self._resets:
            self._reset_over(token, "info")
        self._asked.pop(token, None)

    def _reset_over(self, token: object, outcome: Outcome) -> None:
        called, places = self._resets.pop(token)
        done = NEVER if outcome == "info" else self.world.now
        for topic, index in places:
            self.note(Op(ASKER, "commit", f"{topic}-{index}", called, done, outcome, offset=0, group=GROUP))
