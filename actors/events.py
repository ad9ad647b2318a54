"""The catalogue of events: everything that the cluster decides, in plain sentences.

Each change of state emits exactly one, with its cause. Dashboard, verdicts, `explain` and tests read this one stream;
no actor ever does.
"""

from __future__ import annotations

from .kernel import Event


class QuorumLeaderElected(Event, frozen=True):
    """A controller won an election of the metadata quorum."""

    controller: int
    epoch: int

    def sentence(self) -> str:
        return f"controller {self.controller} was elected leader of the quorum in epoch {self.epoch}"


class QuorumLeaderResigned(Event, frozen=True):
    """A controller stopped leading the metadata quorum."""

    controller: int
    epoch: int

    def sentence(self) -> str:
        return f"controller {self.controller} no longer leads the quorum (epoch {self.epoch})"
