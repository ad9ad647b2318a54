"""DescribeConfigs, AlterConfigs, IncrementalAlterConfigs: the configs of topics and brokers.

Names, types, sources and rules are the cluster's own (`actors/configs.py`), which are Kafka's. Added here is what a
broker reads from the cluster file for its door: it can be read, and is changed in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ....actors.admin_messages import (
    AlterConfigs,
    ConfigChange,
    ConfigEntry,
    ConfigKind,
    ConfigOperation,
    ConfigResource,
    ConfigSource,
    ConfigSynonym,
    DescribeConfigs,
)
from ....actors.client_commands import Change, Command
from ....actors.configs import describe_configs as describe
from ....actors.errors import ErrorCode
from ..exchange import Exchange, Outcome
from ..limits import Limits
from ..messages import alter_configs as old
from ..messages import incremental_alter_configs as new
from ..messages.alter_configs import AlterConfigsRequest, AlterConfigsResponse
from ..messages.describe_configs import (
    DescribeConfigsRequest,
    DescribeConfigsResource,
    DescribeConfigsResourceResult,
    DescribeConfigsResponse,
    DescribeConfigsResult,
    DescribeConfigsSynonym,
)
from ..messages.incremental_alter_configs import IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse
from .topics import said

TIMEOUT_MS = 30_000
"""These requests have no time of their own."""

KINDS: dict[int, ConfigKind] = {2: "topic", 4: "broker"}
TYPES = {"boolean": 1, "string": 2, "int": 3, "short": 4, "long": 5, "double": 6, "list": 7}
OPERATIONS: tuple[ConfigOperation, ...] = ("set", "delete", "append", "subtract")
TYPES_FROM = 3  # versions of DescribeConfigs

DOOR = {  # name -> type and words
    "auto.create.topics.enable": ("boolean", "Whether a topic that a Kafka client asks for is created."),
    "connections.max.idle.ms": ("long", "After so long without a request a Kafka client's connection is closed."),
    "fetch.max.bytes": ("int", "Records of one answer to a Kafka client, whatever it asks for."),
    "max.connections": ("int", "Connections of Kafka clients at one broker."),
    "queued.max.request.bytes": ("long", "Bytes of requests that are not handled yet, at one broker."),
    "queued.max.response.bytes": ("long", "Bytes of replies that Kafka clients do not read, at one broker."),
    "socket.request.max.bytes": ("int", "The largest request of a Kafka client."),
}

_DEFAULTS = Limits()


async def describe_configs(request: DescribeConfigsRequest, exchange: Exchange) -> DescribeConfigsResponse:
    return DescribeConfigsResponse(results=[_described(wanted, request, exchange) for wanted in request.resources])


def _described(
    wanted: DescribeConfigsResource, request: DescribeConfigsRequest, exchange: Exchange
) -> DescribeConfigsResult:
    result = DescribeConfigsResult(0, None, wanted.resource_type, wanted.resource_name)
    kind = KINDS.get(wanted.resource_type)
    if kind is None:
        result.error_code, result.error_message = ErrorCode.INVALID_REQUEST, _no_kind(wanted.resource_type)
        return result
    keys = wanted.configuration_keys
    asked = DescribeConfigs(exchange.number, [ConfigResource(kind, wanted.resource_name, keys)])
    [picture] = describe(exchange.view.image, asked).resources
    if picture.error is not ErrorCode.NONE:
        result.error_code, result.error_message = picture.error, picture.reason
        return result
    entries = list(picture.entries)
    if kind == "broker" and wanted.resource_name:
        entries += [
            entry for entry in _of_door(exchange, int(wanted.resource_name)) if keys is None or entry.name in keys
        ]
    result.configs = [_config(entry, request, exchange.version) for entry in sorted(entries, key=lambda e: e.name)]
    return result


def _of_door(exchange: Exchange, broker: int) -> list[ConfigEntry]:
    """What the cluster file says about the door, and where its broker is told to be."""
    entries = []
    for name, (kind, doc) in DOOR.items():
        field = name.replace(".", "_")
        value, default = _text(getattr(exchange.door.limits, field)), _text(getattr(_DEFAULTS, field))
        entries.append(_fact(name, value, default, kind, doc))
    view = exchange.view
    state = view.image.brokers.get(broker)
    advertised = "" if state is None else ",".join(f"{name}://{place}" for name, place in state.listeners.items())
    doc = "Where Kafka clients are told to connect to."
    return [*entries, _fact("advertised.listeners", advertised, "", "string", doc)]


def _fact(name: str, value: str, default: str, kind: str, doc: str) -> ConfigEntry:
    source = ConfigSource.DEFAULT if value == default else ConfigSource.FILE
    synonyms = [ConfigSynonym(name, value, source)]
    if source is ConfigSource.FILE and default:
        synonyms.append(ConfigSynonym(name, default, ConfigSource.DEFAULT))
    return ConfigEntry(name, value, default, source, kind, doc, read_only=True, synonyms=synonyms)


def _text(value: bool | int) -> str:
    return str(value).lower()


def _config(entry: ConfigEntry, request: DescribeConfigsRequest, version: int) -> DescribeConfigsResourceResult:
    result = DescribeConfigsResourceResult(entry.name, entry.value, entry.read_only, entry.source)
    if request.include_synonyms:
        result.synonyms = [DescribeConfigsSynonym(s.name, s.value, s.source) for s in entry.synonyms]
    if version >= TYPES_FROM:
        result.config_type = TYPES.get(entry.type, 0)
        result.documentation = entry.doc if request.include_documentation else None
    return result


# --- altering


async def alter_configs(request: AlterConfigsRequest, exchange: Exchange) -> AlterConfigsResponse:
    """Kafka's older way: whatever is set and not named is taken back."""
    changes = [
        _Altered(wanted.resource_type, wanted.resource_name, [_set(config) for config in wanted.configs])
        for wanted in request.resources
    ]
    outcomes = await _alter(changes, request.validate_only, exchange, replace=True)
    return AlterConfigsResponse(
        responses=[
            old.AlterConfigsResourceResponse(error, sentence, altered.kind, altered.name)
            for altered, (error, sentence) in zip(changes, outcomes, strict=True)
        ]
    )


