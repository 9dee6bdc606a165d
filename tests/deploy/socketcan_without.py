"""Run by test_socketcan.py in a kernel whose CAN modules are not loaded."""

import pytest

from uptane.errors import LinkFailure
from uptane.shell.can_port import CanSettings, open_can_port
from uptane.shell.checkup import kernel_has_can


def test_a_kernel_without_can_is_said_with_what_to_do() -> None:
    assert not kernel_has_can()
    with pytest.raises(LinkFailure, match=r"this kernel has no CAN .*modprobe can-raw"):
        open_can_port(CanSettings("socketcan", "vcan0"), 1)
