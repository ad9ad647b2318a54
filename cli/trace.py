"""`trace TOPIC`: one record's way from producer to leader to followers to high watermark to consumer, with times."""

import argparse

from .arguments import Commands, add_cluster, add_json, bootstrap_of, positive, seconds, whole


def register(commands: Commands) -> None:
    trace = commands.add_parser(
        "trace",
        help="follow one record from the producer to the consumer, with times",
        examples="""
            barnabas trace orders                   a record of 100 bytes to partition 0
            barnabas trace orders --partition 3     to another partition
        """,
        notes="The record is a real one: consumers of the topic see it.",
    )
    trace.add_argument("topic", metavar="TOPIC", help="its name")
    trace.add_argument("--partition", type=whole, default=0, metavar="P", help="default: 0")
    trace.add_argument("--size", type=positive, default=100, metavar="BYTES", help="of the value (default: 100)")
    trace.add_argument("--timeout", type=seconds, default=10.0, metavar="S", help="give up after so long (default: 10)")
    add_json(trace)
    add_cluster(trace)
    trace.set_defaults(run=run_trace)


def run_trace(arguments: argparse.Namespace) -> int:
    from ..client.tracer import Tracer
    from .output import as_json

    with Tracer(bootstrap_of(arguments)) as tracer:
        tracer.trace(
            arguments.topic, arguments.partition, 1 + 40, arguments.timeout
        )  # so that every connection is open
        way = tracer.trace(arguments.topic, arguments.partition, arguments.size, arguments.timeout)
    if arguments.json:
        as_json(way)
        return 0
    print(
        f"record {way.topic}-{way.partition}, offset {way.offset}, {way.bytes} bytes, acks=all; in sync: "
        + ", ".join(f"b{broker}" for broker in way.isr)
    )
    for step in way.steps:
        certain = f"  (not before {step.after_ms:.2f} ms)" if step.at_ms - step.after_ms >= 0.005 else ""
        print(f"{step.at_ms:9.2f} ms  {step.sentence}{certain}")
    print(
        "Times are of this process's clock since the record was sent. A replica tells how far it is when it is asked; "
        f"question and answer take {way.round_trip_ms:.2f} ms."
    )
    return 0
