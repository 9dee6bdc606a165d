"""The vehicle's buses as one machine: exchanges with ECUs in, frames out. One UDS line per bus (uds_line.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias, assert_never

from primary.layout import Layout
from uptane.link import uds_line
from uptane.link.isotp_values import FramesHeard, FramesSent, IsoTpSettings, SendFrames, Tick
from uptane.link.uds_client import Ask, Listen
from uptane.link.uds_line import Answered, Request, UdsLine
from uptane.moments import Instant, earliest


class Exchange(NamedTuple):
    """Carry out `need`; answer with its ticket."""

    ticket: int
    need: Ask | Listen


class OnBus(NamedTuple):
    """What `bus` has to tell: frames heard, or that frames have left."""

    bus: str
    event: FramesHeard | FramesSent


class SendOn(NamedTuple):
    """Send frames on `bus`."""

    bus: str
    frames: SendFrames


Event: TypeAlias = Exchange | OnBus | Tick
Effect: TypeAlias = SendOn | Answered


class Buses:
    """The Primary's end of all its buses, a Machine[Event, Effect]."""

    def __init__(self, layout: Layout, settings: Mapping[str, IsoTpSettings]) -> None:
        self._lines: Final = {bus: UdsLine(each) for bus, each in settings.items()}
        self._places: Final = {each.ecu: (each.bus, each.address) for each in layout.secondaries}

    def handle(self, event: Event, now: Instant) -> Sequence[Effect]:
        """Take one event; the effects are to be carried out in order."""
        match event:
            case Exchange(ticket=ticket, need=need):
                bus, address = self._places[need.ecu]
                octets = need.octets if isinstance(need, Ask) else None
                request = Request(ticket, address, octets, need.answer_ms)
                return self._on(bus, self._lines[bus].handle(request, now))
            case OnBus(bus=bus, event=heard):
                return self._on(bus, self._lines[bus].handle(heard, now))
            case Tick():
                effects: list[Effect] = []
                for bus, line in self._lines.items():
                    effects.extend(self._on(bus, line.handle(event, now)))
                return effects
            case _:
                assert_never(event)

    def deadline(self) -> Instant | None:
        """When the first of the lines wants to be woken."""
        return earliest(*(line.deadline() for line in self._lines.values()))

    def _on(self, bus: str, effects: Sequence[uds_line.Effect]) -> Sequence[Effect]:
        return [SendOn(bus, effect) if isinstance(effect, SendFrames) else effect for effect in effects]
