"""The metadata quorum: R1 to R8 of RELIABILITY 1.3.

R1 one leader per epoch. R2 epochs never go back, and none is shown that is not durable. R3 one vote per voter and
epoch, durable before it is said. R4 nobody leads twice in one epoch across a restart. R5 log matching, and one history
of committed records. R6 a leader has everything committed. R7 the high watermark is durable at a majority, never goes
back, and is set only through a record of the leader's own epoch. R8 nothing below the high watermark is cut. And what
a voter calls durable is there after a loss of power (DURABLE), which all of the others stand on.
"""

from __future__ import annotations

import msgspec

from ...actors.messages import METADATA, BeginEpoch, Envelope, Fetch, Fetched, Vote, Voted
from ...actors.quorum_state import QuorumState
from ...cluster.world import Host, World
from ..mirror import Mirror
from ..oracle import Checker
from ..views import EpochLogView, RaftView, durable_quorum_state, raft_of


class _Seen(msgspec.Struct):
    """What was last seen of one voter."""

    mirror: Mirror
    life: int = 0
    key: tuple[int | bool, ...] = ()
    epoch: int = 0
    shown: int = 0  # the highest epoch in any message
    hw: int = 0
    claimed: int = 0  # what it called durable after the last input
    durable: int = 0  # the most that it called durable of its present log
    log: EpochLogView | None = None
    led: int = -1  # the last epoch in which it led, in this life
    persisted: QuorumState = QuorumState()  # durable, as of the last look at the disk


