"""Apache Kafka's own dump-log tool reads every segment of a data directory.

    python tools/dump_log.py JARS DATA [DATA ...]

JARS is a directory with Kafka's jars and what they need, as `mvn dependency:copy-dependencies` makes one for
org.apache.kafka:kafka_2.13 (3.9 was tried); it takes a Java runtime. DATA are data directories of stopped nodes. For
each partition Kafka's tool must call every batch valid, and find the records that our own reader finds, at the same
offsets. Exit code 1 if it does not.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from barnabas.storage.files import FileReader
from barnabas.storage.records import decode_batch, iter_headers
from barnabas.storage.segment import segments_in

_RECORD = re.compile(r"^\| offset: (\d+) ", re.MULTILINE)
_BAD = re.compile(r"isvalid: false|[Mm]ismatch|not monotonic|Exception|Found invalid|corrupt", re.IGNORECASE)


def dump(jars: Path, segments: list[Path]) -> str:
    """What Kafka's tool says of some segments."""
    command = ["java", "-cp", f"{jars}/*", "kafka.tools.DumpLogSegments", "--deep-iteration"]
    files = ",".join(map(str, segments))
    ran = subprocess.run([*command, "--files", files], capture_output=True, text=True, check=False)
    return ran.stdout + "\n".join(line for line in ran.stderr.splitlines() if "SLF4J" not in line)


def check(jars: Path, data: Path) -> list[str]:
    """Sentences about what does not agree in one data directory."""
    reader = FileReader(data)
    findings: list[str] = []
    batches = records = 0
    for name in reader.list(""):
        directory = name.rstrip("/")
        paths, _ = segments_in(directory, reader.list(directory)) if re.fullmatch(r".+-\d+", directory) else ({}, [])
        if not paths:
            continue
        said = dump(jars, [data / path for path in paths.values()])
        ours: list[int] = []
        for path in paths.values():
            content = reader.read(path, 0, reader.size(path) or 0)
            for position, header in iter_headers(content):
                batches += 1
                ours += [record.offset for record in decode_batch(content[position : position + header.size])]
        theirs = [int(offset) for offset in _RECORD.findall(said)]
        records += len(ours)
        if bad := _BAD.search(said):
            line = next(line for line in said.splitlines() if bad[0] in line)
            findings.append(f"{data}/{directory}: {line[:300]}")
        if ours != theirs:
            findings.append(f"{data}/{directory}: Kafka reads {len(theirs)} records, we read {len(ours)}")
    print(f"{data}: {batches} batches, {records} records")
    return findings


def main(words: list[str]) -> int:
    """All data directories."""
    if len(words) < 2:
        print(__doc__)
        return 2
    findings = [sentence for data in words[1:] for sentence in check(Path(words[0]), Path(data))]
    print("\n".join(findings) if findings else "Kafka's tool reads all of it as we do")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
