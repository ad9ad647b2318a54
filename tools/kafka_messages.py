"""Writes `transport/kafka/messages/`: plain Python that reads and writes Kafka's messages, one file per API.

    python tools/kafka_messages.py          # writes them
    python tools/kafka_messages.py --check  # exit code 1 if what is checked in is not what would be written

The schemas come from `kio`, which has them as one dataclass per message and version. Here the versions of a message
are merged into one list of fields, each with the versions that have it; where the versions agree, they are one line of
Python. `kio` is needed to write these files and to test them, never to run them.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import sys
import types
import typing
import uuid
from collections.abc import Iterator
from pathlib import Path

from kio.index import load_request_schema, load_response_schema
from kio.serial._introspect import EntityField, EntityTupleField, PrimitiveTupleField, classify_field, get_field_tag

from barnabas.transport.kafka.table import APIS, Api

FOLDER = Path(__file__).resolve().parent.parent / "transport" / "kafka" / "messages"
WIDTH = 120

KINDS = {  # kio's types -> method of reader and writer, Python's type, its zero, least bytes
    "int8": ("int8", "int", "0", 1),
    "int16": ("int16", "int", "0", 2),
    "uint16": ("uint16", "int", "0", 2),
    "int32": ("int32", "int", "0", 4),
    "int64": ("int64", "int", "0", 8),
    "float64": ("float64", "float", "0.0", 8),
    "bool": ("boolean", "bool", "False", 1),
    "uuid": ("uuid", "bytes", "NO_UUID", 16),
    "error_code": ("int16", "int", "0", 2),
    "timedelta_i32": ("int32", "int", "0", 4),
    "timedelta_i64": ("int64", "int", "0", 8),
    "datetime_i64": ("int64", "int", "0", 8),
    "string": ("string", "str", '""', 1),
    "bytes": ("binary", "bytes", 'b""', 1),
    "records": ("records", "Buffer", 'b""', 1),
}
WITH_UNIT = {"timedelta_i32", "timedelta_i64", "datetime_i64"}  # kio drops Kafka's suffix _ms
SIZED = {"string", "binary", "records"}


@dataclasses.dataclass
class Field:
    """One field over all versions of its message."""

    name: str
    kind: str  # of KINDS; empty for a structure
    entity: Entity | None
    is_array: bool
    versions: list[int]
    nullable: list[int]
    tags: dict[int, int]  # version -> tag
    default: object

    @property
    def tag(self) -> int | None:
        found = set(self.tags.values())
        assert len(found) <= 1, self
        return found.pop() if found else None


@dataclasses.dataclass
class Entity:
    """A structure over all versions of its message."""

    name: str
    fields: list[Field]
    versions: list[int]


@dataclasses.dataclass
class Message:
    """A request or a response."""

    root: Entity
    flexible: int | None  # the first version with the compact spelling


# --- Reading the schemas


def message(api: Api, load: typing.Callable[[int, int], type]) -> Message:
    versions = range(api.least, api.newest + 1)
    by_version = {version: load(api.key, version) for version in versions}
    flexible = [version for version in versions if by_version[version].__flexible__]
    assert flexible == [*versions][len(versions) - len(flexible) :], api
    return Message(entity(by_version), flexible[0] if flexible else None)


def entity(by_version: dict[int, type]) -> Entity:
    newest = by_version[max(by_version)]
    names: list[str] = []
    listed = {version: {field.name: field for field in dataclasses.fields(cls)} for version, cls in by_version.items()}
    for version in sorted(listed, reverse=True):
        names = merged(names, list(listed[version]))
    for found in listed.values():
        assert [name for name in names if name in found] == list(found), (names, list(found))
    fields = [one_field({v: found[name] for v, found in listed.items() if name in found}) for name in names]
    return Entity(newest.__name__, fields, sorted(by_version))


def merged(names: list[str], more: list[str]) -> list[str]:
    """The names in one order that is both lists' order."""
    result = list(names)
    place = 0
    for name in more:
        if name in result:
            place = result.index(name) + 1
        else:
            result.insert(place, name)
            place += 1
    return result


