"""`python -m demo` as a stranger runs it: in a folder of its own, to the end, leaving nothing behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from demo.attacks import ATTACKS, Scene
from demo.images import ECUS
from demo.story import _refused as refused_rows
from tests.peers.secondary_process import firmware
from tests.system.conftest import Road
from tests.system.debian import microbit_firmware
from tests.system.fleet import ROOT, Fleet, wait_for

pytestmark = [pytest.mark.system, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(600)]

MARK = "MARQUE_TEST_RUN"  # in the environment of a run, and of whatever it starts
REFUSED_BY = {
    "foreign-targets": ("brake", "SPEAKER"),
    "forged-targets": ("brake", "TARGETS_SIGNATURES"),
    "old-targets": ("brake", "TARGETS_VERSION"),
    "truncated-targets": ("body", "ENCODING"),
    "forged-order": ("body", "ORDER_SIGNATURE"),
    "borrowed-time": ("body", "TIME_NONCE"),
    "moving-vehicle": ("brake", "LINK_INTERLOCK"),
    "unassigned-image": ("brake", "INSTALL_STATE"),
    "swapped-image": ("telematics", "INSTALL_HASH"),
}
IN_A_WHOLE_DEMO = {"old-targets", "swapped-image"}  # they belong to the update; the others are played beside one fleet


@dataclass
class Run:
    """One run of the demo in `folder`, which holds nothing else."""

    folder: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start it; homes and temporary folders are its own, and ought to stay empty."""
        for name in ("home", "tmp", "here"):
            (self.folder / name).mkdir(parents=True)
        own = {"PYTHONPATH": str(ROOT), "HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp")}
        environment = os.environ | own | {MARK: self.mark, "COLUMNS": "200"}
        command = [sys.executable, "-m", "demo", *arguments]
        return subprocess.Popen(
            command, cwd=self.here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run it to the end: exit status, and what it said."""
        with self.start(*arguments) as process:
            said, _ = process.communicate()
        self.assert_nothing_left()
        return process.returncode, said

    @property
    def here(self) -> Path:
        return self.folder / "here"

    @property
    def demo(self) -> Path:
        return self.here / "build" / "demo"

    def report(self) -> dict[str, Any]:
        report: dict[str, Any] = json.loads((self.demo / "report.json").read_text())
        return report

    def still_running(self) -> dict[int, str]:
        """Processes that were started by this run, however far they have moved away from it: number, command line."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdecimal():
                continue
            try:
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                line = (folder / "cmdline").read_bytes()
            except OSError:
                continue  # it has ended, or is not ours
            if marked and line:
                found[int(folder.name)] = line.replace(b"\0", b" ").decode(errors="replace")
        return found

    def assert_nothing_left(self) -> None:
        assert not self.still_running()
        assert {path.name for path in self.here.iterdir()} <= {"build"}
        assert not list((self.folder / "home").iterdir())
        assert not list((self.folder / "tmp").iterdir())


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Run]:
    yield (run := Run(tmp_path))
    left = run.still_running()
    for process in left:
        os.kill(process, signal.SIGKILL)
    assert not left


def assert_complete(report: dict[str, Any]) -> None:
    """The report has the promised shape, and every ECU is proven."""
    assert set(report) == {"vehicle", "ecus", "bus", "seconds", "refused"}
    assert {row["ecu"] for row in report["ecus"]} == {"telematics", "brake", "body", "camera"}
    for row in report["ecus"]:
        assert set(row) >= {"ecu", "hardware", "verification", "before", "assigned", "after", "proven"}
        assert row["proven"] is True
        assert row["before"] != row["assigned"] == row["after"]
    verification = {row["ecu"]: row["verification"] for row in report["ecus"]}
    assert verification == {"telematics": "full", "brake": "partial", "body": "partial", "camera": "full"}
    assert {bus["name"] for bus in report["bus"]} == {"chassis", "backbone"}
    assert all(bus["frames"] > 0 and bus["octets"] > 0 for bus in report["bus"])
    assert all(seconds >= 0 for seconds in report["seconds"].values())


# ------------------------------------------------------------------------------------------------------ whole runs


def test_every_ecu_is_proven(demo: Run) -> None:
    status, said = demo.run("--fast")
    assert status == 0, said
    assert_complete(demo.report())
    assert demo.report()["refused"] == []
    assert "Proven" in said
    assert "what signed, confirmed reports prove" in said


