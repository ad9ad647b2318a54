"""What will be done, and when: drawn before anything happens, from the scenario and a seed alone.

The same seed gives the same plan. Whom a target like "leader:chaos/0" means is known only when its time has come; whom
"random" means is drawn here, so that a plan of random blows names its nodes.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .scenario import Fault, Scenario

DRAWN: dict[str, dict[str, object]] = {
    "slow": {"delay_ms": 50, "jitter_ms": 50},
    "slow-disk": {"delay_ms": 200},
    "fill-disk": {"left_mb": 32},
    "clock": {"offset_s": 3600.0},
}
"""What random blows are like. A disk with 32 MB left takes no records, but what the cluster itself has to write."""


class Planned(NamedTuple):
    """A blow at its time, in seconds from the beginning of the impact; undone at `until`."""

    at: float
    until: float
    fault: Fault
    target: str
    seed: int


def plan(scenario: Scenario, seed: int, nodes: list[int]) -> list[Planned]:
    """Everything that will be done, in the order of time."""
    end = scenario.timeline.impact
    found: list[Planned] = []
    for number, fault in enumerate(scenario.faults):
        chance = Random(f"{seed}/{number}")
        for time in range(fault.times):
            at = fault.at + time * fault.every
            if at > end:
                break
            until = end if fault.lasting is None else min(end, at + fault.lasting)
            target = str(chance.choice(nodes)) if fault.target == "random" else fault.target
            found.append(Planned(at, until, fault, target, chance.getrandbits(32)))
    found += _random(scenario, Random(f"{seed}/random"), nodes)
    return sorted(found, key=lambda planned: planned.at)


def _random(scenario: Scenario, chance: Random, nodes: list[int]) -> list[Planned]:
    """One blow after the other, until the end of the impact."""
    drawn = scenario.random
    if drawn is None:
        return []
    found: list[Planned] = []
    verbs, weights = list(drawn.weights), list(drawn.weights.values())
    at = chance.uniform(0.0, drawn.every[0])
    while at < scenario.timeline.impact:
        verb = chance.choices(verbs, weights)[0]
        target = str(chance.choice(nodes))
        until = min(scenario.timeline.impact, at + chance.uniform(*drawn.lasting))
        fault = _fault(verb, target, chance, nodes)
        found.append(Planned(at, until, fault, target, chance.getrandbits(32)))
        at = until + chance.uniform(*drawn.every)
    return found


def _fault(verb: str, target: str, chance: Random, nodes: list[int]) -> Fault:
    options = dict(DRAWN.get(verb, {}))
    if verb == "clock":
        options["offset_s"] = chance.choice((-3600.0, -2.0, 2.0, 3600.0))
    if verb == "cut":
        others = [node for node in nodes if str(node) != target]
        options = {"other": str(chance.choice(others)), "both": chance.random() < 0.5}
    return Fault(verb, target, **options)  # type: ignore[arg-type]
