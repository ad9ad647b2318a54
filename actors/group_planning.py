"""What the leader of a group answers when it is asked who shall read what.

The first member of a group is its leader. With the assignor at the leader the coordinator does not decide: it asks the
leader with a heartbeat's answer, and the others get their part with their next heartbeats. This leader plans as the
coordinator would with `uniform`: everybody the same number, and everybody what it has as far as that allows.
"""

from __future__ import annotations

from .assignors import Applicant, uniform
from .envelope import Partition
from .group_messages import Plan, PlanShare, PlanTask
from .group_records import grouped


def plan(task: PlanTask) -> Plan:
    """Every partition of what the members subscribe to, exactly once."""
    topics = {topic.id: topic for topic in task.topics}
    applicants = [
        Applicant(
            name=member.member,
            instance=member.instance,
            topics=tuple(topics[topic] for topic in member.topics if topic in topics),
            has=frozenset(Partition(of.topic, index) for of in member.owned for index in of.partitions),
        )
        for member in task.members
    ]
    shares = uniform(applicants)
    return Plan(task.group_epoch, [PlanShare(name, grouped(frozenset(share))) for name, share in shares.items()])
