"""What people and tools ask of the cluster, each with who decides or answers it."""

from __future__ import annotations

from .admin_messages import AdminRequest
from .admin_requests import Ruling, ruled
from .configs import alter_configs, describe_configs
from .decisions import Decision
from .decommissions import drain, remove
from .kernel import Context, Message
from .leader_elections import elect
from .messages import (
    AlterConfigs,
    CreatePartitions,
    CreateTopic,
    DeleteTopic,
    DescribeConfigs,
    DrainBroker,
    ElectLeaders,
    ListReassignments,
    Reassign,
    RemoveBroker,
)
from .metadata import MetadataImage
from .reassignments import list_reassignments, reassign
from .topics import create, delete, grow


def administer(image: MetadataImage, request: AdminRequest, ctx: Context) -> Decision:
    """The active controller's decision on one request, on this state."""
    return ruled(image, request, lambda: _rule(image, request, ctx), ctx)


def _rule(image: MetadataImage, request: AdminRequest, ctx: Context) -> Ruling:
    match request:
        case CreateTopic():
            return create(image, request, ctx)
        case DeleteTopic():
            return delete(image, request)
        case CreatePartitions():
            return grow(image, request)
        case AlterConfigs():
            return alter_configs(image, request)
        case Reassign():
            return reassign(image, request)
        case ElectLeaders():
            return elect(image, request)
        case DrainBroker():
            return drain(image, request)
        case RemoveBroker():
            return remove(image, request)
        case _:
            raise AssertionError(f"nobody decides {request!r}")


def inform(image: MetadataImage, question: DescribeConfigs | ListReassignments) -> Message:
    """The answer to a question that any broker or controller may be asked, as its image has it."""
    if isinstance(question, DescribeConfigs):
        return describe_configs(image, question)
    return list_reassignments(image, question)
