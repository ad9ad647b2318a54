"""Barnabas: a replicated event log in the format of Kafka that you can install, start, kill and watch heal.

The public names load on first use, so `import barnabas` costs nothing. They live in the layers below:
`Cluster` starts and breaks clusters, `Producer`, `Consumer` and `Admin` talk to them, and so do their asyncio twins.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .client import Admin as Admin
    from .client import AsyncAdmin as AsyncAdmin
    from .client import AsyncConsumer as AsyncConsumer
    from .client import AsyncProducer as AsyncProducer
    from .client import Consumer as Consumer
    from .client import Producer as Producer
    from .cluster import Cluster as Cluster

__version__ = "0.1.0"

_HOMES = {  # public name -> the layer that defines it
    "Admin": ".client",
    "AsyncAdmin": ".client",
    "AsyncConsumer": ".client",
    "AsyncProducer": ".client",
    "Cluster": ".cluster",
    "Consumer": ".client",
    "Producer": ".client",
}

__all__ = [
    "Admin",
    "AsyncAdmin",
    "AsyncConsumer",
    "AsyncProducer",
    "Cluster",
    "Consumer",
    "Producer",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value  # the next use finds it without asking here
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


if (_here := Path(__file__)).is_symlink():  # a checkout: import the folders that people edit
    __path__ = [str(_here.resolve().parent)]
