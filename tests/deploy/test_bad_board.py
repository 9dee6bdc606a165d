"""Boards that are not as they should be: a process ends with one line that says what to do, never with a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.secondary_process import ROOT, SecondaryProcess
from tests.shell.primary_site import Site, sites
from uptane.errors import StorageFailure
from uptane.shell import tls, tls_client

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


# ----------------------------------------------------------------------------------------------------------- a Primary


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    yield from sites(tmp_path)


def primary(site: Site, verb: str, *words: str, within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*(within or (sys.executable, "-m", "primary")), verb, "--config", str(site.config), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


def primary_refused(site: Site, status: int, *, within: tuple[str, ...] = ()) -> str:
    """The one line a service would end with."""
    ran = primary(site, "run", within=within)
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr
    [line] = [line for line in ran.stderr.splitlines() if line.startswith("marque-primary: ")]
    return line


def diagnosed(site: Site, about: str, *, within: tuple[str, ...] = ()) -> dict[str, Any]:
    """What its doctor finds there, which is not good and has a remedy."""
    found = json.loads(primary(site, "doctor", "--json", within=within).stdout)
    finding: dict[str, Any] = next(each for each in found if each["about"] == about)
    assert finding["grade"] == "bad"
    assert finding["remedy"]
    return finding


def test_a_primarys_key_that_others_may_read(site: Site) -> None:
    (site.folder / "keys/ecu.pem").chmod(0o640)
    assert "chmod 600" in primary_refused(site, 74)
    assert "chmod 600" in diagnosed(site, "key")["remedy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_primarys_key_of_another_user(site: Site) -> None:
    os.chown(site.folder / "keys/ecu.pem", NOBODY, NOBODY)
    line = primary_refused(site, 74)
    assert f"belongs to user {NOBODY}" in line
    assert "chown" in diagnosed(site, "key")["remedy"]


def test_a_key_of_the_certificate_that_others_may_read(site: Site) -> None:
    (site.folder / "tls/key.pem").chmod(0o644)
    assert "chmod 600" in primary_refused(site, 74)
    assert "chmod 600" in diagnosed(site, "certificate")["text"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_key_of_the_certificate_that_the_service_may_not_read(site: Site) -> None:
    os.seteuid(NOBODY)
    try:
        with pytest.raises(StorageFailure, match=rf"may not be read by the user who runs this \({NOBODY}\); chown it"):
            tls_client.read_private(site.folder / "tls/key.pem")
    finally:
        os.seteuid(0)


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="nothing can be mounted here")
def test_a_primarys_disk_that_is_mounted_read_only(site: Site) -> None:
    script = f'mount --bind "{site.folder}" "{site.folder}" && mount -o remount,bind,ro "{site.folder}" && exec "$@"'
    within = ("unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "primary")
    line = primary_refused(site, 74, within=within)
    assert "Read-only file system" in line
    assert "`marque-primary doctor` tells more" in line
    assert "writable" in diagnosed(site, "disk, state", within=within)["remedy"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="nothing can be mounted here")
def test_a_primarys_disk_that_is_full(site: Site) -> None:
    (site.folder / "full").mkdir()
    site.config.write_text(site.config.read_text() + '\n[paths]\nstate = "full/state"\nslots = "full/slots"\n')
    script = f'mount -t tmpfs -o size=16k none "{site.folder}/full" && exec "$@"'
    within = ("unshare", "--mount", "sh", "-c", script, "sh", sys.executable, "-m", "primary")
    assert "No space left on device" in primary_refused(site, 74, within=within)
    assert "make room" in diagnosed(site, "disk, state", within=within)["remedy"]


def test_a_certificate_that_has_expired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is updated and nothing lost: it waits for the server as for any other, and doctor says why."""
    monkeypatch.setattr(tls, "CLIENT_DAYS", 0)
    with contextlib.contextmanager(sites)(tmp_path) as site:
        site.assign()
        ran = primary(site, "once", "--json")
        assert ran.returncode == 69, ran.stdout
        assert site.servers.report is None
        finding = diagnosed(site, "certificate")
        assert " expired on " in finding["text"]
        assert "marque-director provision VEHICLE --request" in finding["remedy"]


def test_a_board_that_boots_in_1970_still_updates(site: Site) -> None:
    (site.folder / "clock").write_text("= 600")
    within = (sys.executable, "-m", "tests.system.skewed_clock", str(site.folder / "clock"), "primary")
    filename = site.assign()
    ran = primary(site, "once", "--json", within=within)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["result"] == "DONE"
    assert site.servers.report is not None
    assert site.servers.report.image.filename == filename
    finding = diagnosed(site, "clock", within=within)
    assert "hours behind what this ECU has seen" in finding["text"]
    assert "marque-primary-clock.service" in finding["remedy"]
