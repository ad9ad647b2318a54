"""A client of the classic protocol in a scene: it speaks when it is told to, and remembers what it was answered."""

from __future__ import annotations

from group_scene import Scene

from barnabas.actors.classic_messages import JoinProtocol, LeavingMember, MemberLeft, SyncAssignment
from barnabas.actors.errors import ErrorCode
from barnabas.actors.messages import (
    ClassicHeartbeat,
    ClassicHeartbeatDone,
    GroupJoined,
    GroupLeft,
    GroupSynced,
    JoinGroup,
    LeaveGroup,
    OffsetsCommitted,
    SyncGroup,
)

RANGE = JoinProtocol("range", b"range of it")
STICKY = JoinProtocol("sticky", b"sticky of it")


class Classic:
    """A client of the classic protocol; `sender` is its connection."""

    def __init__(
        self, scene: Scene, name: str, *, instance: str = "", protocols: list[JoinProtocol] | None = None
    ) -> None:
        self.scene = scene
        self.name = name
        self.sender = f"@{name}/client"
        self.instance = instance
        self.protocols = [RANGE] if protocols is None else protocols
        self.member = ""
        self.generation = -1
        self.request = 0
        self.seen = 0

    def join(self, **said: object) -> GroupJoined | None:
        """Join, with an id if one is asked for. The answer if it came at once."""
        fields: dict[str, object] = {
            "member": self.member,
            "session_timeout_ms": 10_000,
            "rebalance_timeout_ms": 30_000,
            "protocol_type": "consumer",
            "protocols": self.protocols,
            "instance": self.instance,
            "client_id": self.name,
            "host": "here",
            "needs_id": True,
            **said,
        }
        self.request += 1
        self.seen = len(self.scene.answers)
        self.scene.hear(JoinGroup(self.request, "g", -1, **fields), self.sender)  # type: ignore[arg-type]
        answer = self.joined()
        if answer is not None and answer.error is ErrorCode.MEMBER_ID_REQUIRED:
            self.member = answer.member
            return self.join(**said)
        return answer

    def joined(self) -> GroupJoined | None:
        """The answer to the newest JoinGroup, if it has come."""
        answer = self._newest(GroupJoined)
        if answer is not None and answer.error is ErrorCode.NONE:
            self.member, self.generation = answer.member, answer.generation
        return answer

    def sync(self, **shares: bytes) -> GroupSynced | None:
        """Fetch the assignment; the leader brings all."""
        self.request += 1
        self.seen = len(self.scene.answers)
        given = [SyncAssignment(member, share) for member, share in shares.items()]
        request = SyncGroup(self.request, "g", -1, self.member, self.generation, self.instance, assignments=given)
        self.scene.hear(request, self.sender)
        return self.synced()

    def synced(self) -> GroupSynced | None:
        return self._newest(GroupSynced)

    def beat(self, generation: int | None = None) -> ErrorCode:
        number = self.generation if generation is None else generation
        request = ClassicHeartbeat(1, "g", -1, self.member, number, self.instance)
        return self.scene.ask(request, ClassicHeartbeatDone, self.sender).error

    def leave(self) -> list[MemberLeft]:
        request = LeaveGroup(1, "g", -1, [LeavingMember(self.member, self.instance, "done")])
        return self.scene.ask(request, GroupLeft, self.sender).members

    def commit(self, offset: int, **said: object) -> OffsetsCommitted:
        fields = {"member": self.member, "epoch": self.generation, "instance": self.instance, **said}
        return self.scene.commit_offset(offset, **fields)

    def _newest(self, kind: type) -> object:
        found = [a for to, a in self.scene.answers[self.seen :] if to == self.sender and isinstance(a, kind)]
        return found[-1] if found else None


def formed(scene: Scene, *names: str, **said: object) -> list[Classic]:
    """A group of these, stable, the first one leading; each was given its own name."""
    members = [Classic(scene, name, **said) for name in names]  # type: ignore[arg-type]
    for member in members:
        member.join()
    if len(members) > 1:
        members[0].join()  # it was alone at first
    for member in members:
        member.joined()
    assert len({member.generation for member in members}) == 1, "all are in one generation"
    for member in members[1:]:
        assert member.sync() is None
    members[0].sync(**{member.member: member.name.encode() for member in members})
    assert [member.synced().assignment for member in members] == [name.encode() for name in names]  # type: ignore[union-attr]
    return members
