"""An event as a line of JSON: nothing is lost on the way there and back, and whatever comes is an event or refused."""

from contextlib import suppress

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from barnabas.cli.json_events import NoEvent, decode, encode
from barnabas.client import ConsumerRecord

slowly = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # other work on the machine is no fault

BYTES = st.none() | st.binary(max_size=20) | st.text(max_size=20).map(str.encode)


@slowly
@given(BYTES, BYTES, st.lists(st.tuples(st.text(max_size=5), BYTES), max_size=4), st.integers(0, 2**62))
def test_nothing_is_lost_on_the_way_through_json(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    line = encode(ConsumerRecord("t", 3, 7, timestamp, key, value, tuple(headers)))
    assert b"\n" not in line
    assert decode(line) == (key, value, headers, timestamp, 3)


@slowly
@given(st.binary(max_size=50))
def test_whatever_a_line_is_it_is_an_event_or_refused(line: bytes) -> None:
    with suppress(NoEvent):
        decode(line)
