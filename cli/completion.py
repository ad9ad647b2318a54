"""`completion SHELL`: what makes the TAB key know every command, option and value.

    eval "$(barnabas completion bash)"         # in ~/.bashrc; zsh: the same in ~/.zshrc
    barnabas completion fish | source          # in ~/.config/fish/config.fish

The script is written from the parser itself, so it knows what this version knows, and completing starts no process but
for names of topics, which the cluster is asked for. All three shells are told the same: where one stands in a line
(`barnabas topic create`), which words and options may follow there, and what an option takes.
"""

import argparse
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .arguments import Commands, Parser

TOPICS = "barnabas topic list 2>/dev/null"
NODES = "barnabas ps 2>/dev/null | sed 1d | cut -d' ' -f1"


class Value(NamedTuple):
    """What may stand somewhere: one of these words, what a command prints, or the name of a file."""

    words: tuple[str, ...] = ()
    command: str = ""
    files: bool = False


_BY_METAVAR = {
    "CONFIG": Value(files=True),
    "DATA": Value(files=True),
    "DIR": Value(files=True),
    "FILE": Value(files=True),
    "NODE": Value(command=NODES),
    "TOPIC": Value(command=TOPICS),
}


class Option(NamedTuple):
    """One option of a command, under all its names. Without a value it is a switch."""

    names: tuple[str, ...]
    help: str
    value: Value | None


class Place(NamedTuple):
    """Where one may stand in a line: after these words."""

    path: str
    words: dict[str, str]  # that may follow, and their help
    options: list[Option]
    value: Value  # what its arguments are


def register(commands: Commands) -> None:
    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete commands, options and names of topics",
        examples="""
            eval "$(barnabas completion bash)"     in ~/.bashrc
            eval "$(barnabas completion zsh)"      in ~/.zshrc, below compinit
            barnabas completion fish | source      in ~/.config/fish/config.fish
        """,
    )
    completion.add_argument("shell", metavar="SHELL", choices=tuple(SHELLS), help=" or ".join(SHELLS))
    completion.set_defaults(run=run_completion)


def run_completion(arguments: argparse.Namespace) -> int:
    from .main import parser

    print(SHELLS[arguments.shell](list(places(parser()))))
    return 0


def places(parser: Parser) -> Iterator[Place]:
    """Every place in a line, outer ones first."""
    words: dict[str, str] = {}
    options: list[Option] = []
    value = Value()
    inner: list[Parser] = []
    for action in parser._actions:
        if isinstance(action, Commands):
            words = {choice.dest: _plain(choice.help) for choice in action._choices_actions}
            inner = list(action.choices.values())
        elif action.option_strings:
            switch = action.nargs == 0
            options.append(
                Option(tuple(action.option_strings), _plain(action.help), None if switch else _value(action))
            )
        else:
            value = _value(action)
    yield Place(parser.prog, words, options, value)
    for child in inner:
        yield from places(child)


def _value(action: argparse.Action) -> Value:
    if action.choices is not None:
        return Value(words=tuple(str(choice) for choice in action.choices))
    return _BY_METAVAR.get(str(action.metavar), Value())


def _plain(text: str | None) -> str:
    return (text or "").replace("%%", "%")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def bash(found: list[Place]) -> str:
    """For bash 3 and later."""

    def words(value: Value) -> str:
        if value.files:
            return 'compgen -f -- "$cur"'
        listed = f'"$({value.command})"' if value.command else _quoted(" ".join(value.words))
        return f'compgen -W {listed} -- "$cur"'

    follow = []
    for place in found:
        options = Value(tuple(name for option in place.options for name in option.names))
        others = Value(tuple(place.words)) if place.words else place.value
        follow += [
            f"        {_quoted(place.path)})",
            f'            case "$cur" in -*) COMPREPLY=( $({words(options)}) ) ;;',
            f"            *) COMPREPLY=( $({words(others)}) ) ;; esac ;;",
        ]
    return _lines(
        "_barnabas() {",
        "    local cur prev place word i",
        '    cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" place=barnabas',
        "    for (( i = 1; i < COMP_CWORD; i++ )); do",
        '        word="${COMP_WORDS[i]}"',
        f'        case "$place $word" in {_steps(found)}) place="$place $word" ;; esac',
        "    done",
        '    case "$place $prev" in',
        *(f"        {at}) COMPREPLY=( $({words(value)}) ); return ;;" for at, value in _taken(found)),
        "    esac",
        '    case "$place" in',
        *follow,
        "    esac",
        "}",
        "complete -F _barnabas barnabas",
    )