def one_field(found: dict[int, dataclasses.Field]) -> Field:
    newest = found[max(found)]
    shape = classify_field(newest)
    is_array = isinstance(shape, EntityTupleField | PrimitiveTupleField)
    kind = newest.metadata.get("kafka_type", "")
    nested = None
    if isinstance(shape, EntityField | EntityTupleField):
        nested = entity({version: classify_field(field).type_ for version, field in found.items()})
    for field in found.values():
        assert type(classify_field(field)) is type(shape), field
        assert field.metadata.get("kafka_type", "") == kind, field
    return Field(
        name=newest.name + ("_ms" if kind in WITH_UNIT else ""),
        kind=kind,
        entity=nested,
        is_array=is_array,
        versions=sorted(found),
        nullable=sorted(v for v, field in found.items() if is_nullable(field) and kind not in {"uuid", *WITH_UNIT}),
        tags={version: int(tag) for version, field in found.items() if (tag := get_field_tag(field)) is not None},
        default=newest.default,
    )


def is_nullable(field: dataclasses.Field) -> bool:
    return typing.get_origin(field.type) in (typing.Union, types.UnionType) and type(None) in typing.get_args(
        field.type
    )


# --- What Python says of them


def python_type(field: Field) -> str:
    name = field.entity.name if field.entity is not None else KINDS[field.kind][1]
    if field.is_array:
        name = f"list[{name}]"
    if field.nullable or (field.entity is not None and not field.is_array and field.tag is not None):
        name += " | None"
    return name


def default(field: Field) -> str:
    value = field.default
    if field.entity is not None and not field.is_array:
        if field.nullable or field.tag is not None:
            return "None"
        return f"msgspec.field(default_factory={field.entity.name})"
    if value is None and field.kind == "uuid":
        return "NO_UUID"
    if value is None and field.kind == "datetime_i64":
        return "-1"
    if value is None:
        return "None"
    if field.is_array:
        return "[]"
    zero = KINDS[field.kind][2]
    if value is dataclasses.MISSING:
        return zero
    if isinstance(value, bool):
        return str(bool(value))
    if isinstance(value, enum.Enum):
        return str(int(value.value))
    if isinstance(value, dt.timedelta):
        return str(round(value.total_seconds() * 1000))
    if isinstance(value, dt.datetime):
        return str(round(value.timestamp() * 1000))
    if isinstance(value, uuid.UUID):
        return "NO_UUID"
    if isinstance(value, str):
        return f'"{value}"'
    return repr(type(value).__mro__[-2](value)) if isinstance(value, int | float) else repr(value)


def least(entity: Entity) -> int:
    """The fewest bytes that such a structure takes in any version."""
    return max(1, min(sum(least_of(f, v) for f in entity.fields if v in f.versions) for v in entity.versions))


def least_of(field: Field, version: int) -> int:
    if version in field.tags:
        return 0
    if field.is_array or (field.entity is not None and version in field.nullable):
        return 1
    if field.entity is not None:
        return sum(least_of(inner, version) for inner in field.entity.fields if version in inner.versions)
    return KINDS[field.kind][3]


def condition(versions: list[int], among: list[int]) -> str:
    """When a field is there, in Python; empty: always."""
    first, last = versions[0], versions[-1]
    assert versions == [*range(first, last + 1)], versions
    if versions == among:
        return ""
    if last == among[-1]:
        return f"version >= {first}"
    if first == last:
        return f"version == {first}"
    return f"version <= {last}" if first == among[0] else f"{first} <= version <= {last}"


def either(versions: list[int], among: list[int], yes: str, no: str) -> str:
    """An expression: `yes` in these versions, `no` in the others."""
    if not versions or versions == among:
        return yes if versions else no
    return f"{yes} if {condition(versions, among)} else {no}"


# --- Writing Python


