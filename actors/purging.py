"""When a tombstone may go for good, so that no replica keeps what it deleted.

A tombstone that is gone cannot be copied any more. A replica that has an older value of its key and not the tombstone
would keep that value for ever, and show it to everybody once it leads. In Kafka that happens to a follower that was
away for longer than `delete.retention.ms`. Here it does not:

- a leader removes a tombstone only when it is old enough *and* every replica whose broker is up has it, by what their
  fetches have proven in this leader epoch. One that is up and slow holds it back;
- a follower removes one only when its leader has: `purged`, the offset below which tombstones may be gone, goes with
  every answer. So whoever is elected has removed no more than a leader was allowed to;
- who is not up is not waited for. When it comes back and what it has ends below `purged`, the leader tells it to begin
  anew (`Leading.check`), as if it were below the log start. Its new copy cannot have such values: the leader removed
  them long before their tombstones. It says so by repeating the leader's `purged`, once nothing of its old log can come
  back (`Log.resetting`), and from then on it is up, and holds tombstones back until it has caught up.

Whoever is in the ISR or ELR has everything below the high watermark, and so all of the tombstones: it is never reset.
"""

from __future__ import annotations

from .metadata import MetadataImage
from .replica import Replica


def purge_below(replica: Replica, image: MetadataImage, me: int) -> int:
    """Tombstones from here on must stay at this replica."""
    leading = replica.leading
    if leading is None:
        return max(0, replica.log.purged) if replica.copying is not None else 0
    state = image.partitions.get(replica.partition)
    if state is None:
        return 0
    others = [b for b in state.replicas if b != me and b in image.brokers and not image.brokers[b].fenced]
    ends = [leading.followers[b].end if b in leading.followers else -1 for b in others]
    return max(0, min([replica.hw, *ends]))
