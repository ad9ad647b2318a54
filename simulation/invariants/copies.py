"""The logs of partitions, one copy at a time and against each other: P1, P2, P3, P9, P10, P12 to P15.

P1, P2 one history: a batch at an offset in an epoch is the same everywhere, and so is all before it. P3 what is below
two high watermarks is the same. P9 log start, high watermark and end are in order. P10 a leader's high watermark never
goes back within its epoch. P12 a high watermark read back at a start is not beyond the truth. P13 no member of ISR or
ELR cuts away committed records. P14 batches follow each other. P15 the epoch cache says what the log says. And what
a copy calls durable is there after a loss of power (DURABLE).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ...actors.messages import Partition
from ...cluster.world import Host, World
from ...storage.disk import StorageError
from ...storage.epochs import EpochEntry
from ...storage.log import CorruptLog
from ..logical import Logical
from ..mirror import Line, LogView, Mirror
from ..oracle import Checker
from ..views import EpochLogView, LeadingView, ReplicaView, broker_epoch_of, images_of, leading_of, replicas_of
from .metadata import MetadataChecker


class Copy(msgspec.Struct, eq=False):
    """What was last seen of one replica of one partition."""

    host: str
    partition: Partition
    mirror: Mirror
    life: int = 0
    key: tuple[int, ...] = ()
    hw: int = 0
    durable: int = 0  # the most that it called really durable of its present log, whatever its topic counts
    claimed: int = 0  # what it called so after the last input
    leader_epoch: int = -1
    log: EpochLogView | None = None
    leading: LeadingView | None = None
    moved: tuple[int, int] = (0, 0)  # the high watermark before and after the last input
    added: tuple[Line, ...] = ()  # by the last input
    fresh: bool = True  # the last input opened it
    logical: tuple[EpochLogView, Logical] | None = None  # a compacted log, and what it was
    blind: bool = False  # its disk was spoilt, and what it holds now could not be seen


class History(msgspec.Struct):
    """What is known of a partition as a whole."""

    anchors: dict[int, int]
    batches: dict[tuple[int, int], tuple[int, int]]  # base and epoch -> end and chain
    committed: dict[int, Line]  # base -> batch, in order
    ends: dict[int, int]  # end of a committed batch -> chain
    order: list[Line]  # the committed batches
    true_hw: int = 0

    def newest(self) -> tuple[int, int]:
        """The end of all that is committed, and the chain there."""
        if not self.ends:
            return 0, 0
        end = next(reversed(self.ends))
        return end, self.ends[end]


class CopiesChecker(Checker):
    """Keeps `copies` and `histories`, and `changed`: the copies that the last input changed."""

    looks_at = frozenset(("broker",))

    def __init__(self, metadata: MetadataChecker) -> None:
        self.metadata = metadata
        self.copies: dict[tuple[str, Partition], Copy] = {}
        self._at: dict[str, dict[Partition, Copy]] = {}  # the same by host
        self.histories: dict[Partition, History] = {}
        self.changed: list[Copy] = []
        self._images: dict[str, tuple[int, int, int]] = {}  # by host: its life, its broker's image's end, its replicas

    def history(self, partition: Partition) -> History:
        """The ghost state of a partition."""
        found = self.histories.get(partition)
        if found is None:
            found = self.histories[partition] = History({}, {}, {}, {}, [])
        return found

    def member(self, number: int, partition: Partition) -> Copy | None:
        """The copy that a broker has; None if it was never seen."""
        broker = self.metadata.brokers.get(number)
        return self.copies.get((broker.endpoint, partition)) if broker is not None else None

    def judged(self, host: Host, number: int) -> bool:
        """Whether a host runs the registered life of a broker, undamaged: only then is it held to its place."""
        broker = self.metadata.brokers.get(number)
        return (
            broker is not None
            and broker.endpoint == host.name
            and broker_epoch_of(host) == broker.epoch
            and host.name not in self.oracle.lossy
        )

    def passed(self) -> None:
        self.changed = []

    def handled(self, world: World, host: Host) -> None:
        self.changed = []
        open_here = replicas_of(host)
        self._forget_removed(host, open_here)
        here = self._at.setdefault(host.name, {})
        life = host.life
        for partition, replica in open_here.items():
            copy = here.get(partition)
            if copy is None:
                copy = Copy(host.name, partition, Mirror(self.history(partition).anchors))
                here[partition] = self.copies[host.name, partition] = copy
            log, leading = replica.log, leading_of(replica)
            key: tuple[int, ...] = (life, log.start, log.end, log.recovery_point, replica.hw, replica.leader_epoch)
            if leading is not None:
                key += (leading.epoch, leading.partition_epoch, len(leading.maximal_isr))
            if key == copy.key and log is copy.log and leading is copy.leading:
                continue
            copy.key = key
            try:
                self._look(host, copy, replica, leading)
            except (CorruptLog, StorageError):
                if host.name not in self.oracle.lossy:
                    raise
                copy.blind = True  # its disk was spoilt on purpose: there is nothing to see until it is repaired
                continue
            copy.blind = False
            self.changed.append(copy)

    def _forget_removed(self, host: Host, open_here: Mapping[Partition, ReplicaView]) -> None:
        """Who is no replica any more may delete its log; who is one again begins anew, or with what is left of it."""
        image = next((image for actor, image in images_of(host) if actor == "broker"), None)
        if image is None:
            return
        key = (host.life, image.end, len(open_here))  # what goes goes in its turn, which may be after the news of it
        if self._images.get(host.name) == key:
            return
        self._images[host.name] = key
        number = next((n for n, broker in image.brokers.items() if broker.endpoint == host.name), -1)
        for partition, state in image.partitions.items():
            if number not in state.replicas and partition not in open_here:
                self.copies.pop((host.name, partition), None)
                self._at.get(host.name, {}).pop(partition, None)

    def seen(self, partition: Partition) -> bool:
        """Whether all copies could be seen. A leader that nobody sees may commit what nobody knows of."""
        return not any(copy.blind for (_, of), copy in self.copies.items() if of == partition)

    def _look(self, host: Host, copy: Copy, replica: ReplicaView, leading: LeadingView | None) -> None:
        log, history = replica.log, self.history(copy.partition)
        copy.fresh = log is not copy.log or host.life != copy.life
        if copy.fresh and copy.log is not None and copy.log.recovery_point < copy.claimed:
            # In the input in which it died it had begun to cut, and took back what it called durable before the cut.
            copy.durable = min(copy.durable, copy.log.recovery_point)
        if copy.fresh and copy.durable and host.name not in self.oracle.lossy:
            self.premise("DURABLE")
        changed = copy.mirror.update(self._logical(copy, log, history))
        copy.added = changed.added
        if changed.cut is not None:
            self._cut(host, copy, changed.cut, changed.removed, history)
        if copy.fresh:
            copy.log, copy.life = log, host.life
            copy.hw = self._read_back(copy, replica, leading, history)
        copy.durable, copy.claimed = max(copy.durable, log.recovery_point), log.recovery_point
        if copy.added:
            self._grown(copy, replica, history)
        if changed.cut is not None or copy.fresh or copy.added:
            self._epochs(copy, log, whole=changed.cut is not None or copy.fresh)
        if leading is not None and leading is not copy.leading and log.epochs.latest != leading.epoch:
            what = f"{_at(copy)} leads epoch {leading.epoch}"
            self.violated("P15", f"{what}, but the newest in its cache is {log.epochs.latest}")
        if copy.mirror.end != log.end:
            self.violated("P14", f"{_at(copy)} says that it ends at {log.end}, its batches end at {copy.mirror.end}")
        self.premise("P9")
        if not log.start <= replica.hw <= log.end:
            self.violated("P9", f"{_at(copy)}: start {log.start}, high watermark {replica.hw}, end {log.end}")
        if leading is not None and copy.leading is leading:
            self.premise("P10")
            if replica.hw < copy.hw:
                what = f"{_at(copy)} leads and moved its high watermark back"
                self.violated("P10", f"{what} from {copy.hw} to {replica.hw}")
        copy.moved = (copy.hw, replica.hw)
        copy.leading, copy.leader_epoch, copy.hw = leading, replica.leader_epoch, replica.hw
        if copy.moved[1] > copy.moved[0] or copy.fresh:
            whole = leading is not None and not (copy.fresh and host.name in self.oracle.lossy)
            self._committed(copy, history, changed.gone if whole else ())

    def _read_back(self, copy: Copy, replica: ReplicaView, leading: LeadingView | None, history: History) -> int:
        """The high watermark that a copy began with: no more than was true before.

        One that was opened and began to lead in one input may have more by now, since a broker opens a log when its
        turn to take on a role comes. To begin to lead moves nothing by itself (D9), but the rule for the high watermark
        (D10) is the smallest end over the maximal in-sync set if so many are in sync as must be, and a leader that is
        alone in that set has reached it at once: whoever can be elected after it is itself (P5), so what it has is
        committed. Whether the others in the set have proven as much is for P17, which judges each such move.
        """
        self.premise("P12")
        if replica.hw <= history.true_hw or not self.seen(copy.partition):
            return replica.hw
        if leading is None or len(leading.isr) < leading.min_insync:
            self.violated("P12", f"{_at(copy)} starts with high watermark {replica.hw}, truth {history.true_hw}")
        return history.true_hw

    def _logical(self, copy: Copy, log: EpochLogView, history: History) -> LogView:
        """The log itself or, if it is compacted, what it was."""
        if not getattr(log, "compacted", False):
            return log
        if copy.logical is None or copy.logical[0] is not log:
            copy.logical = (log, Logical(log, history.order))
        return copy.logical[1]

    def _cut(self, host: Host, copy: Copy, cut: int, removed: tuple[Line, ...], history: History) -> None:
        undamaged = host.name not in self.oracle.lossy
        if copy.fresh and cut < copy.durable and undamaged:
            self.violated("DURABLE", f"{_at(copy)} had {copy.durable} durable, and came back with its log cut to {cut}")
        copy.durable = min(copy.durable, cut)
        if copy.fresh:
            return
        state = self.metadata.partitions.get(copy.partition)
        lost = [line for line in removed if history.ends.get(line.end) == line.chain]
        self.premise("P13")
        if not lost or state is None:
            return
        for number in sorted({*state.isr, *state.elr}):
            if self.judged(host, number):
                self.violated("P13", f"{_at(copy)} is in {state} and cut its log to {cut}, below {history.true_hw}")

    def _grown(self, copy: Copy, replica: ReplicaView, history: History) -> None:
        lines = copy.mirror.lines
        before = lines[-len(copy.added) - 1] if len(lines) > len(copy.added) else None
        expected = before.end if before is not None else copy.mirror.begin
        epoch = before.epoch if before is not None else -1
        for line in copy.added:
            self.premise("P14")
            if line.base != expected or line.epoch < epoch:
                what = f"{_at(copy)} has a batch at {line.base} in epoch {line.epoch}"
                self.violated("P14", f"{what} after one that ends at {expected} in epoch {epoch}")
            expected, epoch = line.end, line.epoch
            self.premise("P2")
            known = history.batches.get((line.base, line.epoch))
            if known is None:
                history.batches[line.base, line.epoch] = (line.end, line.chain)
                continue
            self.premise("P1")
            if known != (line.end, line.chain):
                invariant = "P1" if known[0] != line.end else "P2"
                self.violated(invariant, f"{_at(copy)} has another log up to {line.end} in epoch {line.epoch}")
        if epoch > replica.leader_epoch and not copy.fresh:
            self.violated("P14", f"{_at(copy)} has a batch of epoch {epoch}, it is in epoch {replica.leader_epoch}")

    def _epochs(self, copy: Copy, log: EpochLogView, *, whole: bool) -> None:
        self.premise("P15")
        entries = log.epochs.entries
        if entries and entries[-1].start >= log.end:
            if entries[-1].start > log.end:
                self.violated("P15", f"{_at(copy)} ends at {log.end}, its epoch cache with {entries[-1]}")
            entries = entries[:-1]  # an epoch that has begun and has no record yet
        if whole:
            expected: list[EpochEntry] = []
            for line in copy.mirror.lines:
                if not expected or line.epoch != expected[-1].epoch:
                    expected.append(EpochEntry(line.epoch, line.base))
            if expected != entries and log.start == 0:
                self.violated("P15", f"{_at(copy)} has epochs {entries[-5:]}, its log says {expected[-5:]}")
            return
        for line in copy.mirror.lines[-len(copy.added) - 1 :]:  # and the one before them
            found = log.epochs.epoch_at(line.base)
            if found != line.epoch and not _before_all(log, line):
                self.violated("P15", f"{_at(copy)}: the cache says epoch {found} at {line.base}, the log {line.epoch}")

    def _committed(self, copy: Copy, history: History, gone: tuple[Line, ...]) -> None:
        """Below this high watermark everything is committed: it must be what others have there.

        What a leader commits it may delete in the same input: an in-sync set that has grown moves its high watermark,
        and a log that has grown is looked at by retention. So batches that were there when it was looked at before
        count too, though it begins after them (`gone`): a leader cuts nothing, only what is committed may be deleted.
        """
        known, hw = copy.moved
        lines = [*gone, *copy.mirror.lines] if gone else copy.mirror.lines
        index = len(lines)
        while index and lines[index - 1].end > (0 if copy.fresh else known):
            index -= 1
        for line in lines[index:]:
            if line.end > hw:
                break
            self.premise("P3")
            other = history.ends.get(line.end)
            if other is not None and other != line.chain:
                self.violated("P3", f"{_at(copy)} has other committed records up to {line.end} than others")
            if other is None:
                if line.end <= history.true_hw:
                    self.violated("P3", f"{_at(copy)} has a committed batch end at {line.end}, where others have none")
                if copy.leading is None and self.seen(copy.partition):
                    what = f"{_at(copy)} follows and has {hw} committed"
                    self.violated("P3", f"{what}, but no leader has more than {history.true_hw}")
                history.ends[line.end] = line.chain
                history.committed[line.base] = line
                history.order.append(line)
        history.true_hw = max(history.true_hw, hw)


def _at(copy: Copy) -> str:
    return f"{copy.host} ({copy.partition.topic[:6]}-{copy.partition.index})"


def _before_all(log: EpochLogView, line: Line) -> bool:
    """Whether the log has nothing of a batch, and nothing before it: what was compacted away before the copy began.

    What follows a hole at the beginning is taken to have begun its epoch with the log (`Log._epochs_with`).
    """
    first = next(iter(log.batches_from(log.start)), None)
    return first is not None and line.end <= first.base_offset
