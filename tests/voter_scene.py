"""One voter of three by itself, and three of them in a world: for tests of the quorum.

What the others would say to `Voter1` is said by the test, and its disk is flushed by hand (`sync`), so that what may
not be said before it is durable can be seen to wait.
"""

from __future__ import annotations

from logs import batch, flush_disk
from raft_world import VoterActor
from recording import Recording

from barnabas.actors.errors import ErrorCode
from barnabas.actors.kernel import Actor, Address, JobDone, Message, Payload, Timer
from barnabas.actors.messages import (
    METADATA,
    BeginEpoch,
    Fetch,
    Fetched,
    FetchedPartition,
    FetchPartition,
    Synced,
    SyncedPartition,
    Vote,
    Voted,
)
from barnabas.actors.raft import Raft, RaftConfig, Voter
from barnabas.actors.raft_config import ElectionTimer
from barnabas.cluster.world import Boot, World
from barnabas.storage.disk import Generation, JobId
from barnabas.storage.memory import MemoryDisk

VOTERS = {number: Voter(f"c{number}", f"d{number}") for number in (1, 2, 3)}
MS = 1000


class Holding(Recording):
    """Messages that wait for durability wait here."""

    def __init__(self) -> None:
        super().__init__("c1/controller")
        self.held: list[tuple[Generation, Address, Message]] = []

    def send(self, to: Address, message: Message, after: Generation | None = None) -> None:
        if after is None or after <= self.disk.synced:
            super().send(to, message)
        else:
            self.held.append((after, to, message))


class Voter1(Actor):
    """Voter 1 and its disk. `restart` is kill -9; `power` loses what was not durable."""

    def __init__(self) -> None:
        self.ctx = Holding()
        self.start()

    def start(self) -> None:
        self.ctx.timers.clear()
        self.ctx.jobs.clear()
        self.ctx.sent.clear()
        self.ctx.held.clear()
        self.raft = Raft(RaftConfig(1, "cluster", "d1", VOTERS))
        self.raft.start(self.ctx)
        [job] = self.ctx.jobs
        self.raft.on_job(JobDone(JobId(1), job, job.run(self.ctx.disk)), self.ctx)

    @property
    def disk(self) -> MemoryDisk:
        disk = self.ctx.disk
        assert isinstance(disk, MemoryDisk)
        return disk

    def restart(self) -> None:
        self.disk.crash()
        self.start()

    def power(self) -> None:
        self.disk.crash()
        self.disk.power_loss()
        self.start()

    def sync(self) -> None:
        generation = flush_disk(self.disk)
        held, self.ctx.held = self.ctx.held, []
        for after, to, message in held:
            self.ctx.send(to, message, after)
        self.raft.on_synced(generation, self.ctx)

    def on_timer(self, timer: Timer, ctx: object) -> None:
        self.raft.on_timer(timer, self.ctx)

    def hear(self, message: Message) -> None:
        self.raft.on_message(Address("@x/controller"), message, self.ctx)

    # --- What the others say ---

    def asked(
        self, epoch: int, candidate: int = 2, *, last_epoch: int = 0, end: int = 0, pre: bool = False
    ) -> list[Voted]:
        """A request for a vote, and the replies that leave at once."""
        self.hear(Vote("cluster", pre, epoch, candidate, f"d{candidate}", 1, "d1", last_epoch, end))
        return self.ctx.take(Voted)

    def vote(self, epoch: int, candidate: int = 2, *, last_epoch: int = 0, end: int = 0, pre: bool = False) -> bool:
        """The vote, once it is durable."""
        replies = self.asked(epoch, candidate, last_epoch=last_epoch, end=end, pre=pre)
        if not replies:
            self.sync()
            replies = self.ctx.take(Voted)
        [reply] = replies
        return reply.granted

    def voted(self, *voters: int, pre: bool = False, granted: bool = True, epoch: int | None = None) -> None:
        for voter in voters:
            reply_epoch = self.raft.epoch if epoch is None else epoch
            self.hear(Voted(pre, reply_epoch, granted, voter, f"d{voter}", -1))

    def time_out(self) -> None:
        self.raft.on_timer(ElectionTimer(), self.ctx)

    def elect(self) -> Voter1:
        """An election that is won with the vote of voter 2."""
        self.time_out()
        self.voted(2, pre=True)
        self.sync()
        self.voted(2)
        assert self.raft.leading
        return self

    def fetched(self, voter: int, offset: int, last_epoch: int, durable: int | None = None) -> None:
        """A follower's fetch."""
        wanted = FetchPartition(
            METADATA, self.raft.epoch, offset, last_epoch, offset if durable is None else durable, 0
        )
        self.hear(Fetch(offset + 1, voter, -1, f"d{voter}", 0, 0, 250, [wanted]))

    def synced(self, voter: int, durable: int) -> None:
        self.hear(Synced(voter, -1, f"d{voter}", [SyncedPartition(METADATA, self.raft.epoch, durable)]))

    def follow(self, leader: int, epoch: int) -> None:
        self.hear(BeginEpoch("cluster", epoch, leader, f"d{leader}"))

    def copies(self, words: str, epoch: int) -> None:
        """The leader's answer to the fetch that is out: one batch per letter."""
        self.sync()
        [fetch] = self.ctx.take(Fetch)[-1:]
        data = b""
        for place, word in enumerate(words):
            record = batch(word)
            record[0:8] = (fetch.wanted[0].offset + place).to_bytes(8, "big")
            record[12:16] = epoch.to_bytes(4, "big")
            data += bytes(record)
        records = Payload(data) if data else None
        part = FetchedPartition(METADATA, ErrorCode.NONE, epoch, 0, 0, records=records, leader=2)
        self.hear(Fetched(fetch.id, ErrorCode.NONE, 0, 0, [part]))

    def append(self, word: str) -> int:
        return self.raft.append(bytes(batch(word)), self.ctx)


class Quorum:
    """Three voters in a world in which nothing goes wrong by itself."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed)
        self.elected: list[tuple[int, int]] = []
        for number, voter in VOTERS.items():
            self.world.add(voter.endpoint, self._birth, MemoryDisk(self.world.random(f"disk/{number}")))
            self.world.start(voter.endpoint)

    def _birth(self, boot: Boot) -> dict[str, Actor]:
        number = int(boot.name[1:])
        return {"controller": VoterActor(RaftConfig(number, "cluster", f"d{number}", VOTERS))}

    def rafts(self) -> list[Raft]:
        nodes = [self.world.hosts[voter.endpoint].node for voter in VOTERS.values()]
        actors = [node.actors["controller"] for node in nodes if node is not None]
        return [actor.raft for actor in actors if isinstance(actor, VoterActor)]

    def leader(self) -> Raft | None:
        leading = [raft for raft in self.rafts() if raft.leading]
        return max(leading, key=lambda raft: raft.epoch) if leading else None

    def settle(self, ms: int = 2_000) -> Raft:
        """A leader that everybody follows and whose epoch has committed."""
        assert self.world.run_while(lambda: not self._settled(), ms * MS)
        leader = self.leader()
        assert leader is not None
        return leader

    def _settled(self) -> bool:
        leader = self.leader()
        return (
            leader is not None and leader.hw > leader.epoch_start and all(r.leader == leader.id for r in self.rafts())
        )