def zsh(found: list[Place]) -> str:
    """For zsh with compinit. Not `path`, which is its name for PATH."""

    def add(value: Value) -> str:
        if value.files:
            return "_files"
        if value.command:
            return f'found=( ${{(f)"$({value.command})"}} ); compadd -a found'
        return f"compadd -- {' '.join(value.words)}" if value.words else ":"

    def described(kind: str, about: dict[str, str]) -> str:
        pairs = " ".join(_quoted(f"{word}:{text}") for word, text in about.items())
        return f"found=( {pairs} ); _describe {kind} found"

    follow = []
    for place in found:
        options = {name: option.help for option in place.options for name in option.names}
        others = described("command", place.words) if place.words else add(place.value)
        follow += [
            f"        ({_quoted(place.path)})",
            f"            if [[ $PREFIX == -* ]]; then {described('-o option', options)}",
            f"            else {others}; fi ;;",
        ]
    return _lines(
        "#compdef barnabas",
        "_barnabas() {",
        "    local place=barnabas prev=$words[CURRENT-1]",
        "    local -a found",
        "    local -i i",
        "    for (( i = 2; i < CURRENT; i++ )); do",
        f'        case "$place $words[i]" in ({_steps(found)}) place="$place $words[i]" ;; esac',
        "    done",
        '    case "$place $prev" in',
        *(f"        ({at}) {add(value)}; return ;;" for at, value in _taken(found)),
        "    esac",
        '    case "$place" in',
        *follow,
        "    esac",
        "}",
        "compdef _barnabas barnabas",
    )


def _steps(found: list[Place]) -> str:
    """Every place, as a pattern of both shells."""
    return "|".join(_quoted(place.path) for place in found)


def _taken(found: list[Place]) -> Iterator[tuple[str, Value]]:
    """Every option that takes a value, as a pattern of what stands before that, and the value."""
    for place in found:
        for option in place.options:
            if option.value is not None:
                yield "|".join(_quoted(f"{place.path} {name}") for name in option.names), option.value


def fish(found: list[Place]) -> str:
    """For fish 3 and later."""
    lines = [
        f"set -g __barnabas_paths {' '.join(_fish(place.path) for place in found)}",
        "function __barnabas_at",
        "    set -l path barnabas",
        "    for word in (commandline -opc)[2..]",
        '        contains -- "$path $word" $__barnabas_paths; and set path "$path $word"',
        "    end",
        '    test "$path" = "$argv"',
        "end",
        "complete -c barnabas -e",
        "complete -c barnabas -f",
    ]
    for place in found:
        at = f"complete -c barnabas -n {_fish(f'__barnabas_at {place.path}')}"
        lines += [f"{at} -a {word} -d {_fish(about)}" for word, about in place.words.items()]
        if place.value != Value() and not place.words:
            lines.append(f"{at} {_fish_value(place.value)}")
        for option in place.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            takes = "" if option.value is None else f" -r {_fish_value(option.value)}"
            lines.append(f"{at} {names}{takes} -d {_fish(option.help)}")
    return _lines(*lines)


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_value(value: Value) -> str:
    if value.files:
        return "-F"
    if value.command:
        return f"-f -a {_fish(f'({value.command})')}"
    return f"-f -a {_fish(' '.join(value.words))}" if value.words else "-f"


def _lines(*lines: str) -> str:
    return "\n".join(lines)


SHELLS: dict[str, Callable[[list[Place]], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