class Module:
    """The text of one generated file."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.request = message(api, load_request_schema)
        self.response = message(api, load_response_schema)
        self.lines: list[str] = []
        self.tell_apart()

    def tell_apart(self) -> None:
        """A structure of the response with the name of another one of the request gets a name of its own."""
        taken = {entity.name for entity in entities(self.request.root)}

        def rename(entity: Entity) -> None:
            entity.name += "Response" if entity.name in taken else ""
            for field in entity.fields:
                if field.entity is not None:
                    rename(field.entity)

        rename(self.response.root)

    def text(self) -> str:
        for kind in (self.request, self.response):
            for entity in entities(kind.root):
                self.definition(entity)
            for entity in entities(kind.root):
                self.reading(entity, kind)
                self.writing(entity, kind)
        return "\n".join([*self.head(), *self.lines]) + "\n"

    def head(self) -> Iterator[str]:
        api = self.api
        assert self.request.flexible == self.response.flexible or api.name == "ApiVersions", api
        flexible = "None" if self.request.flexible is None else str(self.request.flexible)
        versions = f"versions {api.least} to {api.newest}" if api.least != api.newest else f"version {api.least}"
        yield f'"""Kafka\'s {api.name} (API key {api.key}), {versions}.'
        yield ""
        yield 'Written by tools/kafka_messages.py: do not edit.\n"""'
        yield ""
        yield "from __future__ import annotations"
        yield ""
        body = "\n".join(self.lines)
        if "msgspec." in body:
            yield "import msgspec"
            yield ""
        if "Buffer" in body:
            yield "from ....storage.disk import Buffer"
        yield f"from ..wire import {'NO_UUID, ' if 'NO_UUID' in body else ''}Reader, Schema, Writer"
        yield ""
        yield f"KEY = {api.key}"
        yield f"FLEXIBLE_FROM: int | None = {flexible}"

    def definition(self, entity: Entity) -> None:
        self.lines += ["", "", f"class {entity.name}(Schema):"]
        for field in entity.fields:
            self.lines.append(f"    {field.name}: {python_type(field)} = {default(field)}")
        if not entity.fields:
            self.lines.append("    pass")

    def signature(self, name: str, arguments: str, result: str) -> None:
        self.lines += ["", ""]
        line = f"def {name}({arguments}) -> {result}:"
        self.lines += [line] if len(line) <= WIDTH else [f"def {name}(", f"    {arguments}", f") -> {result}:"]

    # --- One structure

    def reading(self, entity: Entity, kind: Message) -> None:
        self.signature(function("read", entity, kind), "r: Reader, version: int", entity.name)
        self.lines.append(f"    value = {entity.name}()")
        self.plain_fields(entity, lambda field: self.read_field(field, kind, "r"))
        tagged = [field for field in entity.fields if field.tag is not None]
        if tagged:
            self.lines.append("    for tag, field in r.tags():")
            for field in tagged:
                when = condition(field.versions, entity.versions)
                self.lines.append(f"        if tag == {field.tag}{' and ' + when if when else ''}:")
                self.lines += [f"            {line}" for line in self.read_field(field, kind, "field")]
        elif kind.flexible is not None:
            self.lines.append("    r.tags()")
        self.lines.append("    return value")

    def writing(self, entity: Entity, kind: Message) -> None:
        arguments = f"w: Writer, value: {entity.name}, version: int"
        self.signature(function("write", entity, kind), arguments, "None")
        start = len(self.lines)
        self.plain_fields(entity, lambda field: self.write_field(field, kind, "w"))
        tagged = sorted((field for field in entity.fields if field.tag is not None), key=lambda field: field.tag or 0)
        if tagged:
            self.lines.append("    tagged: list[tuple[int, Writer]] = []")
            for field in tagged:
                when = [condition(field.versions, entity.versions), said(field)]
                self.lines.append(f"    if {' and '.join(part for part in when if part)}:")
                self.lines.append("        field = w.field()")
                self.lines += [f"        {line}" for line in self.write_field(field, kind, "field")]
                self.lines.append(f"        tagged.append(({field.tag}, field))")
            self.lines.append("    w.tags(tagged)")
        elif kind.flexible is not None:
            self.lines.append("    w.tags()")
        if len(self.lines) == start:
            self.lines.append("    pass")

    def plain_fields(self, entity: Entity, lines_of: typing.Callable[[Field], list[str]]) -> None:
        """All that are not tagged; neighbours with the same versions below one condition."""
        before = ""
        for field in entity.fields:
            if field.tag is not None:
                continue
            when = condition(field.versions, entity.versions)
            if when and when != before:
                self.lines.append(f"    if {when}:")
            before = when
            self.lines += [f"{'        ' if when else '    '}{line}" for line in lines_of(field)]

    # --- One field

    def read_field(self, field: Field, kind: Message, reader: str) -> list[str]:
        if field.is_array and field.entity is not None:
            method = "array"
            arguments = f"{least(field.entity)}, {function('read', field.entity, kind)}, version"
        elif field.is_array:
            method, arguments = "values", f"{KINDS[field.kind][3]}, Reader.{KINDS[field.kind][0]}"
        elif field.entity is not None:
            one = f"{function('read', field.entity, kind)}({reader}, version)"
            return [f"value.{field.name} = " + (f"{one} if {reader}.present() else None" if field.nullable else one)]
        else:
            method, arguments = KINDS[field.kind][0], ""
        nullable, plain = f"{reader}.nullable_{method}({arguments})", f"{reader}.{method}({arguments})"
        return alternatives(f"value.{field.name} = ", either(field.nullable, field.versions, nullable, plain))

    def write_field(self, field: Field, kind: Message, writer: str) -> list[str]:
        value = f"value.{field.name}"
        none = " or ()" if field.is_array else f" or {KINDS[field.kind][2]}" if field.entity is None else ""
        plain_value = value + (none if field.nullable and field.nullable != field.versions else "")
        if field.is_array and field.entity is not None:
            method, arguments = "array", f", {function('write', field.entity, kind)}, version"
        elif field.is_array:
            method, arguments = "values", f", Writer.{KINDS[field.kind][0]}"
        elif field.entity is not None:
            one = f"{function('write', field.entity, kind)}({writer}, {value}, version)"
            if field.nullable:
                return [f"{writer}.present({value})", f"if {value} is not None:", f"    {one}"]
            return [one]
        else:
            method, arguments = KINDS[field.kind][0], ""
        nullable, plain = (
            f"{writer}.nullable_{method}({value}{arguments})",
            f"{writer}.{method}({plain_value}{arguments})",
        )
        return alternatives("", either(field.nullable, field.versions, nullable, plain))


