"""One member of a group as a process of its own, which tells what happens to it: the other half of `bench group`.

    python -m barnabas.bench.group_member BOOTSTRAP TOPIC GROUP

It says `ready`, waits for a line on its standard input, joins, and prints a line for each thing that happens, with the
time of the machine's monotonic clock: `assigned TIME COUNT`, `revoked TIME COUNT`, and `record TIME PARTITION VALUE`.
"""

import sys
import time

from ..client import Consumer
from ..client.zeromq_runtime import ZeroMqRuntime


def main() -> None:
    """Until it is killed, or nobody reads any more."""
    bootstrap, topic, group = sys.argv[1:]
    runtime = ZeroMqRuntime()  # made before it joins: imports are not measured
    _tell("ready")
    sys.stdin.readline()
    _tell(f"joining {time.monotonic():.6f}")
    with Consumer(
        bootstrap,
        topic,
        group=group,
        runtime=runtime,
        max_wait_ms=200,
        on_assigned=lambda places: _tell(f"assigned {time.monotonic():.6f} {len(places)}"),
        on_revoked=lambda places: _tell(f"revoked {time.monotonic():.6f} {len(places)}"),
        on_lost=lambda places: _tell(f"lost {time.monotonic():.6f} {len(places)}"),
    ) as consumer:
        while True:
            for record in consumer.poll(1.0):
                _tell(f"record {time.monotonic():.6f} {record.partition} {(record.value or b'').decode()}")


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)
