"""Writes the table of served APIs into `docs/kafka-compatibility.md`, from what the door serves.

python tools/kafka_compatibility.py          # writes it
python tools/kafka_compatibility.py --check  # exit code 1 if the page has another table
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import wrap

from barnabas.transport.kafka.served import SERVED, SHOWN_FROM, shown
from barnabas.transport.kafka.table import APIS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "kafka-compatibility.md"
BEGIN, END = "<!-- the table begins: tools/kafka_compatibility.py -->", "<!-- the table ends -->"

NOTES = {
    "Produce": "versions 0 to 2 are shown for old librdkafka, and close the connection, as in Kafka 4",
    "Fetch": "every fetch is a full one: session id 0",
    "InitProducerId": "without a transactional id",
    "FindCoordinator": "groups only",
    "DescribeGroups": "classic groups only, as in Kafka 4",
}


def table() -> str:
    """The served APIs, and those that are understood and not served."""
    lines = ["| key | API | versions | |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {api.key} | {api.name} | {api.least} to {api.newest} | {NOTES.get(api.name, '')} |" for api in shown()
    ]
    unserved = ", ".join(api.name for api in APIS.values() if api.name not in SERVED)
    assert set(NOTES) <= set(SERVED) and set(SHOWN_FROM) <= set(SERVED), "notes are about what is served"
    return "\n".join([*lines, "", *wrap(f"Not served yet: {unserved}.", 120)] if unserved else lines)


def page() -> str:
    """The page with the table of now."""
    text = PAGE.read_text()
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"{PAGE.name} has no table to replace"
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main(arguments: list[str]) -> int:
    wanted = page()
    stale = wanted != PAGE.read_text()
    if "--check" not in arguments:
        PAGE.write_text(wanted)
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
