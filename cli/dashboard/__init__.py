"""`dashboard`: the control room, live in a terminal or as a picture."""

import argparse
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ..arguments import Commands, WrongUsage, add_cluster, bootstrap_of, data_of, elsewhere

if TYPE_CHECKING:
    from ...cluster.formatting import Formatted
    from .screen import Screen

SUFFIXES = (".svg", ".txt", ".html")
SNAPSHOT_SIZE = (120, 40)
VIEWS = ("partitions", "brokers", "groups", "events")


def register(commands: Commands) -> None:
    dashboard = commands.add_parser(
        "dashboard",
        help="watch the cluster live, and play with it",
        examples="""
            barnabas dashboard                           the cluster in ./barnabas-data; press ? for the keys
            barnabas dashboard --bootstrap HOST:PORT     a cluster elsewhere, without stopping and starting its nodes
            barnabas dashboard --snapshot now.svg        a picture of what the screen would show; also .txt and .html
        """,
    )
    dashboard.add_argument("--snapshot", metavar="FILE", help="write a picture (.svg, .txt or .html), and end")
    dashboard.add_argument("--size", type=size, metavar="WxH", help="of the picture (default: the terminal's)")
    dashboard.add_argument(
        "--view", choices=("partitions", "brokers", "groups", "events"), help="what the picture shows"
    )
    dashboard.add_argument("--filter", metavar="TEXT", help="only what has this in its name")
    add_cluster(dashboard)
    dashboard.set_defaults(run=run_dashboard)


def size(text: str) -> tuple[int, int]:
    """160x50: columns and lines."""
    found = re.fullmatch(r"(\d{2,3})x(\d{2,3})", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size, expected columns and lines such as 160x50")
    return int(found[1]), int(found[2])


def run_dashboard(arguments: argparse.Namespace) -> int:
    if arguments.snapshot is None:
        if arguments.size or arguments.view or arguments.filter:
            raise WrongUsage("--size, --view and --filter say what a --snapshot shows; in the dashboard there are keys")
        bootstrap, formatted = _where(arguments)
        from .run import watch

        return watch(bootstrap, formatted)
    path = Path(arguments.snapshot)
    if path.suffix not in SUFFIXES:
        raise WrongUsage(f"`{path}` says no kind of picture, expected a name that ends in {', '.join(SUFFIXES)}")
    bootstrap, formatted = _where(arguments)
    from .keys import Looking
    from .run import snapshot

    chosen = arguments.size or (shutil.get_terminal_size(SNAPSHOT_SIZE) if path.suffix == ".txt" else SNAPSHOT_SIZE)
    looking = Looking(view=arguments.view or "partitions", filter=arguments.filter or "")
    write(snapshot(bootstrap, formatted, looking, tuple(chosen)), path)
    print(f"wrote {path}")
    return 0


def _where(arguments: argparse.Namespace) -> "tuple[str, Formatted | None]":
    """Where to begin, and the cluster on this machine if it is one: that one need not run, one can start it here."""
    from ...cluster.supervisor import existing

    if elsewhere(arguments):
        return bootstrap_of(arguments), None
    formatted = existing(data_of(arguments))
    return formatted.bootstrap, formatted


def write(screen: "Screen", path: Path) -> None:
    """A screen as a picture, as text or as a page."""
    import io

    from rich.console import Console
    from rich.terminal_theme import SVG_EXPORT_THEME

    if path.suffix == ".txt":
        path.write_text(screen.text + "\n", encoding="utf-8")
        return
    console = Console(
        record=True, width=screen.width, height=screen.height, file=io.StringIO(), force_terminal=True,
        color_system="truecolor", legacy_windows=False,
    )  # fmt: skip
    console.print(screen)
    if path.suffix == ".svg":
        console.save_svg(str(path), title="barnabas dashboard", theme=SVG_EXPORT_THEME)
    else:
        console.save_html(str(path), theme=SVG_EXPORT_THEME)
