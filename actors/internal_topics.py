"""Topics that the cluster keeps for itself: clients read them at most."""

from __future__ import annotations

GROUP_OFFSETS = "__consumer_offsets"
TRANSACTIONS = "__transaction_state"
INTERNAL_TOPICS = frozenset({GROUP_OFFSETS, TRANSACTIONS})
