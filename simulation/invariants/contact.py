"""R13: who leads the metadata quorum is in contact with a majority of it, or resigns (check-quorum, KAFKA-15489).

A leader that nobody hears does no harm to the log. But it goes on telling clients and brokers that it is the
controller, and they wait for it. Contact is a fetch in the leader's epoch. A leader that was stopped itself is given
time: it could not look at its clock.
"""

from __future__ import annotations

from ...actors.messages import METADATA, Envelope, Fetch
from ...cluster.world import Host, Micros, World
from ..oracle import Checker
from ..views import raft_of

SILENCE_US = 4_000_000
"""Far above check-quorum's own limit, which clocks and timers make a little longer."""

STOPPED_US = 1_000_000
"""A leader that did nothing for so long was stopped: its timers are much shorter."""


class ContactChecker(Checker):
    """Looks at what reaches each leader. That time passes is enough: `handled` is for every input."""

    hears = (Fetch,)

    def __init__(self) -> None:
        self._heard: dict[tuple[str, int, int, int], Micros] = {}  # host, life, epoch, voter
        self._since: dict[tuple[str, int, int], Micros] = {}  # host, life, epoch: since when it leads without a stop
        self._last: dict[tuple[str, int, int], Micros] = {}  # when it was seen last

    def delivered(self, world: World, target: str, envelope: Envelope) -> None:
        body = envelope.body
        if type(body) is Fetch and envelope.to == "controller":
            for wanted in body.wanted:
                if wanted.partition == METADATA:
                    place = (target, world.hosts[target].life, wanted.leader_epoch, body.replica)
                    self._heard[place] = world.now

    def handled(self, world: World, host: Host) -> None:
        raft = raft_of(host)
        if raft is None or not raft.leading or len(raft.voters) == 1:
            return
        term = (host.name, host.life, raft.epoch)
        if term not in self._last or world.now - self._last[term] > STOPPED_US:
            self._since[term] = world.now
        self._last[term] = world.now
        since = self._since[term]
        if world.now - since <= SILENCE_US:
            return
        self.premise("R13")
        silent = [
            voter
            for voter in sorted(raft.voters)
            if voter != raft.id and world.now - max(since, self._heard.get((*term, voter), 0)) > SILENCE_US
        ]
        if (len(raft.voters) - len(silent)) * 2 <= len(raft.voters):
            what = f"{host.name} still leads epoch {raft.epoch}"
            self.violated("R13", f"{what}, {SILENCE_US / 1e6:g} s after the last word of controllers {silent}")
