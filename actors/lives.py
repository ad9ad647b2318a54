"""Which life of its data directory this process is: counted on the disk, so that lives have an order.

An incarnation is drawn at random and says only "another". A registration that was queued for a controller while its
sender died may arrive after that of the next life; by the count it is known to be the earlier one. The count is durable
before it is said. A directory that comes back with a smaller count than was registered is an older copy of itself, and
proves nothing.
"""

from __future__ import annotations

from ..storage.disk import Disk, Generation

PATH = "life"


def begin(disk: Disk) -> tuple[int, Generation]:
    """The number of this life, and when it is durable. A count that cannot be read begins anew: an older copy."""
    size = disk.size(PATH)
    text = b"" if size is None else disk.read(PATH, 0, size)
    life = int(text) + 1 if text.isdigit() else 1
    return life, disk.replace(PATH, b"%d" % life)
