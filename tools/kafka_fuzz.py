"""Feeds damaged frames to the decoders of Kafka's messages: only `Malformed` may come of it, and soon.

    python tools/kafka_fuzz.py --frames 10000000            # atheris, guided by coverage (pip install atheris)
    python tools/kafka_fuzz.py --frames 1000000 --blind     # mutations alone: no atheris needed

The corpus has every API of the table, in every version, as a request and as a response: random messages that kio has
made. A frame begins with one byte that says which of the two it is; the rest is what a broker, or a client, would read.
Seeds and findings are kept in a directory (`--corpus`), so that a later run goes on where this one ended.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

SLOW_SECONDS = 1.0
"""Of processor time. A frame that takes longer is a finding: what it makes of its bytes is not bounded."""

LARGEST = 64 << 10
"""Bytes of a frame. Smaller ones are tried more often in the same time: most damage needs few bytes (`--largest`)."""

REQUEST, RESPONSE = 0, 1


def one(data: bytes) -> None:
    """Decode one frame as the door, or a client, would. Raises whatever is not `Malformed`."""
    from barnabas.transport.kafka.codec import Header, read_header, read_request, read_response
    from barnabas.transport.kafka.table import APIS
    from barnabas.transport.kafka.wire import Malformed

    began = time.process_time()
    if len(data) < 4:
        return
    try:
        if data[0] % 2 == REQUEST:
            read_request(*read_header(memoryview(data)[1:]))
        else:
            api = [*APIS.values()][data[1] % len(APIS)]
            version = api.least + data[2] % (api.newest - api.least + 1)
            correlation = int.from_bytes(data[3:7], signed=True)
            read_response(Header(api, version, correlation, None), memoryview(data)[3:])
    except Malformed:
        pass
    passed = time.process_time() - began
    if passed > SLOW_SECONDS:
        raise TimeoutError(f"{len(data)} bytes took {passed:.1f} s")


def seeds(random: Random, largest: int = LARGEST) -> list[bytes]:
    """Frames of every API in every version, both ways."""
    import kafka_oracles as oracles

    from barnabas.transport.kafka.codec import messages
    from barnabas.transport.kafka.table import API_VERSIONS, APIS

    frames = []
    for place, api in enumerate(APIS.values()):
        for version in range(api.least, api.newest + 1):
            flexible = version >= messages(api).flexible_from
            head = api.key.to_bytes(2) + version.to_bytes(2) + bytes(4) + b"\0\1c" + b"\0" * flexible
            request = oracles.encode(oracles.random_message(oracles.schema(api.key, version, response=False), random))
            response = oracles.encode(oracles.random_message(oracles.schema(api.key, version, response=True), random))
            tags = b"\0" * (flexible and api.key != API_VERSIONS)
            frames.append(bytes([REQUEST]) + head + request)
            frames.append(bytes([RESPONSE, place, version - api.least]) + bytes(4) + tags + response)
    return [frame[:largest] for frame in frames]


def mutated(frame: bytes, others: list[bytes], random: Random) -> bytes:
    """What a disturbed line, or a malicious client, makes of a frame."""
    data = bytearray(frame)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = random.randrange(len(data))
        match random.randrange(8):
            case 0:
                data[at] = random.choice((0, 1, 127, 128, 254, 255))
            case 1:
                data[at] ^= 1 << random.randrange(8)
            case 2:
                del data[at:]
            case 3:
                del data[at : at + random.randrange(1, 9)]
            case 4:
                data[at:at] = random.randbytes(random.randrange(1, 9))
            case 5:
                data[at : at + 4] = random.choice(
                    (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0")
                )
            case 6:
                data[at : at + 5] = b"\xff\xff\xff\xff\x0f"
            case _:
                other = random.choice(others)
                start = random.randrange(len(other))
                data[at:at] = other[start : start + random.randrange(1, 200)]
    return bytes(data[:LARGEST])


def blind(frames: int, seed: int) -> int:
    """Mutations of the corpus, by chance alone; `frames` of them."""
    random = Random(seed)
    corpus = seeds(random)
    for frame in corpus:
        one(frame)
    began = time.monotonic()
    for number in range(frames):
        frame = mutated(random.choice(corpus), corpus, random)
        try:
            one(frame)
        except Exception:
            print(f"frame {number} of seed {seed}: {frame.hex()}", file=sys.stderr)
            raise
        if number and number % 100_000 == 0:
            print(f"{number} frames, {number / (time.monotonic() - began):.0f}/s", flush=True)
    print(f"{frames} frames of seed {seed}, {len(corpus)} seeds: nothing was found")
    return 0


def guided(frames: int, seed: int, corpus: Path, largest: int) -> int:
    """atheris, which keeps what reaches new code. It ends the process itself."""
    import atheris

    with atheris.instrument_imports(include=["barnabas.transport.kafka"]):
        from barnabas.transport.kafka import codec
        from barnabas.transport.kafka.table import APIS

        for api in APIS.values():
            codec.messages(api)
    corpus.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(seeds(Random(seed), largest)):
        (corpus / f"seed-{number}").write_bytes(frame)
    options = [f"-runs={frames}", f"-seed={seed}", f"-max_len={largest}", "-rss_limit_mb=2048", "-timeout=10"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={corpus}/finding-", str(corpus)], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Feed damaged frames to the decoders of Kafka's messages.")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--blind", action="store_true", help="without atheris")
    parser.add_argument("--largest", type=int, default=LARGEST, help="bytes of a frame, with atheris")
    parser.add_argument("--corpus", type=Path, help="default: a temporary directory")
    arguments = parser.parse_args()
    if arguments.blind:
        return blind(arguments.frames, arguments.seed)
    with tempfile.TemporaryDirectory() as temporary:
        return guided(arguments.frames, arguments.seed, arguments.corpus or Path(temporary), arguments.largest)


if __name__ == "__main__":
    sys.exit(main())
