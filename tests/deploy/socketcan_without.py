"""Run by test_socketcan.py in a kernel whose CAN modules are not loaded."""

from contextlib import closing

import pytest

from primary.shell.can import BusSource
from secondary.shell.can import CanSource
from uptane.errors import LinkFailure
from uptane.shell.can_port import CanPort, CanSettings, open_can_port
from uptane.shell.checkup import Grade, can_facts, kernel_has_can, look_at_can

SETTINGS = CanSettings("socketcan", "vcan0", paced=False)


def opened() -> CanPort:
    return open_can_port(SETTINGS, 1)


def test_a_kernel_without_can_is_said_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(LinkFailure, match=r"this kernel has no CAN .*modprobe can-raw"):
        CanSource(opened)
    with closing(BusSource("chassis", opened, lambda: True, driving_percent=100)) as primary:
        assert primary.take() == (), "a Primary starts all the same, and tells the Director who is silent"
    [record] = caplog.records
    assert "this kernel has no CAN" in record.message
    assert "modprobe can-raw" in record.message
    [finding] = look_at_can(SETTINGS, can_facts("vcan0"), kernel=kernel_has_can())
    assert (finding.grade, finding.text) == (Grade.BAD, "this kernel has no CAN")
    assert finding.remedy.startswith("modprobe can-raw")
