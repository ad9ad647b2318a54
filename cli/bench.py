"""`bench VERB`: failover, start, idle, produce, consume, latency, speed, kafka, group, scale, moves.

Each cleans up after itself.
"""

import argparse

from .arguments import Commands, add_json, positive, seconds, whole

WRITERS = ("barnabas", "confluent-kafka", "kafka-python", "aiokafka")
"""As `bench.failover` has them, which is not imported to say what there is."""


def register(commands: Commands) -> None:
    verbs = commands.add_group(
        "bench", help="measure failover, start, idle cost, throughput, latency, groups, scale and moves"
    )

    failover = verbs.add_parser(
        "failover",
        help="kill leaders under load: how long do writes stand still?",
        examples="""
            barnabas bench failover --kills 20
            barnabas bench failover --signal STOP --for 10 --kills 4     paused, not killed
            barnabas bench failover --client confluent-kafka --rest 12   through the Kafka port
        """,
    )
    failover.add_argument("--client", choices=WRITERS, default=WRITERS[0], help="who writes (default: barnabas)")
    failover.add_argument(
        "--rest", type=seconds, default=0.0, metavar="SECONDS", help="of calm before the next kill (default: 0)"
    )
    failover.add_argument("--kills", type=positive, default=20, metavar="N", help="default: 20")
    failover.add_argument("--signal", choices=("KILL", "STOP"), default="KILL", help="default: KILL")
    failover.add_argument(
        "--for", dest="pause", type=seconds, default=10.0, metavar="SECONDS", help="how long STOP lasts (default: 10)"
    )
    failover.set_defaults(run=run_failover)

    start = verbs.add_parser(
        "start",
        help="measure `up --detach` plus one write by a fresh `produce`",
        examples="""
            barnabas bench start --times 10
        """,
    )
    start.add_argument("--times", type=positive, default=10, metavar="N", help="default: 10")
    start.set_defaults(run=run_start)

    idle = verbs.add_parser(
        "idle",
        help="measure what a cluster costs that nobody uses",
        examples="""
            barnabas bench idle --seconds 60
        """,
    )
    idle.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="default: 60")
    idle.set_defaults(run=run_idle)

    produce = verbs.add_parser(
        "produce",
        help="measure how many records one producer process writes, acks=all",
        examples="""
            barnabas bench produce
            barnabas bench produce --size 1000 --durability os --json
        """,
    )
    produce.add_argument("--one-by-one", action="store_true", help="by send instead of send_many")
    consume = verbs.add_parser(
        "consume",
        help="measure how many records one consumer process reads",
        examples="""
            barnabas bench consume --size 1000
        """,
    )
    latency = verbs.add_parser(
        "latency",
        help="measure how long a write takes at a given rate, open loop",
        examples="""
            barnabas bench latency --rate 50000 --partitions 100
        """,
    )
    latency.add_argument("--rate", type=positive, default=10_000, metavar="N", help="records a second (default: 10000)")
    for what, verb in (("produce", produce), ("consume", consume), ("latency", latency)):
        verb.add_argument("--seconds", type=seconds, default=30.0, metavar="S", help="without warm-up (default: 30)")
        verb.add_argument("--size", type=positive, default=100, metavar="BYTES", help="of a value (default: 100)")
        verb.add_argument("--keys", type=positive, default=1000, metavar="N", help="different keys (default: 1000)")
        verb.add_argument("--partitions", type=positive, default=6, metavar="N", help="default: 6")
        verb.add_argument("--durability", choices=("fsync", "os"), default="fsync", help="default: fsync")
        verb.add_argument(
            "--compression", choices=("none", "gzip", "snappy", "lz4", "zstd"), default="none", help="default: none"
        )
        verb.set_defaults(run=run_latency if what == "latency" else run_throughput, what=what)

    speed = verbs.add_parser(
        "speed",
        help="measure all of throughput, latency, start and idle: the table of docs/performance.md, in ten minutes",
        examples="""
            barnabas bench speed
            barnabas bench speed --seconds 5     a first impression
        """,
    )
    speed.add_argument("--seconds", type=seconds, default=30.0, metavar="S", help="of each line (default: 30)")
    speed.set_defaults(run=run_speed)

    kafka = verbs.add_parser(
        "kafka",
        help="measure what confluent-kafka writes and reads through the Kafka port, acks=all",
        examples="""
            barnabas bench kafka
            barnabas bench kafka --brokers 127.0.0.1:9092     another broker, for comparison
        """,
    )
    kafka.add_argument("--seconds", type=seconds, default=20.0, metavar="S", help="without warm-up (default: 20)")
    kafka.add_argument("--size", type=positive, default=100, metavar="BYTES", help="of a value (default: 100)")
    kafka.add_argument("--partitions", type=positive, default=6, metavar="N", help="default: 6")
    kafka.add_argument("--linger-ms", type=positive, default=5, metavar="MS", help="default: 5")
    kafka.add_argument("--brokers", metavar="HOST:PORT,...", help="default: a cluster of three brokers, made for this")
    kafka.set_defaults(run=run_kafka)

    group = verbs.add_parser(
        "group",
        help="measure how soon a consumer group settles: first record, joins, deaths",
        examples="""
            barnabas bench group
            barnabas bench group --members 10 --partitions 900 --json
            barnabas bench group --churn 120                kill, pause and add members instead; is the group right?
        """,
    )
    group.add_argument("--members", type=positive, default=10, metavar="N", help="that join (default: 10)")
    group.add_argument("--partitions", type=positive, default=900, metavar="N", help="that they share (default: 900)")
    group.add_argument("--times", type=positive, default=5, metavar="N", help="kills of each kind (default: 5)")
    group.add_argument("--churn", type=seconds, default=0.0, metavar="SECONDS", help="see the examples")
    group.add_argument("--seed", type=whole, default=1, metavar="N", help="which blows --churn strikes (default: 1)")
    group.set_defaults(run=run_group)

    scale = verbs.add_parser(
        "scale",
        help="measure what thousands of partitions cost: start, idle, the death of a broker",
        examples="""
            barnabas bench scale                           5,000 partitions, three replicas each
            barnabas bench scale --partitions 1000 --json
        """,
    )
    scale.add_argument("--partitions", type=positive, default=5_000, metavar="N", help="default: 5000")
    scale.add_argument("--seconds", type=seconds, default=20.0, metavar="S", help="of idleness (default: 20)")
    scale.set_defaults(run=run_scale)

    moves = verbs.add_parser(
        "moves",
        help="add a broker and let another one go under load: does a write fail, and what moves?",
        examples="""
            barnabas bench moves
            barnabas bench moves --partitions 1000 --rate 5000 --size 100
        """,
    )
    moves.add_argument("--partitions", type=positive, default=300, metavar="N", help="default: 300")
    moves.add_argument("--rate", type=positive, default=1_000, metavar="N", help="records a second (default: 1000)")
    moves.add_argument("--size", type=positive, default=1_000, metavar="BYTES", help="of a value (default: 1000)")
    moves.set_defaults(run=run_moves)

    for verb in (failover, start, idle, produce, consume, latency, speed, kafka, group, scale, moves):
        add_json(verb)


def run_failover(arguments: argparse.Namespace) -> int:
    from ..bench.failover import run

    return run(arguments)


def run_throughput(arguments: argparse.Namespace) -> int:
    from ..bench.throughput import run

    return run(arguments)


def run_latency(arguments: argparse.Namespace) -> int:
    from ..bench.latency import run

    return run(arguments)


def run_speed(arguments: argparse.Namespace) -> int:
    from ..bench.speed import run

    return run(arguments)


def run_kafka(arguments: argparse.Namespace) -> int:
    from ..bench.kafka_clients import run

    return run(arguments)


def run_start(arguments: argparse.Namespace) -> int:
    from ..bench.start import run_start as run

    return run(arguments)


def run_group(arguments: argparse.Namespace) -> int:
    from ..bench.groups import run

    return run(arguments)


def run_idle(arguments: argparse.Namespace) -> int:
    from ..bench.start import run_idle as run

    return run(arguments)


def run_scale(arguments: argparse.Namespace) -> int:
    from ..bench.scale import run

    return run(arguments)


def run_moves(arguments: argparse.Namespace) -> int:
    from ..bench.moves import run

    return run(arguments)
