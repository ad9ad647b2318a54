"""What would block the loop and so runs in threads: flushes in one of their own, jobs in a few.

Results come back to the loop through `post`. Whatever goes wrong in a thread is raised there, on the loop, where the
shell hears of it: a failed flush as StorageError, a bug in a job as what it is. A job that could not read has failed
with a sentence, which is for the actor.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from ..storage.disk import Flush, Flushable, Generation, JobId, Reader, StorageError
from ..storage.jobs import Job
from ..storage.real import RealDisk

JOB_THREADS = 2


class Elsewhere:
    """The threads of one node. Everything but the work itself runs on the loop."""

    def __init__(
        self,
        disk: Flushable,
        post: Callable[[Callable[[], None]], None],
        synced: Callable[[Generation], None],
        job_done: Callable[[JobId, object, str | None], None],
    ) -> None:
        self.flushing = False
        self._disk = disk
        self._post = post
        self._synced = synced
        self._job_done = job_done
        self._flusher = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._workers = ThreadPoolExecutor(JOB_THREADS, thread_name_prefix="job")

    def flush(self) -> None:
        """Begin a flush, if there is anything to flush and none is under way. `synced` tells its end."""
        if self.flushing or not self._disk.dirty():
            return
        self.flushing = True
        flush = self._disk.start_flush()
        self._flusher.submit(flush.run).add_done_callback(lambda ran: self._post(partial(self._flushed, flush, ran)))

    def submit(self, job_id: JobId, job: Job) -> None:
        """Run a job. `job_done` tells its end."""
        if isinstance(self._disk, RealDisk):
            ran = self._workers.submit(job.run, self._disk.reader())
        else:  # a disk in memory is not to be read by other threads
            ran = Future()
            _run_into(ran, job, self._disk)
        ran.add_done_callback(lambda ran: self._post(partial(self._ran, job_id, ran)))

    def close(self, *, wait: bool) -> None:
        """Begin nothing more; `wait` for a flush that is under way. Jobs that run are not waited for."""
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._flusher.shutdown(wait=wait, cancel_futures=True)
        self._disk.close()

    def _flushed(self, flush: Flush, ran: Future[None]) -> None:
        self.flushing = False
        try:
            ran.result()
        except StorageError as error:
            self._disk.finish_flush(flush, error)
            raise
        self._synced(self._disk.finish_flush(flush))

    def _ran(self, job_id: JobId, ran: Future[object]) -> None:
        if ran.cancelled():
            return
        try:
            result, failure = ran.result(), None
        except StorageError as error:
            result, failure = None, str(error)
        self._job_done(job_id, result, failure)


def _run_into(ran: Future[object], job: Job, reader: Reader) -> None:
    try:
        ran.set_result(job.run(reader))
    except StorageError as error:
        ran.set_exception(error)
