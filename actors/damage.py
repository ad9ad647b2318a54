"""A broker's log is damaged: the cluster stops counting on that copy, so that it may be replaced (D19).

The broker serves nothing of it meanwhile. Once it is out of ISR and ELR it sets the log aside and fetches anew. If no
other copy is left that holds everything committed, the partition has no leader until a person decides: nothing is
ever served in its stead.
"""

from __future__ import annotations

from .decisions import Decision
from .elections import leave, settle
from .errors import ErrorCode
from .isr_changes import broker_error
from .messages import Partition, ReportDamage
from .metadata import MetadataImage
from .metadata_records import MetadataRecord


def report(image: MetadataImage, message: ReportDamage) -> Decision:
    """Take the broker out of ISR and ELR of these partitions, and its leaderships away."""
    if broker_error(image, message.broker, message.broker_epoch) is not ErrorCode.NONE:
        return Decision([])
    records: list[MetadataRecord] = []
    for key in message.partitions:
        before = image.partitions.get(Partition(*key))
        if before is None or (message.broker not in before.isr and message.broker not in before.elr):
            continue
        min_insync = image.min_insync(before)
        after = leave(before, message.broker, min_insync, proved=False)
        change = settle(before, after, lambda b: b != message.broker and image.may_lead(b), min_insync)
        if change is not None:
            records.append(change)
    return Decision(records, f"b{message.broker} found its copy damaged")
