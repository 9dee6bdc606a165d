"""Every finding of the doctors, each with what to do: bus, disk, clock, keys, certificate, package, Secondaries."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from primary.shell import config as primary_config
from primary.shell import doctor
from secondary.shell import config as secondary_config
from secondary.shell import doctor as secondary_doctor
from tests.peers.secondary_process import SecondaryProcess
from uptane.link.bus_time import BusSpeed
from uptane.moments import UtcTime
from uptane.shell import checkup, keys, tls
from uptane.shell.can_port import CanSettings
from uptane.shell.checkup import ARPHRD_CAN, CanFacts, Finding, Grade, look_at_can, report, worst

DETAILS = {"state": "ERROR-ACTIVE", "restart_ms": 100, "bittiming": {"bitrate": 500_000}}
CLASSIC = CanSettings("socketcan", "can0", paced=False)
FD = replace(CLASSIC, fd=True, speed=BusSpeed(500_000, 2_000_000))
GOOD = CanFacts(ARPHRD_CAN, up=True, mtu=16, queue=128, details=DETAILS)
FD_GOOD = replace(GOOD, mtu=72, details=DETAILS | {"data_bittiming": {"bitrate": 2_000_000}})


def told(settings: CanSettings, facts: CanFacts | None, *, kernel: bool = True) -> list[Finding]:
    return list(look_at_can(settings, facts, kernel=kernel))


@pytest.mark.parametrize(("settings", "facts"), [(CLASSIC, GOOD), (FD, FD_GOOD), (CLASSIC, FD_GOOD)])
def test_a_bus_as_it_should_be(settings: CanSettings, facts: CanFacts) -> None:
    [finding] = told(settings, facts)
    assert (finding.grade, finding.remedy) == (Grade.GOOD, "")
    assert "500000 bit/s, ERROR-ACTIVE" in finding.text


CAN_CASES: list[tuple[CanSettings, CanFacts | None, Grade, str, str]] = [
    (CLASSIC, None, Grade.BAD, "there is no interface can0", "overlay in config.txt"),
    (CLASSIC, replace(GOOD, kind=1), Grade.BAD, "can0 is no CAN interface", "correct the channel"),
    (CLASSIC, replace(GOOD, up=False), Grade.BAD, "can0 is down", "ip link set can0 up type can bitrate 500000"),
    (FD, GOOD, Grade.BAD, "carries classic frames only", "FDMode=yes"),
    (
        CLASSIC,
        replace(GOOD, details=DETAILS | {"bittiming": {"bitrate": 250_000}}),
        Grade.BAD,
        "runs at 250000 bit/s, the settings say 500000",
        "a wrong rate disturbs every node",
    ),
    (
        FD,
        replace(FD_GOOD, details=DETAILS | {"data_bittiming": {"bitrate": 5_000_000}}),
        Grade.BAD,
        "runs at 5000000 bit/s",
        "a wrong rate",
    ),
    (CLASSIC, replace(GOOD, details=DETAILS | {"state": "BUS-OFF"}), Grade.BAD, "is BUS-OFF", "type can restart"),
    (
        CLASSIC,
        replace(GOOD, details=DETAILS | {"state": "ERROR-PASSIVE"}),
        Grade.DOUBT,
        "nobody acknowledges",
        "is another node on?",
    ),
    (
        CLASSIC,
        replace(GOOD, details=DETAILS | {"restart_ms": 0}),
        Grade.DOUBT,
        "silent for ever",
        "restart-ms 100",
    ),
    (CLASSIC, replace(GOOD, queue=10), Grade.DOUBT, "queues 10 frames", "txqueuelen 128"),
]


@pytest.mark.parametrize("case", CAN_CASES, ids=lambda case: case[3])
def test_a_bus_that_is_not(case: tuple[CanSettings, CanFacts | None, Grade, str, str]) -> None:
    settings, facts, grade, text, remedy = case
    [finding] = told(settings, facts)
    assert finding.grade is grade
    assert text in finding.text
    assert remedy in finding.remedy


def test_a_kernel_without_can() -> None:
    [finding] = told(CLASSIC, GOOD, kernel=False)
    assert (finding.grade, finding.text) == (Grade.BAD, "this kernel has no CAN")
    assert "modprobe can-raw" in finding.remedy


def test_facts_of_an_interface_are_the_kernels(tmp_path: Path) -> None:
    assert checkup.can_facts("can7", tmp_path) is None
    (tmp_path / "can7").mkdir()
    for name, value in (("type", "1"), ("mtu", "1500"), ("tx_queue_len", "10"), ("flags", "0x1003")):
        (tmp_path / "can7" / name).write_text(f"{value}\n")
    assert checkup.can_facts("can7", tmp_path) == CanFacts(1, up=True, mtu=1_500, queue=10, details={})


# ----------------------------------------------------------------------------------------------- disk, clock and keys


def disk(folder: Path, need: int = 0) -> Finding:
    [finding] = checkup.look_at_folder("disk", folder, need, "two slots")
    return finding


def test_a_disk_that_is_full_or_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk(tmp_path / "not/yet/there").grade is Grade.GOOD
    full = disk(tmp_path, 1 << 60)
    assert full.grade is Grade.BAD
    assert "are needed for two slots" in full.text
    assert "make room" in full.remedy
    monkeypatch.setattr(os, "access", lambda *_a, **_k: False)
    assert "may not be written by" in disk(tmp_path).text
    assert "chown -R" in disk(tmp_path).remedy


def test_a_disk_that_is_mounted_read_only() -> None:
    proc = next(
        (path for path in (Path("/sys/kernel"), Path("/proc/sys")) if os.statvfs(path).f_flag & os.ST_RDONLY), None
    )
    if proc is None:
        pytest.skip("nothing is mounted read-only here")
    assert "is mounted read-only" in disk(proc).text
    assert "[paths]" in disk(proc).remedy


def test_a_clock_that_lost_its_time() -> None:
    assert checkup.look_at_clock(UtcTime(10), UtcTime(10), matters=True).grade is Grade.GOOD
    lost = checkup.look_at_clock(UtcTime(0), UtcTime(7_200), matters=True)
    assert (lost.grade, "2 hours behind" in lost.text) == (Grade.BAD, True)
    assert "marque-primary-clock.service" in lost.remedy
    assert checkup.look_at_clock(UtcTime(0), UtcTime(7_200), matters=False).grade is Grade.DOUBT


def test_a_key_that_is_missing_open_to_others_or_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "ecu.pem"
    assert "`enrol` makes one" in checkup.look_at_key(path).remedy
    keys.create(path, None)
    assert checkup.look_at_key(path).grade is Grade.GOOD
    path.chmod(0o644)
    assert "chmod 600" in checkup.look_at_key(path).remedy
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, 65_534, 65_534)
        assert "belongs to user 65534" in checkup.look_at_key(path).text
        assert "chown root" in checkup.look_at_key(path).remedy


def test_a_package_that_is_half_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = tmp_path / "dpkg-query"
    for state, grade in (("installed", Grade.GOOD), ("half-configured", Grade.BAD), ("unpacked", Grade.BAD)):
        query.write_text(f"#!/bin/sh\necho '{state} 0.1.0'\n")
        query.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        [finding] = checkup.look_at_package("marque-primary")
        assert finding.grade is grade
        assert (grade is Grade.GOOD) == (finding.remedy == "")
    query.write_text("#!/bin/sh\nexit 1\n")
    assert list(checkup.look_at_package("marque-primary")) == [], "not a package here"


# -------------------------------------------------------------------------------------------------------- certificate


@pytest.fixture
def gateway(tmp_path: Path) -> primary_config.Config:
    """A Primary's settings beside a certificate that is valid, and for its key."""
    authority, key = tls.Authority.create("fleet"), tls.new_key()
    (tmp_path / "tls").mkdir()
    tls.write_private(tmp_path / "tls/key.pem", key)
    certificate = authority.certify_client(tls.request_for(key), "marque:vehicle:V")
    tls.write_public(tmp_path / "tls/cert.pem", certificate)
    text = """
    vehicle = "V"
    ecu = "gw"
    hardware = "h"
    slot_size = 1000
    director = { address = "localhost:1" }
    time = { address = "localhost:1" }
    image_repository = { address = "localhost:1" }
    image = { filename = "f", length = 0, sha256 = "%s", release_counter = 0 }
    """
    (tmp_path / "config.toml").write_text(text % ("00" * 32))
    (tmp_path / "mapping.toml").write_text('[[mapping]]\npaths = ["**"]\nrepositories = ["director", "image"]\n')
    return primary_config.load(tmp_path / "config.toml")


