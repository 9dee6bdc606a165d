"""Boards that are not as they should be: a process ends with one line that says what to do, never with a traceback."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers.secondary_process import ROOT, SecondaryProcess

pytestmark = pytest.mark.process
NOBODY = 65_534


@pytest.fixture
def ecu(tmp_path: Path) -> SecondaryProcess:
    return SecondaryProcess(tmp_path / "brake")


def refused(ecu: SecondaryProcess, status: int, *, within: tuple[str, ...] = ()) -> str:
    """The one line it ends with; `within` is a command that runs it."""
    command = [*within, *ecu.program, "run", "--config", str(ecu.config)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == status, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if line.startswith("marque-secondary: ")]
    assert len(lines) == 1, ran.stderr
    assert "Traceback" not in ran.stderr
    return lines[0]


def test_no_such_can_interface_or_no_can_at_all(tmp_path: Path) -> None:
    ecu = SecondaryProcess(tmp_path / "brake", socketcan="nocan99")
    line = refused(ecu, 69)
    assert "modprobe can-raw" in line or "is its driver loaded?" in line
    assert "`marque-secondary doctor` tells more" in line


def test_a_key_that_others_may_read(ecu: SecondaryProcess) -> None:
    (ecu.folder / "keys/ecu.pem").chmod(0o644)
    assert "chmod 600" in refused(ecu, 74)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_of_another_user(ecu: SecondaryProcess) -> None:
    os.chown(ecu.folder / "keys/ecu.pem", NOBODY, NOBODY)
    line = refused(ecu, 74)
    assert f"belongs to user {NOBODY}" in line
    assert "chown it" in line


def test_no_key_at_all(ecu: SecondaryProcess) -> None:
    (ecu.folder / "keys/ecu.pem").unlink()
    assert "keys/ecu.pem: No such file" in refused(ecu, 74)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="nothing can be mounted here")
def test_a_disk_that_is_mounted_read_only(ecu: SecondaryProcess) -> None:
    script = f'mount --bind "{ecu.folder}" "{ecu.folder}" && mount -o remount,bind,ro "{ecu.folder}" && exec "$@"'
    line = refused(ecu, 74, within=("unshare", "--mount", "sh", "-c", script, "sh"))
    assert "Read-only file system" in line
    assert "`marque-secondary doctor` tells more" in line


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="nothing can be mounted here")
def test_a_disk_that_is_full(ecu: SecondaryProcess) -> None:
    script = f'mount -t tmpfs -o size=16k none "{ecu.folder}/full" && exec "$@"'
    (ecu.folder / "full").mkdir()
    ecu.config.write_text(ecu.config.read_text() + '\n[paths]\nstate = "full/state"\nslots = "full/slots"\n')
    line = refused(ecu, 74, within=("unshare", "--mount", "sh", "-c", script, "sh"))
    assert "No space left on device" in line


def test_a_time_of_provisioning_that_was_lost(ecu: SecondaryProcess) -> None:
    (ecu.folder / "initial/time").unlink()
    assert "expected the time of provisioning" in refused(ecu, 78)
