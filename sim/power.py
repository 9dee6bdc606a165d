"""Power and its failing: what every node has, and what is told of every effect it carries out.

The power may fail before any effect of any node. Whoever watches is told before an effect (and may cut the power there)
and after it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sim.clock import Clock
from sim.trace import Trace


class PowerLost(Exception):
    """The power of the node fails before the effect it was about to carry out; nothing of the effect happens.

    `during`: the effect had begun, and storage is left as a cut in its middle leaves it.
    """

    def __init__(self, *, during: bool = False) -> None:
        self.during = during
        super().__init__()


class Powered(Protocol):
    """What has power, and a name."""

    name: str


class Watch(Protocol):
    """Who is told of every effect."""

    def before(self, node: Powered, effect: object) -> None:
        """`node` is about to carry out `effect`.

        Raises:
            PowerLost: it does not come to that.
        """
        ...

    def after(self, node: Powered, effect: object) -> None:
        """`node` has carried out `effect`."""
        ...

    def booted(self, node: Powered) -> None:
        """`node` is about to begin, from what is durable."""
        ...

    def tested(self, node: Powered, *, passed: bool) -> None:
        """The self-test of what runs on `node` has ended."""
        ...


@dataclass(frozen=True, slots=True)
class Stage:
    """What all nodes of a simulation share."""

    clock: Clock
    trace: Trace
    watch: Watch
