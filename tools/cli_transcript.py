"""Writes `docs/cli.md`: every command, tried as a new user would try it.

    python tools/cli_transcript.py             # takes some minutes: clusters are started, broken and stopped
    python tools/cli_transcript.py help        # only the help of every command, at once
    python tools/cli_transcript.py topics      # only some stories (functions below), printed

The happy path and each wrong turn that a command's help suggests, in a pipe and on a terminal. What stands on the page
was printed by the commands; only what differs from run to run is made the same (`transcript`). The page ends with the
help of every command, which `tests/test_cli_page.py` compares with the parser, so a new command or option without a
place here fails that test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from transcript import Home

from barnabas.cli.arguments import Commands, Parser
from barnabas.cli.main import parser

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
HELP = "## The help of every command"
HEAD = """# The command line

Every command, tried as a new user would: what works, and what is said when something does not. This page is generated
by `tools/cli_transcript.py`, which runs all of it; ports, process numbers, ids, times and durations are made the same
in each run, and which node leads what differs from yours. `$` is the prompt; standard output and standard error are
shown as they come. A refusal has exit code 1, wrong usage 2, Ctrl-C 130, and a command whose reader has gone 141.
"""

Story = Callable[["Page"], None]


class Page:
    """The text so far."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.text = HEAD

    def say(self, text: str) -> None:
        """A paragraph or a title."""
        self.text += f"\n{text}\n"

    def shell(self, *lines: str) -> None:
        """These lines with what they print in a pipe, in one block."""
        self._block([self.home.shell(line) for line in lines])

    def terminal(self, line: str, *keys: tuple[str, str]) -> None:
        """The same on a terminal."""
        self._block([self.home.terminal(line, keys)])

    def _block(self, found: list[str]) -> None:
        self.text += "\n```console\n" + "\n".join(found) + "\n```\n"
        print(found[-1].splitlines()[0], file=sys.stderr, flush=True)


# --- The stories ---


def first_words(page: Page) -> None:
    page.say("## First words")
    page.shell("barnabas --version", "barnabas", "barnabas tpic list", "barnabas topic", "barnabas ps --jsn")
    page.say("There is no cluster yet, and every command says so in the same way.")
    page.shell(
        "barnabas ps",
        "barnabas down",
        "barnabas topic list",
        "echo hello | barnabas produce greetings",
        "barnabas consume greetings",
        "barnabas events",
        "barnabas explain",
        "barnabas trace greetings",
        "barnabas kill 1",
        "barnabas restart 1",
        "barnabas dashboard",
        "barnabas chaos kill 1",
        "barnabas verify barnabas-data",
        "barnabas topic list --bootstrap 127.0.0.1:1",
        "barnabas topic list --bootstrap here",
        "BARNABAS_BOOTSTRAP=127.0.0.1:1 barnabas group list",
    )


def a_cluster(page: Page) -> None:
    page.say("## A cluster")
    page.shell(
        "barnabas up --detach", "barnabas up --detach", "barnabas ps", "barnabas ps --json", "barnabas cluster describe"
    )
    page.say("On a terminal tables have lines:")
    page.terminal("barnabas ps")
    page.say("Cluster files that cannot be are answered with the line:")
    page.home.quietly("printf '[cluster]\\nnmae = \"x\"\\n[[node]]\\nid = 1\\n' > typo.toml")
    page.home.quietly("printf '[[node]]\\nid = 1\\n[[node]]\\nid = 1\\n' > twice.toml")
    page.home.quietly("printf '[[node]]\\nid = 1\\naddress = \"0.0.0.0:9000\"\\n' > open.toml")
    page.home.quietly("mkdir -p mine/node-1; echo dear > mine/node-1/letter; echo x > file")
    page.shell(
        "barnabas up typo.toml",
        "barnabas up twice.toml",
        "barnabas up open.toml",
        "barnabas up nothing.toml",
        "barnabas up --data mine",
        "barnabas up --data file/data",
    )
    page.say("In the foreground a cluster says what happens, and Ctrl-C stops it:")
    page.terminal("barnabas up --data second", ("Ctrl-C", "Ctrl-C stops it"))


