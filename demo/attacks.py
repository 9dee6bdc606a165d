"""Attacks to replay: what somebody on the bus or between the servers tries, with real means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from demo.world import World


@dataclass(frozen=True)
class Scene:
    """Where an attack takes place, and how it tells its story."""

    world: World
    say: Callable[[str], None]


@dataclass(frozen=True)
class Attack:
    """One attack. `play` raises DemoFailure when it succeeds, or is refused by another check than the one meant for it."""

    text: str
    play: Callable[[Scene], None]


ATTACKS: dict[str, Attack] = {}