async def incremental_alter_configs(
    request: IncrementalAlterConfigsRequest, exchange: Exchange
) -> IncrementalAlterConfigsResponse:
    changes = [
        _Altered(wanted.resource_type, wanted.resource_name, [_change(config) for config in wanted.configs])
        for wanted in request.resources
    ]
    outcomes = await _alter(changes, request.validate_only, exchange, replace=False)
    return IncrementalAlterConfigsResponse(
        responses=[
            new.AlterConfigsResourceResponse(error, sentence, altered.kind, altered.name)
            for altered, (error, sentence) in zip(changes, outcomes, strict=True)
        ]
    )


class _Altered:
    """What is to become of one resource; a change that is None cannot be asked for."""

    def __init__(self, kind: int, name: str, changes: list[ConfigChange | None]) -> None:
        self.kind = kind
        self.name = name
        self.changes = [change for change in changes if change is not None]
        self.impossible = len(self.changes) < len(changes)

    @property
    def refusal(self) -> tuple[ErrorCode, str] | None:
        if self.kind not in KINDS:
            return ErrorCode.INVALID_REQUEST, _no_kind(self.kind)
        if self.impossible:
            return ErrorCode.INVALID_REQUEST, "A config is set to a value, or deleted, appended to or subtracted from."
        fixed = next((change.name for change in self.changes if change.name in DOOR and self.kind == 4), None)
        if fixed is not None:
            return (
                ErrorCode.INVALID_REQUEST,
                f"{fixed} is read from the cluster file when a broker starts: change it there.",
            )
        return None


def _set(config: old.AlterableConfig) -> ConfigChange | None:
    return None if config.value is None else ConfigChange(config.name, "set", config.value)


def _change(config: new.AlterableConfig) -> ConfigChange | None:
    if not 0 <= config.config_operation < len(OPERATIONS):
        return None
    operation = OPERATIONS[config.config_operation]
    if config.value is None and operation != "delete":
        return None
    return ConfigChange(config.name, operation, config.value or "")


async def _alter(
    changes: list[_Altered], validate_only: bool, exchange: Exchange, *, replace: bool
) -> list[tuple[ErrorCode, str | None]]:
    asked = [altered for altered in changes if altered.refusal is None]
    outcomes = await exchange.commands([_command(altered, validate_only, replace) for altered in asked])
    told = dict(zip(map(id, asked), outcomes, strict=True))
    return [altered.refusal or _outcome(told[id(altered)]) for altered in changes]


def _command(altered: _Altered, validate_only: bool, replace: bool) -> Callable[[object], Command]:
    request = partial(
        AlterConfigs,
        kind=KINDS[altered.kind],
        name=altered.name,
        changes=altered.changes,
        replace=replace,
        validate_only=validate_only,
    )
    of = f"{KINDS[altered.kind]} {altered.name}"
    return lambda token: Change(token, of, request, TIMEOUT_MS)


def _outcome(outcome: Outcome) -> tuple[ErrorCode, str | None]:
    return (ErrorCode.NONE, None) if outcome.failure is None else said(outcome.failure)


def _no_kind(kind: int) -> str:
    return f"Only topics (2) and brokers (4) have configs here, not resources of type {kind}."