def test_a_swapped_image_is_refused_by_the_primary(demo: Run) -> None:
    status, said = demo.run("--fast", "--attack", "swapped-image")
    assert status == 0, said
    assert_complete(demo.report())
    assert REFUSED_BY["swapped-image"] in refused(demo.report())
    assert "Refused, as the Director learned it" in said


def test_real_firmware_and_replayed_targets(demo: Run) -> None:
    """A person's own image of at least 200 kB for the brake; then the Targets it left the factory with."""
    image = microbit_firmware()
    if image is None:
        print("no firmware-microbit-micropython to be had: an image of our own")
        image = demo.folder / "firmware.bin"
        image.write_bytes(firmware(220_000))
    octets = image.read_bytes()
    assert len(octets) >= 200_000
    status, said = demo.run("--fast", "--images", f"brake={image}", "--attack", "old-targets")
    assert status == 0, said
    assert_complete(demo.report())
    assert REFUSED_BY["old-targets"] in refused(demo.report())
    slots = [file.read_bytes()[: len(octets)] for file in (demo.demo / "vehicle" / "brake" / "slots").glob("slot*.bin")]
    assert octets in slots


def refused(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["by"], row["check"]) for row in report["refused"]}


# --------------------------------------------------------------------------------------------------------- attacks


def test_every_attack_is_listed_here() -> None:
    assert ATTACKS.keys() == REFUSED_BY.keys()
    assert ATTACKS.keys() >= IN_A_WHOLE_DEMO


@pytest.mark.parametrize("name", sorted(REFUSED_BY.keys() - IN_A_WHOLE_DEMO))
def test_attack(road: Road, name: str) -> None:
    """The Director learns from the attacked ECU's own report which check refused it, and how often."""
    with road.trip() as (fleet, _):
        scene = Scene(fleet.world, print)
        before = _times(fleet, REFUSED_BY[name])
        ATTACKS[name].play(scene)
        wait_for(lambda: _times(fleet, REFUSED_BY[name]) > before, f"the Director learns of {name}")
        ATTACKS[name].mend(scene)
        assert fleet.runs(road.release)


def _times(fleet: Fleet, by_check: tuple[str, str]) -> int:
    rows = [row for row in refused_rows(fleet.vehicle_status()) if (row["by"], row["check"]) == by_check]
    return int(rows[0]["detail"].removesuffix(" x")) if rows else 0


# ------------------------------------------------------------------------------------------------ wrong words, ends


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--images", "brake"], "'brake' is not ECU=FILE"),
        (["--images", "wheel=pyproject.toml"], "with one of the ECUs telematics, brake, body, camera"),
        (["--images", "brake=/no/such/file"], "/no/such/file is not a file"),
        (["--images", "brake=."], ". is not a file"),
        (["--images", "brake=/dev/null"], "is not a file"),
        (["--images", "brake=empty"], "must have 1 to"),
        (["--images", "[/red]=pyproject.toml"], "'[/red]=pyproject.toml' is not ECU=FILE"),
        (["--attack", "[/red]"], "There is no attack '[/red]'"),
        (["--attack", "nonsense"], "There is no attack 'nonsense'"),
        (["--attack", "nonsense"], "swapped-image"),
        (["--quick"], "unrecognized arguments: --quick"),
        (["brake=x"], "unrecognized arguments: brake=x"),
    ],
)
def test_wrong_words(tmp_path: Path, arguments: list[str], text: str) -> None:
    (tmp_path / "empty").write_bytes(b"")
    before = tmp_path / "build" / "demo" / "report.json"
    before.parent.mkdir(parents=True)
    before.write_text("of an earlier run")
    command = [sys.executable, "-m", "demo", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    told = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert told.returncode == 2
    assert text in " ".join((told.stdout + told.stderr).split())
    assert "Traceback" not in told.stderr
    assert before.read_text() == "of an earlier run"


def test_attacks_are_listed(tmp_path: Path) -> None:
    status, said = Run(tmp_path).run("--attack", "list")
    assert status == 0
    assert all(name in said for name in REFUSED_BY)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_stopped_in_the_middle_it_leaves_nothing_running(demo: Run, number: signal.Signals) -> None:
    with demo.start("--fast") as process:
        wait_for((demo.demo / "image.port").exists, "a server runs")
        assert len(demo.still_running()) >= 2
        process.send_signal(number)
        said, _ = process.communicate(timeout=30)
    assert process.returncode == 1, said
    assert "Traceback" not in said
    demo.assert_nothing_left()
    assert len(ECUS) == 4