def topics(page: Page) -> None:
    page.say("## Topics")
    page.shell(
        "barnabas topic create orders --partitions 3",
        "barnabas topic create clicks --config durability=os --config retention.ms=86400000",
        "barnabas topic list",
        "barnabas topic list --json",
        "barnabas topic describe clicks",
        "barnabas topic describe clicks --json",
    )
    page.terminal("barnabas topic describe orders")
    page.shell(
        "barnabas topic create orders",
        "barnabas topic create 'no spaces'",
        "barnabas topic create wide --replication 9",
        "barnabas topic create x --partitions 0",
        "barnabas topic create x --config retention",
        "barnabas topic create x --config retention.ms=soon",
        "barnabas topic create x --config colour=red",
        "barnabas topic describe nothing",
        "barnabas topic alter clicks --partitions 2 --config retention.ms=3600000",
        "barnabas topic configs clicks",
        "barnabas topic configs nothing",
        "barnabas topic alter clicks --partitions 1",
        "barnabas topic alter clicks --delete-config retention.ms",
        "barnabas topic alter clicks",
        "barnabas topic delete nothing",
        "barnabas topic delete clicks",
    )


def events_in_and_out(page: Page) -> None:
    page.say("## Events in and out")
    page.shell(
        "printf 'ada:ink\\nbob:pens\\nada:paper\\n' | barnabas produce orders --key-separator :",
        "barnabas consume orders --from-beginning --to-end --key-separator ' '",
        "echo lamp | barnabas produce orders --key carol --header source=web --acks 1 --compression zstd --places",
        "barnabas consume orders --offset -1 --partition 0 --partition 1 --partition 2 --to-end --json",
        "barnabas consume orders --from-beginning -n 2 --format '{partition}@{offset} {key}={value} {headers}'",
        "barnabas topic create copy",
        "barnabas consume orders --from-beginning --to-end --json | barnabas produce copy --json",
        "barnabas consume copy --since 1h --until 0s --timeout 5 | sort",
        "printf '\\x00\\xff' | barnabas produce copy --whole --key bytes --time 2026-03-01T09:00:00Z",
        "barnabas consume copy --offset -1 --to-end --json",
        "printf 'gone\\n' | barnabas produce copy --key ada --null gone --partition 0 --linger-ms 0 --timeout 10",
        'printf \'{"value": {"amount": 3}, "partition": 0}\' | barnabas produce copy --json --keep-partitions',
        "seq 1 1000 | barnabas produce copy --buffer-bytes 10000",
        "barnabas consume copy --partition 0 --offset 5 --timeout 1 | head -n 2",
    )
    page.say("What is no event, no place or no time:")
    page.shell(
        "echo ink | barnabas produce nothing",
        "echo ink | barnabas produce orders --key-separator :",
        "echo ink | barnabas produce orders --json",
        'echo \'{"ky": "ada"}\' | barnabas produce orders --json',
        "echo ink | barnabas produce orders --partition 7",
        "echo ink | barnabas produce orders --acks 2",
        "echo ink | barnabas produce orders --compression rar",
        "echo ink | barnabas produce orders --header source",
        "echo ink | barnabas produce orders --keep-partitions",
        "head -c 2000000 /dev/zero | barnabas produce orders --whole",
        "barnabas consume nothing --timeout 1",
        "barnabas consume orders --partition 7 --to-end",
        "barnabas consume orders --offset 3",
        "barnabas consume orders --offset soon",
        "barnabas consume orders --partition 0 --offset 99 --timeout 2",
        "barnabas consume orders --since yesterday",
        "barnabas consume orders --format '{colour}'",
        "barnabas consume orders --from-beginning --offset latest",
    )
    page.say("At a terminal one types, and sees how far a long file has come:")
    page.terminal("barnabas produce orders", ("hello\n", "Ctrl-D ends"), ("Ctrl-D", "hello"))
    page.terminal("barnabas consume orders --from-beginning", ("Ctrl-C", "hello"))
    page.home.quietly("seq 1 100000 > numbers")
    page.terminal("barnabas produce orders < numbers")


