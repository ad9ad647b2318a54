"""Pause between two looks at something, unless whoever reads what we print has gone.

`barnabas events --follow | head -n 2` has its two lines, and ends: a pipe tells the writer that its reader has gone
only when something is written, and the next event may be hours away.
"""

import io
import select
import sys
import time


def pause(seconds: float) -> None:
    """Wait. Raises BrokenPipeError as soon as standard output is a pipe that nobody reads any more."""
    try:
        out = sys.stdout.fileno()
    except (io.UnsupportedOperation, ValueError):  # no file, or closed
        time.sleep(seconds)
        return
    watch = select.poll()
    watch.register(out, 0)  # errors are told without being asked for
    if watch.poll(seconds * 1000):
        raise BrokenPipeError