class QuorumChecker(Checker):
    """All controllers' `Raft`, watched together."""

    looks_at = frozenset(("controller",))
    says = (Vote, Voted, BeginEpoch, Fetch, Fetched)

    def __init__(self) -> None:
        self.seen: dict[str, _Seen] = {}
        self.leaders: dict[int, tuple[int, str, int]] = {}  # epoch -> voter, host, life
        self.votes: dict[tuple[int, str, int], int] = {}  # voter, directory, epoch -> candidate
        self.batches: dict[tuple[int, int], tuple[int, int]] = {}  # base and epoch of a batch -> its end and chain
        self.committed: dict[int, int] = {}  # end of a committed batch -> chain
        self.committed_in: dict[int, int] = {}  # end of a committed batch -> epoch of the leader that committed it
        self.true_hw = 0

    # --- State ---

    def handled(self, world: World, host: Host) -> None:
        raft = raft_of(host)
        if raft is None:
            return
        seen = self.seen.get(host.name)
        if seen is None:
            seen = self.seen[host.name] = _Seen(Mirror(self.committed))  # logs begin at ends of committed batches
        log = raft.log
        end, durable = (log.end, log.recovery_point) if log is not None else (-1, -1)
        key = (host.life, raft.epoch, raft.voted_for, raft.leading, raft.leader, raft.hw, end, durable)
        if key == seen.key:
            return
        seen.key = key
        if host.life != seen.life:
            self._restarted(host, raft, seen)
        self._epoch(host, raft, seen)
        if log is not None:
            self._log(host, raft, log, seen)
            self._leader(host, raft, seen)
            self._high_watermark(host, raft, log, seen)

    def _restarted(self, host: Host, raft: RaftView, seen: _Seen) -> None:
        if seen.log is not None and seen.log.recovery_point < seen.claimed:
            # In the input in which it died it had begun to cut, and took back what it called durable before the cut.
            seen.durable = min(seen.durable, seen.log.recovery_point)
        seen.life, seen.hw, seen.led, seen.log = host.life, 0, -1, None
        if host.name in self.oracle.lossy_voters:
            seen.shown = seen.epoch = seen.durable = 0
            return
        self.premise("R2")
        if raft.epoch < seen.shown:
            self.violated("R2", f"{host.name} restarted in epoch {raft.epoch}, it had spoken in {seen.shown} before")
        seen.epoch = raft.epoch

    def _epoch(self, host: Host, raft: RaftView, seen: _Seen) -> None:
        if raft.epoch < seen.epoch:
            self.violated("R2", f"{host.name} went back from epoch {seen.epoch} to {raft.epoch}")
        seen.epoch = raft.epoch
        if raft.leader >= 0:
            known = self.leaders.get(raft.epoch)
            if known is not None and known[0] != raft.leader:
                self.violated("R1", f"{host.name} follows {raft.leader} in epoch {raft.epoch}, which {known[0]} leads")

    def _leader(self, host: Host, raft: RaftView, seen: _Seen) -> None:
        if not raft.leading or seen.led == raft.epoch:
            return
        known = self.leaders.setdefault(raft.epoch, (raft.id, host.name, host.life))
        self.premise("R1")
        if known[0] != raft.id:
            self.violated("R1", f"{raft.id} and {known[0]} both lead epoch {raft.epoch}")
        self.premise("R4")
        if known[2] != host.life:
            self.violated("R4", f"{host.name} leads epoch {raft.epoch} again after a restart")
        seen.led = raft.epoch
        if len(raft.voters) > 1:
            state = self._persisted(host, seen, raft.epoch)
            if (state.epoch, state.voted_for) != (raft.epoch, raft.id):
                self.violated("R3", f"{host.name} leads epoch {raft.epoch}, but its own vote is not durable: {state}")
        self._complete(host, raft, seen)

    def _complete(self, host: Host, raft: RaftView, seen: _Seen) -> None:
        # Later leaders only: the votes of an epoch may reach a paused candidate when the next epoch commits already.
        newest = next((end for end in reversed(self.committed) if self.committed_in[end] < raft.epoch), None)
        if newest is None:
            return
        self.premise("R6")
        if seen.mirror.chain_below(newest) != self.committed[newest]:
            self.violated(
                "R6",
                f"{host.name} leads epoch {raft.epoch} without all that is committed: its log ends at "
                f"{seen.mirror.end}, committed is {newest}",
            )

    def _log(self, host: Host, raft: RaftView, log: EpochLogView, seen: _Seen) -> None:
        mirror = seen.mirror
        change = mirror.update(log)
        first_look = seen.log is not log
        seen.log, seen.claimed = log, log.recovery_point
        if first_look and seen.durable and host.name not in self.oracle.lossy_voters:
            self.premise("DURABLE")
        if change.cut is not None:
            if first_look:
                if change.cut < seen.durable and host.name not in self.oracle.lossy_voters:
                    what = f"{host.name} had {seen.durable} durable, and came back with its log cut to {change.cut}"
                    self.violated("DURABLE", what)
            else:
                self.premise("R8")
                if change.cut < seen.hw:
                    self.violated("R8", f"{host.name} cut its log to {change.cut}, below its high watermark {seen.hw}")
            seen.durable = min(seen.durable, change.cut)
        seen.durable = max(seen.durable, log.recovery_point)
        epoch = mirror.lines[-len(change.added) - 1].epoch if len(mirror.lines) > len(change.added) else -1
        expected = change.added[0].base if change.added else 0
        for line in change.added:
            self.premise("R5")
            if line.base != expected or line.epoch < epoch:
                what = f"{host.name} has a batch at {line.base} in epoch {line.epoch}"
                self.violated("R5", f"{what} after one that ends at {expected} in epoch {epoch}")
            expected, epoch = line.end, line.epoch
            if self.batches.setdefault((line.base, line.epoch), (line.end, line.chain)) != (line.end, line.chain):
                self.violated("R5", f"{host.name} has another log than others up to {line.end} in epoch {line.epoch}")
        if mirror.end != log.end:
            self.violated("R5", f"{host.name} says that its log ends at {log.end}, its batches end at {mirror.end}")

    def _high_watermark(self, host: Host, raft: RaftView, log: EpochLogView, seen: _Seen) -> None:
        if raft.hw < seen.hw:
            self.violated("R7", f"{host.name} moved its high watermark back from {seen.hw} to {raft.hw}")
        if raft.hw == seen.hw:
            return
        if raft.hw > log.end:
            self.violated("R7", f"{host.name} has high watermark {raft.hw} beyond its end {log.end}")
        known = seen.hw
        seen.hw = raft.hw
        lines = seen.mirror.lines
        index = len(lines)
        while index and lines[index - 1].end > known:
            index -= 1
        for line in lines[index:]:
            if line.end > raft.hw:
                break
            self.premise("R5")
            if line.end <= self.true_hw and line.end not in self.committed:
                self.violated("R5", f"{host.name} has a committed batch end at {line.end}, where others have none")
            self.committed_in.setdefault(line.end, raft.epoch)
            if self.committed.setdefault(line.end, line.chain) != line.chain:
                self.violated("R5", f"{host.name} has committed other records up to {line.end} than others")
        if raft.hw > self.true_hw:
            if raft.leading:
                self._majority(host, raft, seen)
            else:
                what = f"{host.name} follows and has {raft.hw} committed"
                self.violated("R7", f"{what}, but no leader has more than {self.true_hw}")
            self.true_hw = raft.hw

    def _majority(self, host: Host, raft: RaftView, seen: _Seen) -> None:
        self.premise("R7")
        newest = seen.mirror.last_below(raft.hw)
        assert newest is not None
        if newest.epoch != raft.epoch:
            self.violated("R7", f"{host.name} committed {raft.hw} in epoch {raft.epoch} by a record of {newest.epoch}")
        having = []
        for voter in raft.voters.values():
            other = self.seen.get(voter.endpoint)
            if other is not None and other.durable >= raft.hw and other.mirror.chain_below(newest.end) == newest.chain:
                having.append(voter.endpoint)
        if len(having) * 2 <= len(raft.voters):
            self.violated("R7", f"{host.name} committed {raft.hw}, which is durable only at {sorted(having)}")

    # --- Messages ---

    def sent(self, world: World, source: str, to: str, envelope: Envelope) -> None:
        body = envelope.body
        seen = self.seen.get(source)
        if seen is None or not envelope.sender.endswith("/controller"):
            return
        epoch = -1
        if isinstance(body, Vote | Voted):
            if not body.pre:
                epoch = body.epoch
        elif isinstance(body, BeginEpoch):
            epoch = body.epoch
        elif isinstance(body, Fetch):
            if len(body.wanted) == 1 and body.wanted[0].partition == METADATA:
                epoch = body.wanted[0].leader_epoch
        elif isinstance(body, Fetched) and len(body.partitions) == 1 and body.partitions[0].partition == METADATA:
            epoch = body.partitions[0].leader_epoch
        host = world.hosts[source]
        if epoch > seen.shown:
            self.premise("R2")
            state = self._persisted(host, seen, epoch)
            if state.epoch < epoch:
                self.violated(
                    "R2", f"{source} says epoch {epoch} in {type(body).__name__}, but only {state.epoch} is durable"
                )
            seen.shown = epoch
        if isinstance(body, Voted) and body.granted and not body.pre:
            self._voted(host, seen, body.voter, body.directory_id, body.epoch, self._id_of(world, source, to))
        elif isinstance(body, Vote) and not body.pre:
            self._own_vote(body)

    def _own_vote(self, vote: Vote) -> None:
        known = self.votes.setdefault((vote.candidate, vote.directory_id, vote.epoch), vote.candidate)
        if known != vote.candidate:
            self.violated("R3", f"{vote.candidate} stands in epoch {vote.epoch}, where it voted for {known}")

    def _voted(self, host: Host, seen: _Seen, voter: int, directory: str, epoch: int, candidate: int) -> None:
        self.premise("R3")
        known = self.votes.setdefault((voter, directory, epoch), candidate)
        if known != candidate:
            self.violated("R3", f"{voter} voted for {known} and for {candidate} in epoch {epoch}")
        state = self._persisted(host, seen, epoch)
        if state.epoch == epoch and state.voted_for != candidate:
            self.violated("R3", f"{voter} grants {candidate} epoch {epoch}, but durably voted {state.voted_for}")

    def _id_of(self, world: World, source: str, to: str) -> int:
        name = to.removeprefix("@").partition("#")[0]
        raft = raft_of(world.hosts[source])
        assert raft is not None
        return next((number for number, voter in sorted(raft.voters.items()) if voter.endpoint == name), -1)

    def _persisted(self, host: Host, seen: _Seen, epoch: int) -> QuorumState:
        """The durable state; the disk is looked at again unless it is known to be new enough."""
        if seen.persisted.epoch < epoch or seen.persisted.voted_for < 0 or host.name in self.oracle.lossy_voters:
            seen.persisted = durable_quorum_state(host)
        return seen.persisted
