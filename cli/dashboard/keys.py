"""What the person at the keyboard has chosen, and what a key does to that: a pure function, tested without a terminal.

`press(state, key, room)` gives the next state, and an action for the cluster if the key means one. Keys that do
something to a node need a node to be chosen first, by its number: nothing is killed by a slip of one finger.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from . import VIEWS

BY_LETTER = {"p": "partitions", "b": "brokers", "g": "groups", "e": "events"}
VERBS = {"k": "kill", "s": "stop", "c": "continue", "r": "restart"}


class Looking(msgspec.Struct, frozen=True):
    """What is looked at, and how."""

    view: str = "partitions"
    filter: str = ""
    typing: bool = False  # the filter is being typed
    paused: bool = False  # the screen stands still
    scroll: int = 0  # rows of the view above the screen
    node: int = 0  # chosen; 0: none
    help: bool = False
    message: str = ""  # what became of the last key, for the last line
    over: bool = False  # the person has seen enough


class Action(NamedTuple):
    """Something to be done to a node of a local cluster."""

    verb: str  # kill, stop, continue or restart
    node: int


def press(state: Looking, key: str, nodes: list[int], *, local: bool, rows: int = 10) -> tuple[Looking, Action | None]:
    """`key`: a letter, or up, down, page up, page down, home, tab, enter, escape, backspace, end of input.

    `nodes`: those that there are. `local`: they are processes of this machine. `rows`: how many the view shows.
    """
    state = replace(state, message="")
    if key in ("end of input", "interrupt"):
        return replace(state, over=True), None
    if state.typing:
        return _type(state, key), None
    if state.help:
        return replace(state, help=False, over=key == "q"), None
    if key in VERBS:
        return _act(state, VERBS[key], nodes, local=local)
    if key.isdigit() or key == "n":
        return _choose(state, key, nodes), None
    return _look(state, key, rows), None


def _type(state: Looking, key: str) -> Looking:
    match key:
        case "enter":
            return replace(state, typing=False)
        case "escape":
            return replace(state, typing=False, filter="")
        case "backspace":
            return replace(state, filter=state.filter[:-1], scroll=0)
        case _ if len(key) == 1 and key.isprintable():
            return replace(state, filter=state.filter + key, scroll=0)
        case _:
            return state


def _act(state: Looking, verb: str, nodes: list[int], *, local: bool) -> tuple[Looking, Action | None]:
    if not local:
        return replace(state, message="This cluster runs elsewhere: its nodes are stopped and started there."), None
    if state.node not in nodes:
        return replace(state, message=f"Which node? Press its number first, then {verb[0]} to {verb} it."), None
    return state, Action(verb, state.node)


def _choose(state: Looking, key: str, nodes: list[int]) -> Looking:
    if key == "n":
        later = [node for node in nodes if node > state.node]
        return replace(state, node=later[0] if later else nodes[0] if nodes else 0)
    node = int(key)
    if node == 0 or node == state.node:
        return replace(state, node=0)
    if node not in nodes:
        return replace(state, message=f"There is no node {node}.")
    return replace(state, node=node)


def _look(state: Looking, key: str, rows: int) -> Looking:
    match key:
        case "q":
            return replace(state, over=True)
        case "?" | "h":
            return replace(state, help=True)
        case "tab":
            return replace(state, view=VIEWS[(VIEWS.index(state.view) + 1) % len(VIEWS)], scroll=0)
        case "/":
            return replace(state, typing=True)
        case "escape":
            return replace(state, filter="", node=0, scroll=0)
        case " ":
            return replace(state, paused=not state.paused)
        case "up":
            return replace(state, scroll=max(0, state.scroll - 1))
        case "down":
            return replace(state, scroll=state.scroll + 1)
        case "page up":
            return replace(state, scroll=max(0, state.scroll - rows))
        case "page down":
            return replace(state, scroll=state.scroll + rows)
        case "home":
            return replace(state, scroll=0)
        case _ if key in BY_LETTER:
            return replace(state, view=BY_LETTER[key], scroll=0)
        case _:
            return state
