"""What crossed a bus, told now and then: one line per node that sent something since the last time, not per frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sim.can_controller import Controller
from sim.verbs import Verb


class Bus(Protocol):
    """A bus and who is on it."""

    name: str
    controllers: list[Controller]


class BusLines:
    """Lines about `buses`, to be said by `say` (node, verb, detail).

    Whoever has a reason to say something else of the vehicle calls `tell` first: a line of its own would need an alarm.
    """

    def __init__(self, buses: Sequence[Bus], say: Callable[[str, Verb, str], None]) -> None:
        self._buses = buses
        self._say = say
        self._told: dict[tuple[str, str], tuple[int, int]] = {}

    def tell(self) -> None:
        """Say what was sent since this was called last."""
        for bus in self._buses:
            for controller in bus.controllers:
                place = (bus.name, controller.node)
                frames, errors = self._told.get(place, (0, 0))
                traffic = controller.traffic
                if traffic.frames > frames:
                    self._say(bus.name, Verb.FRAMES, f"{traffic.frames - frames} from {controller.node}")
                if traffic.errors > errors:
                    self._say(bus.name, Verb.ERROR, f"{traffic.errors - errors} from {controller.node}")
                self._told[place] = (traffic.frames, traffic.errors)
