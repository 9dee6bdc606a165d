"""Dice: each part of the simulation rolls its own, so that a new roll in one moves no other."""

from __future__ import annotations

from hashlib import sha256
from random import Random


def stream(seed: int, name: str) -> Random:
    """The dice of the part called `name` under `seed`; the same on any machine."""
    return Random(int.from_bytes(sha256(f"{seed}/{name}".encode()).digest()[:8]))
