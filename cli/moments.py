"""How people write a moment: so long ago, or a date and time."""

import argparse
import re
import time
from datetime import UTC, datetime

_SPAN = re.compile(r"(\d+)\s*(ms|[smhd])")
_MILLIS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
EXPECTED = "30s, 10m, 2h or 1d ago, or a date and time such as 2026-03-01T12:00:00Z"


def moment(text: str) -> int:
    """In milliseconds since 1970: so long ago, or a date and time (UTC, unless it says otherwise)."""
    span = _SPAN.fullmatch(text.strip())
    if span is not None:
        return time.time_ns() // 1_000_000 - int(span[1]) * _MILLIS[span[2]]
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time, expected {EXPECTED}") from None
    return round((found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp() * 1000)
