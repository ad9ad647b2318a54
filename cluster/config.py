"""One TOML file describes a cluster; this file reads it, or says in one sentence why not.

    config = load("cluster.toml")              # or parse(text, name), or local(brokers=3)
    config.replication, config.node(1).address, config.data_of(config.node(1))

Whoever mistypes a key at midnight needs the file, the line, the key and what was expected. Libraries say some of it,
so values are judged key by key here, against the structs in `settings`, and then together, by `rules`. A refusal is
the first problem found. What comes out is complete and consistent; nothing after this file checks it again. To hand
a configuration to another process, encode it with `msgspec.json`.
"""

import json
import re
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from types import UnionType
from typing import Annotated, Literal, NoReturn, Union, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo, fields, replace

from .addresses import Endpoint, parse_address
from .rules import Problem, problems
from .settings import (
    KAFKA_PORT,
    Actor,
    BrokerSettings,
    ClusterConfig,
    ClusterOptions,
    Durability,
    NodeConfig,
    Timing,
    TopicDefaults,
)
from .toml_lines import KeyPath, key_lines, line_of

__all__ = [
    "Actor",
    "BrokerSettings",
    "ClusterConfig",
    "ClusterOptions",
    "ConfigError",
    "Durability",
    "NodeConfig",
    "Timing",
    "TopicDefaults",
    "default_config_path",
    "load",
    "local",
    "parse",
]

CONFIGS = Path(__file__).resolve().parent.parent / "configs"  # beside the package's folders, installed or not

_SYNTAX = re.compile(r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", re.DOTALL)


class ConfigError(ValueError):
    """A cluster file that cannot be used; the message is one sentence for the person who wrote it."""


def default_config_path(name: str = "three-brokers") -> Path:
    """The configuration of that name which comes with Barnabas."""
    path = CONFIGS / f"{name.removesuffix('.toml')}.toml"
    if not path.is_file():
        shipped = _listed(sorted(file.stem for file in CONFIGS.glob("*.toml")))
        raise ConfigError(f"no configuration called `{name}` comes with Barnabas, expected one of: {shipped}.")
    return path


def load(path: str | PathLike[str]) -> ClusterConfig:
    """The cluster that the file describes."""
    name = str(path)
    try:
        text = Path(path).read_bytes().decode()
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise ConfigError(f"{name}: {reason}, expected a cluster file in TOML.") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}, line {line}: not UTF-8, expected a cluster file in TOML.") from None
    return parse(text, name)


def parse(text: str, name: str = "cluster.toml") -> ClusterConfig:
    """The cluster that `text` describes; `name` is what refusals call it."""
    try:
        document: dict[str, object] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse_syntax(name, text, str(error))
    settings = document.get("broker")
    if isinstance(settings, dict):
        document["broker"] = dict(_dotted_keys(settings))
    for problem in _shape(document):
        _refuse(name, text, problem)
    config = _completed(msgspec.convert(document, type=ClusterConfig), document)
    for problem in problems(config):
        _refuse(name, text, problem)
    return config


def local(brokers: int = 3, *, data: str = "barnabas-data", name: str = "barnabas") -> ClusterConfig:
    """A cluster on this machine's free ports: nodes 1 to `brokers`, the first one or three of them controllers too."""
    if brokers < 1:
        raise ConfigError(f"a cluster of {brokers} brokers cannot be, expected at least 1.")
    controllers = 3 if brokers >= 3 else 1
    nodes = tuple(
        NodeConfig(id=number, actors=("controller", "broker") if number <= controllers else ("broker",))
        for number in range(1, brokers + 1)
    )
    return ClusterConfig(nodes=nodes, cluster=ClusterOptions(name=name, data=data))


def _completed(config: ClusterConfig, document: dict[str, object]) -> ClusterConfig:
    """Addresses in their full form, each broadcast and Kafka listener on its node's host."""
    tables = document["node"]
    assert isinstance(tables, list)
    nodes: list[NodeConfig] = []
    for node, table in zip(config.nodes, tables, strict=True):
        address = parse_address(node.address)
        broadcast = parse_address(node.broadcast)
        kafka, advertised = parse_address(node.kafka), parse_address(node.advertised or "")
        if address is not None and "broadcast" not in table:
            broadcast = Endpoint(address.host, 0)
        if address is not None and node.is_broker and "kafka" not in table:
            kafka = Endpoint(address.host, 0 if address.is_loopback else KAFKA_PORT)
        nodes.append(
            replace(
                node,
                address=node.address if address is None else str(address),  # what is no address, a rule refuses
                broadcast=node.broadcast if broadcast is None else str(broadcast),
                kafka=node.kafka if kafka is None else kafka.plain,  # as clients write it, without a scheme
                advertised=node.advertised if advertised is None else advertised.plain,
            )
        )
    return replace(config, nodes=tuple(nodes))


