"""The application on top of one consumer of the simulated group: what it remembers, and what it says to whom.

It is the outlet of a real `GroupConsumerActor`. It knows which partitions it owns and where it stands in each, gives up
what is taken from it at once or late (as slow applications do), commits what it has when it is told to, and, when its
consumer leads the group, makes the plan for all. What it got and what became of its commits goes into the workload's
books and into the history.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from ...actors.client_commands import CommitPositions, Failure, Release, Took
from ...actors.consumer_outlet import Chunk
from ...actors.errors import ErrorCode
from ...actors.group_consumer import GroupConsumerActor
from ...actors.group_messages import Plan, PlanShare, PlanTask
from ...actors.group_reading import Given
from ...actors.group_records import grouped
from ...actors.messages import Partition
from ...cluster.world import Micros
from ..history import NEVER, Op, Outcome

if TYPE_CHECKING:
    from .groups import GroupsWorkload

Place = tuple[str, int]
"""A topic and the number of a partition."""

GROUP = "g"
COMMIT_TIMEOUT_MS = 8_000


class Application:
    """One life of one member: the outlet of its consumer, and what an application remembers."""

    def __init__(self, workload: GroupsWorkload, process: str, life: int) -> None:
        self.workload = workload
        self.process = process
        self.life = life
        self.actor: GroupConsumerActor | None = None
        self.owned: dict[Place, int] = {}  # by generation
        self.positions: dict[Place, int] = {}
        self.leaving = False
        self._lease_until: Micros = 0
        self._held: list[Chunk] = []  # what came when it may have been no member any more
        self._keeping: dict[object, tuple[Micros, dict[Place, tuple[int, str]]]] = {}

    def plan(self, task: PlanTask) -> Plan:
        """As the leader: one after the other; now and then nonsense."""
        workload = self.workload
        members = {member.member: member for member in task.members}
        shares: dict[str, set[Partition]] = {name: set() for name in members}
        for topic in task.topics:
            readers = [name for name, member in members.items() if topic.id in member.topics]
            for index in range(topic.partitions):
                shares[readers[index % len(readers)]].add(Partition(topic.id, index))
        plan = Plan(task.group_epoch, [PlanShare(name, grouped(share)) for name, share in shares.items()])
        return workload.spoilt(self.process, plan)

    # --- Records ---

    def fetched(self, chunk: Chunk) -> None:
        if self.workload.world.now > self._lease_until:
            self._held.append(chunk)
        else:
            self._read(chunk)

    def alive_for(self, lease_ms: int) -> None:
        self._lease_until = self.workload.world.now + lease_ms * 1000
        held, self._held = self._held, []
        for chunk in held:
            self._read(chunk)

    def _read(self, chunk: Chunk) -> None:
        place = (chunk.topic, chunk.partition)
        workload = self.workload
        workload.world.at(0, partial(workload.tell, self, Took(chunk.size)))
        if self.owned.get(place) != chunk.generation:
            return
        read = [(record.offset, (record.value or b"").decode("ascii", "replace")) for record in chunk.records()]
        now = workload.world.now
        workload.history.append(Op(self.process, "poll", f"{place[0]}-{place[1]}", now, now, read=read))
        workload.deliver(place, chunk.first, chunk.next)
        self.positions[place] = chunk.next

    def progressed(self, topic: str, partition: int, generation: int, position: int, hw: int) -> None:
        place = (topic, partition)
        if self.owned.get(place) != generation or any((held.topic, held.partition) == place for held in self._held):
            return
        before = self.positions.get(place)
        if before is not None and position > before:
            self.workload.deliver(place, before, position)  # nothing for applications lies there
        self.positions[place] = max(position, before or 0)

    def failed(self, topic: str, partition: int, generation: int, failure: Failure) -> None:
        workload = self.workload
        if partition >= 0:  # else nobody could be reached, or topics are not created yet
            workload.complaints.append(f"{self.process} cannot read {topic}-{partition}: {failure.sentence}")

    def offsets(self, token: object, found: dict[Place, tuple[int, int]]) -> None:
        """Nobody asks for them."""

    # --- The group ---

    def assigned(self, given: Sequence[Given]) -> None:
        workload = self.workload
        for topic, index, start, generation in given:
            place = (topic, index)
            self.owned[place] = generation
            self.positions.pop(place, None)
            if start.offset >= 0:
                self.positions[place] = start.offset
            now = workload.world.now
            workload.history.append(Op(self.process, "assign", f"{topic}-{index}", now, now))

    def revoking(self, places: Sequence[Place]) -> None:
        last = {place: self.positions[place] for place in places if place in self.positions}
        self._drop(places)
        workload = self.workload
        last = last if workload.settings["releases"] else {}
        for (topic, index), offset in last.items():  # nobody tells what becomes of these
            now = workload.world.now
            workload.note(
                Op(self.process, "commit", f"{topic}-{index}", now, NEVER, "info", offset=offset, group=GROUP)
            )
        workload.world.at(workload.figure("slow_us"), partial(workload.tell, self, Release(list(places), last)))

    def lost(self, places: Sequence[Place], reason: str) -> None:
        self._drop(places)

    def group_failed(self, failure: Failure) -> None:
        workload = self.workload
        workload.failures[f"group {failure.error.name}"] = workload.failures.get(f"group {failure.error.name}", 0) + 1
        if failure.error is ErrorCode.GROUP_MAX_SIZE_REACHED:
            workload.world.at(1_000_000, partial(workload.subscribe, self))
        else:
            workload.complaints.append(f"{self.process} is out of its group: {failure.sentence}")

    def _drop(self, places: Sequence[Place]) -> None:
        for place in places:
            self.owned.pop(place, None)
            self.positions.pop(place, None)

    # --- Commits ---

    def keep(self, number: int) -> None:
        """Commit all positions of what is owned, each with a note that nobody else writes."""
        offsets = {place: (at, f"{self.process}-{self.life}-{number}") for place, at in sorted(self.positions.items())}
        if not offsets or self.leaving:
            return
        self._keeping[number] = (self.workload.world.now, offsets)
        self.workload.tell(self, CommitPositions(number, offsets, COMMIT_TIMEOUT_MS))

    def committed(self, token: object, failure: Failure | None) -> None:
        """A verdict. If it is a refusal, an attempt before the one that was refused may have counted."""
        self.workload.kept += failure is None
        self._over(token, "ok" if failure is None else "info")

    def forget(self) -> None:
        """This life is over: nobody will know what became of its commits."""
        for token in [*self._keeping]:
            self._over(token, "info")

    @property
    def waits(self) -> bool:
        """Whether a commit has no verdict."""
        return bool(self._keeping)

    def _over(self, token: object, outcome: Outcome) -> None:
        called, offsets = self._keeping.pop(token)
        done = NEVER if outcome == "info" else self.workload.world.now
        for (topic, index), (offset, _) in offsets.items():
            key = f"{topic}-{index}"
            self.workload.note(Op(self.process, "commit", key, called, done, outcome, offset=offset, group=GROUP))

    def offsets_committed(self, token: object, found: dict[Place, tuple[int, str]]) -> None:
        """Nobody asks a member."""

    def lookup_failed(self, token: object, failure: Failure) -> None:
        """Nobody asks."""

    def closed(self) -> None:
        self.workload.world.at(0, partial(self.workload.gone, self))
