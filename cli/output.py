"""How results look: aligned columns for people, a table with lines on a terminal, JSON for programs."""

import sys
from collections.abc import Sequence


def as_json(value: object) -> None:
    """One JSON document."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value)).decode())


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Rows below a header."""
    cells = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        drawn = Table(*header)
        for row in cells:
            drawn.add_row(*map(escape, row))
        Console().print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(header, *cells, strict=True)]
    for row in [list(header), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def numbers(values: Sequence[int]) -> str:
    """Several node ids in one cell."""
    return ",".join(map(str, values)) or "-"


def wrapped(text: str, indent: int) -> str:
    """Indented text: a line for programs, as wide as the terminal for people."""
    margin = " " * indent
    if not sys.stdout.isatty():
        return margin + text
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)


def counted(count: int, what: str) -> str:
    """1 node, 2 nodes."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"