def certificate(config: primary_config.Config, after_s: int = 0) -> Finding:
    [finding] = doctor.look_at_certificate(config, UtcTime(int(time.time()) + after_s))
    return finding


DAY = 86_400


@pytest.mark.parametrize(
    ("after_s", "grade", "text"),
    [
        (0, Grade.GOOD, "valid until"),
        ((tls.CLIENT_DAYS - 30) * DAY, Grade.DOUBT, "expires on"),
        ((tls.CLIENT_DAYS + 2) * DAY, Grade.BAD, "expired on"),
        (-30 * DAY, Grade.BAD, "is not valid yet"),
    ],
)
def test_a_certificate_and_its_time(gateway: primary_config.Config, after_s: int, grade: Grade, text: str) -> None:
    finding = certificate(gateway, after_s)
    assert finding.grade is grade
    assert text in finding.text
    assert (grade is Grade.GOOD) == (finding.remedy == "")


def test_a_certificate_that_is_damaged_lost_or_for_another_key(gateway: primary_config.Config) -> None:
    gateway.certificate_key.unlink()
    assert "cannot be read" in certificate(gateway).text
    tls.write_private(gateway.certificate_key, tls.new_key())
    assert f"is not for {gateway.certificate_key}" in certificate(gateway).text
    gateway.certificate.write_bytes(b"no certificate")
    assert "is damaged" in certificate(gateway).text
    assert "provision VEHICLE --request" in certificate(gateway).remedy


# -------------------------------------------------------------------------------------------------------------- whole


def test_a_secondary_that_is_well_and_one_that_nobody_lets_update(tmp_path: Path) -> None:
    ecu = SecondaryProcess(tmp_path / "brake")
    config = secondary_config.load(ecu.config)
    findings = list(secondary_doctor.examine(config))
    assert worst(findings) is not Grade.BAD, report(findings)
    (ecu.folder / "interlock").unlink()
    [interlock] = [each for each in secondary_doctor.examine(config) if each.about == "interlock"]
    assert "is not there: not safe" in interlock.text
    [never] = [each for each in secondary_doctor.examine(replace(config, interlock=None)) if each.about == "interlock"]
    assert "never" in never.text
    assert all(each.remedy for each in (interlock, never))


def test_whatever_is_not_good_says_what_to_do() -> None:
    text = report([checkup.good("a", "fine"), checkup.bad("b", "broken", "mend it")])
    assert text.splitlines() == ["ok     a: fine", "bad    b: broken", "       -> mend it"]


def test_the_doctor_of_a_primary_without_settings_says_so(tmp_path: Path) -> None:
    import sys

    command = [sys.executable, "-m", "primary", "doctor", "--config", str(tmp_path / "none.toml")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 78
    assert "cannot be read" in ran.stderr
