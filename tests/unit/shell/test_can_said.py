"""A broken bus is said, and does not fill the journal."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from uptane.errors import LinkFailure
from uptane.shell.can_said import QUIET_NS, Said

DOWN, BUS_OFF = LinkFailure("CAN socketcan can0: the interface is down"), LinkFailure("CAN socketcan can0: bus-off")


@dataclass
class Clock:
    now_ns: int = 1

    def __call__(self) -> int:
        return self.now_ns


def test_each_reason_once_until_it_was_away(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    said = Said(clock)

    def told() -> list[str]:
        texts = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return texts

    said.back("can0")
    assert told() == [], "nothing was lost"
    said.lost(DOWN)
    said.lost(BUS_OFF)
    assert told() == [f"{DOWN}; opened again every second", f"{BUS_OFF}; opened again every second"]
    for _ in range(3_600):
        clock.now_ns += 1_000_000_000
        said.lost(DOWN)
    assert told() == []
    said.back("can0")
    said.back("can0")
    assert told() == ["CAN can0: the interface is back"]
    said.lost(DOWN)
    said.back("can0")
    assert told() == [], "it flaps"
    clock.now_ns += QUIET_NS
    said.lost(DOWN)
    assert len(told()) == 1, "it is news again"