def _dotted_keys(table: dict[str, object], before: str = "") -> Iterator[tuple[str, object]]:
    """Kafka's names are dotted keys, which TOML takes for tables within tables."""
    for key, value in table.items():
        name = f"{before}{key}"
        if isinstance(value, dict):
            yield from _dotted_keys(value, f"{name}.")
        else:
            yield name, value


# -- the shape of the file: tables, keys and types


def _shape(document: dict[str, object]) -> Iterator[Problem]:
    yield from _unknown_keys(document, ClusterConfig, (), "at the top level")
    tables: list[tuple[str, type[msgspec.Struct]]] = [
        ("cluster", ClusterOptions),
        ("topic_defaults", TopicDefaults),
        ("broker", BrokerSettings),
        ("timing", Timing),
    ]
    for key, kind in tables:
        if key in document:
            yield from _table(document[key], kind, (key,), f"[{key}]")
    nodes = document.get("node", [])
    if not isinstance(nodes, list):
        yield Problem(("node",), "`node` is not an array of tables, expected [[node]] with two brackets")
        return
    if not nodes:
        yield Problem(("node",), "there is no [[node]], expected at least one")
    for index, node in enumerate(nodes):
        yield from _table(node, NodeConfig, ("node", index), "[[node]]")


def _table(raw: object, kind: type[msgspec.Struct], path: KeyPath, where: str) -> Iterator[Problem]:
    if not isinstance(raw, dict):
        yield Problem(path, f"`{path[0]}` is {_shown(raw)}, expected the table {where}")
        return
    yield from _unknown_keys(raw, kind, path, f"in {where}")
    for field in fields(kind):
        key = field.encode_name
        if key in raw:
            yield from _value(raw[key], field, (*path, key), where)
        elif field.required:
            yield Problem(path, f"{where} has no `{key}`, expected {_expected(field.type)}")


def _unknown_keys(raw: dict[str, object], kind: type[msgspec.Struct], path: KeyPath, where: str) -> Iterator[Problem]:
    known = sorted(field.encode_name for field in fields(kind))
    for key in raw:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            advice = f"did you mean `{close[0]}`?" if close else f"expected one of: {_listed(known)}"
            yield Problem((*path, key), f"unknown key `{key}` {where}, {advice}")


def _value(value: object, field: FieldInfo, path: KeyPath, where: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, type=field.type)
    except msgspec.ValidationError:
        text = f"`{field.encode_name}` in {where} is {_shown(value)}, expected {_expected(field.type)}"
        yield Problem(path, text)


def _expected(kind: object) -> str:
    """What a field of this type takes, in words: its description where it has one."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        described = [meta.description for meta in args[1:] if isinstance(meta, msgspec.Meta) and meta.description]
        return described[0] if described else _expected(args[0])
    if origin is Literal:
        return " or ".join(_shown(choice) for choice in args)
    if origin in (Union, UnionType):
        return " or ".join(_expected(arm) for arm in args if arm is not type(None))
    raise AssertionError(f"no words for {kind}: give the field's type a Meta description")


# -- refusals


def _refuse(name: str, text: str, problem: Problem) -> NoReturn:
    lines = key_lines(text)
    line = line_of(_as_written(problem.path, lines), lines)
    sentence = problem.text
    if problem.other is not None:
        sentence = sentence.replace("{other}", str(line_of(problem.other, lines)))
    place = name if line is None else f"{name}, line {line}"
    raise ConfigError(f"{place}: {sentence}" + ("" if sentence.endswith("?") else "."))


def _as_written(path: KeyPath, lines: dict[KeyPath, int]) -> KeyPath:
    """The path of a key of [broker] as the file has it: in one piece if it is quoted, else in several."""
    if path[:1] != ("broker",) or path in lines:
        return path
    return ("broker", *(part for key in path[1:] for part in str(key).split(".")))


def _refuse_syntax(name: str, text: str, complaint: str) -> NoReturn:
    match = re.fullmatch(
        r"(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)", complaint, re.DOTALL
    )
    what = complaint if match is None else match["what"]
    line = match["line"] if match is not None and match["line"] else text.count("\n") + 1
    raise ConfigError(f"{name}, line {line}: not valid TOML: {what[:1].lower()}{what[1:]}.") from None


def _shown(value: object) -> str:
    """A value as it stands in the file, if it is short enough to quote."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        quoted = f"[{', '.join(_shown(item) for item in value)}]"
        return quoted if len(quoted) <= 60 else "an array"
    if isinstance(value, str):
        return json.dumps(value if len(value) <= 60 else f"{value[:57]}...", ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
