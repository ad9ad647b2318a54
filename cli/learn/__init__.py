"""`learn`: short lessons on a real cluster. Each says what will happen, makes it happen, shows it, and checks it."""

import argparse

from ..arguments import Commands, WrongUsage, add_json


def register(commands: Commands) -> None:
    learn = commands.add_parser(
        "learn",
        help="see how such a cluster works, in short lessons on a real one",
        examples="""
            barnabas learn               the lessons that there are
            barnabas learn failover      one of them
            barnabas learn all           one after the other, on one cluster
        """,
        notes="Lessons run in a cluster of their own, which is gone afterwards. Exit code 1: a claim did not hold.",
    )
    learn.add_argument("lesson", nargs="?", metavar="LESSON", help="its name, or all")
    add_json(learn)
    learn.set_defaults(run=run_learn)


def run_learn(arguments: argparse.Namespace) -> int:
    from .lessons import LESSONS, find

    if arguments.lesson is None:
        return _list(as_json=arguments.json)
    lessons = find(arguments.lesson)
    if not lessons:
        names = ", ".join(lesson.name for lesson in LESSONS)
        raise WrongUsage(f"there is no lesson `{arguments.lesson}`, expected all or one of: {names}")
    import time

    from ...cluster import Cluster
    from .stage import Stage

    told: list[dict[str, object]] = []
    with Cluster(brokers=3) as cluster:
        for lesson in lessons:
            stage = Stage(cluster, _silent if arguments.json else _say)
            if not arguments.json:
                _heading(lesson.title)
            began = time.monotonic()
            lesson.run(stage)
            told.append(
                {
                    "lesson": lesson.name,
                    "holds": stage.holds,
                    "seconds": round(time.monotonic() - began, 2),
                    "claims": [claim._asdict() for claim in stage.claims],
                }
            )
    if arguments.json:
        from ..output import as_json

        as_json(told)
    failed = [str(lesson["lesson"]) for lesson in told if not lesson["holds"]]
    if failed and not arguments.json:
        _say("")
        _say(f"These lessons did not go as they say: {', '.join(failed)}.")
    return 1 if failed else 0


def _list(*, as_json: bool) -> int:
    from ..output import as_json as print_json
    from ..output import table
    from .lessons import LESSONS

    if as_json:
        print_json([{"lesson": lesson.name, "title": lesson.title} for lesson in LESSONS])
    else:
        table(("LESSON", "WHAT IT SHOWS"), [(lesson.name, lesson.title) for lesson in LESSONS])
    return 0


def _heading(title: str) -> None:
    import sys

    text = f"{title[:1].upper()}{title[1:]}"
    bold, plain = ("\x1b[1m", "\x1b[0m") if sys.stdout.isatty() else ("", "")
    _say("")
    _say(f"{bold}{text}{plain}")
    _say("─" * len(text))


def _say(line: str) -> None:
    print(line, flush=True)


def _silent(line: str) -> None:
    """With --json only the outcome is told."""