def groups(page: Page) -> None:
    page.say("## Groups")
    page.shell(
        "barnabas consume orders --group billing --from-beginning -n 3 > /dev/null",
        "barnabas group list",
        "barnabas group list --state empty --kind consumer --json",
        "barnabas group describe billing",
        "barnabas group reset billing --to earliest --dry-run",
        "barnabas group reset billing --topic orders:0 --to 1",
        "barnabas group reset billing --to latest --json",
        "barnabas group describe nothing",
        "barnabas group reset billing --to yesterday",
        "barnabas group delete billing --topic orders",
        "barnabas group delete billing",
        "barnabas group delete billing",
    )


def records_go(page: Page) -> None:
    page.say("## Events go")
    page.shell(
        "barnabas delete-records copy 0:2",
        "barnabas delete-records copy 0:end --json",
        "barnabas consume copy --partition 0 --offset 0 --timeout 2",
        "barnabas delete-records copy 0:99999999",
        "barnabas delete-records copy 0",
        "barnabas delete-records copy 7:1",
    )


def brokers_and_moves(page: Page) -> None:
    page.say("## Brokers come and go, partitions move")
    page.shell(
        "barnabas broker list",
        "barnabas broker add --rack r2",
        "barnabas reassign plan",
        "barnabas reassign execute --throttle 20MB",
        "barnabas reassign show",
        "barnabas reassign throttle off",
        "barnabas reassign cancel",
        "barnabas reassign execute --partition orders:0=9",
        "barnabas reassign execute --partition orders",
        "barnabas reassign throttle fast",
        "barnabas broker configs",
        "barnabas broker alter 4 --config follower.replication.throttled.rate=20000000",
        "barnabas broker alter --config colour=red",
        "barnabas broker decommission 4",
        "barnabas broker remove 4",
        "barnabas broker remove 9",
        "barnabas elect-leaders",
        "barnabas elect-leaders orders:0 --unclean",
        "barnabas elect-leaders orders",
    )


def what_happened(page: Page) -> None:
    page.say("## What happened, and why")
    page.shell(
        "barnabas kill 2",
        "barnabas ps",
        "barnabas kill 2",
        "barnabas kill 9",
        "barnabas kill two",
        "barnabas kill 1 --signal HELLO",
        "echo desk | barnabas produce orders --key carol",
        "barnabas events --since 1m | grep refused | head -n 3",
        "barnabas events --node 1 --json | head -n 1",
        "barnabas events --since later",
        "barnabas explain --since 1m",
        "barnabas explain --partition orders:0 --json | head -n 3",
        "barnabas explain --partition orders",
        "barnabas restart 2",
        "barnabas restart 9",
        "barnabas kill 3 --signal STOP",
        "barnabas kill 3 --signal CONT",
        "barnabas trace orders",
        "barnabas trace orders --partition 7",
        "barnabas dashboard --snapshot now.svg && ls -s now.svg | grep -c now.svg",
        "barnabas dashboard --snapshot now.gif",
    )
    page.terminal("barnabas events --follow --since 1h | head -n 2")


def chaos(page: Page) -> None:
    page.say("## Breaking it on purpose")
    page.shell(
        "barnabas chaos list",
        "barnabas chaos kill leader:orders/0",
        "barnabas chaos stop follower:orders/1",
        "barnabas chaos heal",
        "barnabas chaos cut 1 2",
        "barnabas chaos kill everybody",
        "barnabas chaos run nothing",
        "barnabas chaos run kill-leader --seconds 5",
    )


