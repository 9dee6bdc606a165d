"""marque-rig against the C firmware on the emulated board: slcan and console on terminals, power by killing QEMU."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.tools import builds
from tests.rig.board import BoardBench

pytestmark = [pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(1_800)]


@pytest.fixture(params=[False, True], ids=["classic", "fd"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[BoardBench]:
    builds.require()
    made = BoardBench(tmp_path / "rig", fd=request.param)
    made.start()
    yield made
    assert made.stop() == 0, "\n".join(made.lines)


def test_the_firmware_passes_the_suite(bench: BoardBench) -> None:
    """Whole on the classic bus; on FD what differs there."""
    suites = ["update", "loss", "misuse", "timing"] if bench.fd else []
    checked = bench.run("check", str(bench.file), "--json")
    assert checked.returncode == 0, checked.stdout
    ran = bench.run("run", str(bench.file), *suites, "--json", seconds=1_700)
    told = json.loads(ran.stdout)
    failed = [(case["name"], case["message"]) for case in told["cases"] if case["verdict"] in {"failed", "broken"}]
    assert (ran.returncode, failed) == (0, [])
    assert told["skipped"] == 0
    console = "".join(path.read_text() for path in (bench.folder / "report" / "cases").glob("*.console.txt"))
    assert "self-test passed" in console
