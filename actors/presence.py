"""Who was heard of when, and on which connection: the members of the groups of one coordinator.

A member is *silent* when its session is over, or, once its connection has closed, its grace, unless it was heard of
on another connection meanwhile. The end of a connection is a hint: it may come late, twice, or for nobody who died.
"""

from __future__ import annotations

from collections.abc import Callable

from .deadlines import Deadlines
from .kernel import Address, Millis, node_of

Place = tuple[str, str]
"""A group and a member of it."""


class Presence:
    """The members that are waited for."""

    def __init__(self) -> None:
        self._until: Deadlines[Place] = Deadlines()
        self._routes: dict[Place, str] = {}
        self._places: dict[str, dict[Place, None]] = {}  # by route
        self._gone: set[Place] = set()  # their connections have closed

    def heard(self, place: Place, sender: Address, until: Millis) -> None:
        """A member has spoken; it is silent if nothing is heard until then."""
        self._until.set(place, until)
        self._gone.discard(place)
        route = node_of(sender)
        if self._routes.get(place) != route:
            self._leave(place)
            self._routes[place] = route
            self._places.setdefault(route, {})[place] = None

    def expect(self, place: Place, until: Millis) -> None:
        """A member should speak until then, wherever it spoke last."""
        self._until.set(place, until)

    def expected(self, place: Place) -> bool:
        """Whether anything is expected of a member."""
        return self._until.at(place) is not None

    def gone(self, place: Place) -> bool:
        """Whether a member's connection has closed, and it was not heard of since."""
        return place in self._gone

    def next(self) -> Millis | None:
        """When the next one will be silent."""
        return self._until.next()

    def silent(self, now: Millis) -> list[Place]:
        """Take those who are silent: nothing is expected of them any more."""
        return self._until.due(now)

    def closed(self, route: str, grace: Callable[[Place], int | None], now: Millis) -> list[Place]:
        """A connection has closed. `grace`: how long a member may take to come back; None: it does not matter for it.

        Returns those who spoke on it last.
        """
        places = [place for place in self._places.pop(route, {}) if self._routes.get(place) == route]
        for place in places:
            del self._routes[place]  # it may come back under the same name
            until, allowed = self._until.at(place), grace(place)
            if until is not None and allowed is not None:
                self._gone.add(place)
                self._until.set(place, Millis(min(until, now + allowed)))
        return places

    def forget(self, place: Place) -> None:
        """This member is no more."""
        self._until.drop(place)
        self._gone.discard(place)
        self._leave(place)

    def _leave(self, place: Place) -> None:
        route = self._routes.pop(place, None)
        if route is None:
            return
        places = self._places.get(route, {})
        places.pop(place, None)
        if not places:
            self._places.pop(route, None)