def the_end(page: Page) -> None:
    page.say("## The end, and what is on disk")
    page.shell(
        "barnabas verify barnabas-data",
        "barnabas down",
        "barnabas down",
        "barnabas verify barnabas-data",
        "barnabas verify barnabas-data/node-1 --json",
        "barnabas verify /tmp",
    )
    page.home.quietly(
        "log=$(ls barnabas-data/node-1/orders-*/0*.log | head -n 1); "
        "printf 'x' | dd of=$log bs=1 seek=100 conv=notrunc status=none"
    )
    page.say("One byte of one log is changed:")
    page.shell(
        "barnabas verify barnabas-data",
        "barnabas verify barnabas-data/node-1",
        "barnabas verify barnabas-data/node-1 --set-aside",
        "barnabas verify barnabas-data --set-aside",
        "barnabas up --detach > /dev/null && sleep 1 && barnabas down",
        "barnabas verify barnabas-data",
    )


def single_nodes(page: Page) -> None:
    page.say("## One node by itself")
    page.home.quietly(
        'printf \'[[node]]\\nid = 1\\naddress = "127.0.0.1:21001"\\nbroadcast = "127.0.0.1:21002"\\n\' > one.toml'
    )
    page.shell(
        "barnabas node one.toml --id 1",
        "barnabas node one.toml --id 1 --format",
        "barnabas node one.toml --id 7 --format --cluster-id new",
        "barnabas node one.toml --id 1 --format --cluster-id first-cluster --data alone",
        "barnabas node one.toml --id 1 --format --cluster-id first-cluster --data alone",
        "barnabas node one.toml",
    )
    page.terminal("barnabas node one.toml --id 1 --data alone", ("Ctrl-C", "serves"))


def machines(page: Page) -> None:
    page.say("## Simulation, measurements, and the story in a minute")
    page.shell(
        "barnabas simulate --seed 7 --seconds 3 | tail -n 1",
        "barnabas simulate --seed seven",
        "barnabas simulate --seed 7 --seeds 3",
        "barnabas simulate --bug nothing",
        "barnabas learn",
        "barnabas learn nothing",
        "barnabas demo --flights 2000 --rate 1000",
        "barnabas bench start --times 1",
        "barnabas bench failover --kills 1",
        "barnabas bench produce --seconds 2 --one-by-one",
        "barnabas bench latency --rate 0",
    )


def the_rest_of_the_world(page: Page) -> None:
    page.say("## What the rest of the world does")
    page.say(
        "A reader that has seen enough, an output without room or closed, and a place that cannot be are no reason for "
        "a traceback:"
    )
    page.shell(
        "barnabas completion bash | head -n 1",
        "set -o pipefail; barnabas completion bash | true",
        "barnabas completion bash > /dev/full",
        "barnabas completion bash >&-",
        "barnabas completion tcsh",
        "barnabas up --data /proc/nothing",
    )


STORIES: tuple[Story, ...] = (
    first_words, a_cluster, topics, events_in_and_out, groups, records_go, brokers_and_moves, what_happened, chaos,
    the_end, single_nodes, machines, the_rest_of_the_world,
)  # fmt: skip


# --- The help of every command ---


def helps(top: Parser) -> Iterator[tuple[str, str]]:
    """Every command, and its help as it is printed, `COLUMNS` wide."""
    yield top.prog, top.format_help()
    for action in top._actions:
        if isinstance(action, Commands):
            for child in action.choices.values():
                yield from helps(child)


def help_section() -> str:
    text = HELP
    for command, printed in helps(parser()):
        text += f"\n\n### {command}\n\n```text\n{printed.rstrip()}\n```"
    return text


def main() -> int:
    only = sys.argv[1:]
    if only == ["help"]:
        told, _, _ = PAGE.read_text("utf-8").partition(HELP)
        PAGE.write_text(f"{told}{help_section()}\n", "utf-8")
        return 0
    with Home() as home:
        page = Page(home)
        for story in STORIES:
            if not only or story.__name__ in only:
                story(page)
    if only:
        print(page.text)
        return 0
    PAGE.write_text(f"{page.text}\n{help_section()}\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
