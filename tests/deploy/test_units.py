"""Units, settings and examples that go onto a board, judged by systemd's own tools and by our readers."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
UNITS = sorted(DEPLOY.glob("*/usr/lib/systemd/system/*.service"))
SERVICES = [unit for unit in UNITS if "clock" not in unit.name]
EXPOSURE_MAX = {"marque-primary": 1.8, "marque-primary-clock": 2.0, "marque-secondary": 1.3}
"""Of 10; what is left is the network, and that they run in the host's namespaces of users and processes."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with the units, and with commands that units name."""
    for unit in UNITS:
        target = tmp_path / unit.relative_to(unit.parents[4])
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(unit, target)
    for name in ("marque-primary", "marque-secondary"):
        command = tmp_path / "usr/bin" / name
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text("#!/bin/sh\n")
        command.chmod(0o755)
    return tmp_path


needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line(root: Path, unit: Path) -> None:
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", unit.name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    about = [line for line in (ran.stdout + ran.stderr).splitlines() if unit.name in line]
    assert not about


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_sandbox_is_as_tight_as_it_was(root: Path, unit: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--root={root}", unit.name]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", ran.stdout)
    assert found is not None, ran.stdout + ran.stderr
    assert float(found[1]) <= EXPOSURE_MAX[unit.stem], ran.stdout


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_the_drop_in_for_a_tpm_opens_one_device_and_nothing_else(root: Path, unit: Path) -> None:
    text = (DEPLOY / "systemd/tpm.conf").read_text()
    text = text.replace("@PACKAGE@", unit.stem).replace("@ROLE@", unit.stem.removeprefix("marque-"))
    drop_in = root / f"etc/systemd/system/{unit.name}.d/tpm.conf"
    drop_in.parent.mkdir(parents=True)

    def told(verb: str, lines: str, *options: str) -> str:
        drop_in.write_text(lines)
        command = ["systemd-analyze", verb, *options, f"--root={root}", unit.name]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return ran.stdout + ran.stderr

    verify = ("--man=no", "--recursive-errors=no")
    assert "tpm.conf" not in told("verify", text, *verify)
    assert "tpm.conf" in told("verify", text.replace("DeviceAllow", "DeviceAllowed"), *verify), "it is read"
    assert re.findall(r"^(DeviceAllow|DevicePolicy)=(.*)$", text + unit.read_text(), re.MULTILINE) == [
        ("DeviceAllow", "/dev/tpmrm0 rw"),
        ("DevicePolicy", "closed"),
    ]
    security = told("security", text, "--offline=yes", "--no-pager")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", security)
    assert found is not None
    assert float(found[1]) <= EXPOSURE_MAX[unit.stem] + 0.5, security


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_a_service_is_watched_never_given_up_and_its_own_user(unit: Path) -> None:
    text = unit.read_text()
    for line in (
        "Type=notify",
        "WatchdogSec=60",
        "Restart=always",
        "RestartPreventExitStatus=78",
        "NoNewPrivileges=yes",
    ):
        assert f"\n{line}\n" in text
    assert f"\nUser={unit.stem}\n" in text
    assert "\nProtectSystem=strict\n" in text


def test_only_the_primary_may_use_the_network() -> None:
    families = {
        unit.stem: re.findall(r"^RestrictAddressFamilies=(.*)$", unit.read_text(), re.MULTILINE) for unit in UNITS
    }
    assert families["marque-secondary"] == ["AF_UNIX AF_CAN"]
    assert families["marque-primary-clock"] == ["AF_UNIX"]


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("*/etc/marque/*.toml")), ids=lambda file: file.stem)
def test_the_boards_settings_say_nothing_but_where_the_ecu_is(file: Path) -> None:
    """Whatever else they said would stand above what was provisioned. Comments, once uncommented, are TOML too."""
    assert tomllib.loads(file.read_text()) == {"provisioned": f"/var/lib/marque/{file.stem}"}
    uncommented = re.sub(r"^#(?=\[|[a-z_]+ = )", "", file.read_text(), flags=re.MULTILINE)
    assert len(tomllib.loads(uncommented)) > 2


@pytest.mark.parametrize("file", sorted((DEPLOY / "network").glob("80-*")), ids=lambda file: file.name)
def test_examples_of_networkd_name_what_it_knows(file: Path) -> None:
    parser = configparser.ConfigParser(comment_prefixes=("#",), delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as configparser documents it
    parser.read(file)
    known = {
        "Match": {"Name", "OriginalName"},
        "Link": {"RequiredForOnline", "TransmitQueueLength"},
        "CAN": {"BitRate", "SamplePoint", "DataBitRate", "DataSamplePoint", "FDMode", "RestartSec"},
    }
    for section in parser.sections():
        assert set(parser[section]) <= known[section]


@pytest.mark.parametrize("name", ["command", "preinst", "postinst", "prerm", "postrm"])
def test_scripts_are_shell(name: str, tmp_path: Path) -> None:
    text = re.sub(r"@[A-Z]+@", "word", (DEPLOY / "debian" / name).read_text())
    file = tmp_path / name
    file.write_text(text)
    assert subprocess.run(["sh", "-n", file], capture_output=True, check=False).returncode == 0
    assert "set -e" in text or name == "command"
