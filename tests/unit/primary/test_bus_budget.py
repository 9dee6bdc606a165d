"""A Primary takes its share of a bus while the vehicle drives, and all of it when parked."""

from __future__ import annotations

from typing import cast

from primary.shell.can import LOOK_NS, BusSource
from uptane.link.can_frame import CanFrame
from uptane.link.isotp_values import SendFrames
from uptane.shell.can_port import CanPort, Exchange

RUN = SendFrames((CanFrame(0x1CDA11F0, bytes(8)),), 1, 0)


class Port:
    """A port that remembers its budget and what it was given to send."""

    def __init__(self) -> None:
        self.budgets: list[int] = []
        self.runs = 0

    def set_budget(self, percent: int) -> None:
        self.budgets.append(percent)

    def send(self, run: SendFrames) -> None:
        self.runs += 1

    def exchange(self) -> Exchange:
        return Exchange((), ())


def test_the_budget_follows_the_vehicle() -> None:
    port, parked, now_ns = Port(), [False], [0]
    bus = BusSource(
        "chassis", lambda: cast("CanPort", port), lambda: parked[0], driving_percent=30, clock_ns=lambda: now_ns[0]
    )
    bus.take()
    bus.send(RUN)
    parked[0] = True
    bus.send(RUN)
    assert port.budgets == [30], "asked again only after a while"
    now_ns[0] += LOOK_NS
    bus.send(RUN)
    parked[0] = False
    now_ns[0] += LOOK_NS
    bus.send(RUN)
    assert port.budgets == [30, 100, 30]
    assert port.runs == 4
