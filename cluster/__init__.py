"""Where they live: configuration, assembly, supervision, and many nodes in one process.

`Cluster` loads on first use: a node, or the simulator, needs no clients.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .running import Cluster as Cluster

__all__ = ["Cluster"]


def __getattr__(name: str) -> object:
    if name != "Cluster":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .running import Cluster

    globals()[name] = Cluster
    return Cluster
