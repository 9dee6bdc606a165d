"""Real SocketCAN, in a kernel of its own: what is asserted there is in socketcan_inside.py and socketcan_without.py."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.deploy.uml import kernel, run_tests

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]
HERE = Path(__file__).parent
BOOT_S = 240


def test_in_a_kernel_with_socketcan(tmp_path: Path) -> None:
    root = kernel()
    if root is None:
        pytest.skip("Debian's user-mode-linux can be had nowhere; it is for x86-64")
    without, inside = HERE / "socketcan_without.py", HERE / "socketcan_inside.py"
    told = run_tests(root, tmp_path, inside, without=without, seconds=BOOT_S)
    assert (tmp_path / "status").exists(), told[-4_000:]
    assert (tmp_path / "status").read_text() == "0\n", told[-8_000:]
    assert "1 passed" in told, "in the kernel without CAN"
    suite = ET.parse(tmp_path / "told.xml").getroot()[0]
    assert int(suite.get("tests", "0")) >= 10
    assert (suite.get("failures"), suite.get("errors"), suite.get("skipped")) == ("0", "0", "0")