def alternatives(before: str, line: str) -> list[str]:
    """`a if condition else b` as statements, with something in front of each."""
    yes, found, rest = line.partition(" if ")
    if not found:
        return [before + line]
    when, _, no = rest.partition(" else ")
    return [f"if {when}:", f"    {before}{yes}", "else:", f"    {before}{no}"]


def said(field: Field) -> str:
    """Whether a tagged field has something to say, in Python: only then is it written."""
    value = f"value.{field.name}"
    if field.entity is not None and not field.is_array:
        return f"{value} is not None"
    without = default(field)
    if without == "None":
        return f"{value} is not None"
    if without in ("[]", '""', "0", "False"):
        return value
    return f"{value} != {without}"


def function(verb: str, entity: Entity, kind: Message) -> str:
    if entity is kind.root:
        return f"{verb}_{'request' if entity.name.endswith('Request') else 'response'}"
    return f"_{verb}_{snake(entity.name)}"


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def entities(root: Entity) -> list[Entity]:
    """Those that others are made of come first; what is used twice is there once."""
    found: dict[str, Entity] = {}
    for field in root.fields:
        for entity in [] if field.entity is None else entities(field.entity):
            assert found.setdefault(entity.name, entity) == entity, f"two structures are called {entity.name}"
    return [*found.values(), root]


def files() -> dict[Path, str]:
    """What the folder should hold, besides its `__init__.py`."""
    return {FOLDER / f"{api.module}.py": Module(api).text() for api in APIS.values()}


def main(arguments: list[str]) -> int:
    wanted = files()
    found = {path: path.read_text() for path in FOLDER.glob("*.py") if path.name != "__init__.py"}
    stale = sorted(path for path in {*wanted, *found} if wanted.get(path) != found.get(path))
    for path in stale:
        print(("would write " if "--check" in arguments else "writes ") + path.name)
        if "--check" in arguments:
            continue
        if path in wanted:
            path.write_text(wanted[path])
        else:
            path.unlink()
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
