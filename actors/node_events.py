"""The catalogue of events, continued: what a process does by itself, outside of its actors."""

from __future__ import annotations

from .kernel import Event


class FaultsInjected(Event, frozen=True):
    """A node behaves as it was told to for an exercise; `told` is empty when it does so no longer."""

    node: int
    told: str

    def sentence(self) -> str:
        return f"node {self.node} was told: {self.told or 'no faults any more'}"
