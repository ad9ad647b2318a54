"""What may be wrong with a shell's surroundings when it opens."""

from __future__ import annotations


class TransportError(Exception):
    """A socket could not be opened as asked. The message says where, why, and what to do about it."""
