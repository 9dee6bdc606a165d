"""The packages, installed where they can do no harm: what is in them, what an upgrade keeps, what dpkg is refused."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.targets import TARGETS
from deploy.wheels import pins
from tests.deploy.soft_token import SoftTokens
from tests.deploy.soft_token import why_not as no_token
from tests.deploy.throw_away import NEW, OLD, ROOT, Board, architecture, make, why_not
from tests.peers.secondary_process import SecondaryProcess, firmware, image_of
from tests.peers.workshop import authorise, plugged_in
from tests.shell.primary_site import Site, sites
from tests.shell.repository_process import wait_for

pytestmark = [
    pytest.mark.install,
    pytest.mark.timeout(1_200),
    pytest.mark.xdist_group("install"),
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
]
SITE = "usr/lib/marque/{role}/lib/python3.11/site-packages"
NOT_THERE = {
    "primary": ("secondary", "director", "image_repo", "sim", "rig", "sqlalchemy", "alembic", "pytest"),
    "secondary": ("primary", "director", "image_repo", "sim", "rig", "grpc", "google", "structlog", "uptane/rpc"),
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both packages, each in two versions."""
    out = tmp_path_factory.mktemp("deb")
    for role in ("primary", "secondary"):
        for version in (OLD, NEW):
            make(out, role, version)
    return out


def package(made: Path, role: str, version: str = OLD) -> Path:
    return made / f"marque-{role}_{version}_{architecture()}.deb"


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    board = Board(tmp_path / "root")
    yield board
    shutil.rmtree(board.root)  # 70 MB each


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_a_package_starts_alone_and_carries_its_role_only(made: Path, board: Board, role: str) -> None:
    board.install(package(made, role))
    assert board.state(f"marque-{role}") == f"installed {OLD}"
    site = board.path(SITE.format(role=role))
    assert (site / role).is_dir()
    assert not [name for name in NOT_THERE[role] if (site / name).exists()]
    told = subprocess.run([board.command(role), "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "enrol" in told.stdout
    assert "doctor" in told.stdout
    files = "{m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)}"
    listed = f"import sys, {role}.shell.board, {role}.shell.process; print(*{files}, sep='\\n')"
    loaded = subprocess.run([*board.program(role)[:2], "-c", listed], capture_output=True, text=True, check=True).stdout
    foreign = [line for line in loaded.split() if not line.startswith((str(site), "/usr/lib/python3.11/"))]
    assert not foreign, "modules from elsewhere than the package and Debian's standard library"


NO_NEW_CODE = """
import ctypes, sys
if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0):
    sys.exit(77)
import {role}.shell.board, {role}.shell.process, uptane.shell.keys, uptane.shell.pkcs8
from pathlib import Path
uptane.shell.keys.create(Path(sys.argv[1]), None)
"""


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_it_works_where_no_memory_becomes_executable(made: Path, board: Board, tmp_path: Path, role: str) -> None:
    """The units say MemoryDenyWriteExecute=yes; the kernel's own switch for it (prctl 65) stands in for systemd."""
    board.install(package(made, role))
    command: list[str | Path] = [*board.program(role)[:2], "-c", NO_NEW_CODE.format(role=role), tmp_path / "ecu.pem"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if ran.returncode == 77:
        pytest.skip("this kernel has no such switch (Linux 6.3)")
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "ecu.pem").exists()


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_what_is_installed_belongs_to_root_but_the_state(made: Path, board: Board, role: str) -> None:
    board.install(package(made, role))
    files = [path for path in board.path("usr").rglob("*") if path.lstat().st_uid or path.lstat().st_gid]
    assert not files
    writable = [path for path in board.path("usr").rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert not writable
    state = board.path(f"/var/lib/marque/{role}").stat()
    assert state.st_mode & 0o777 == 0o700
    assert re.search(rf"^marque-{role}:x:{state.st_uid}:", board.path("/etc/passwd").read_text(), re.MULTILINE)
    enabled = board.path(f"/etc/systemd/system/multi-user.target.wants/marque-{role}.service")
    assert enabled.is_symlink()
    assert not board.dpkg("--verify", f"marque-{role}").stdout


def test_before_enrolment_it_says_what_to_do(made: Path, board: Board) -> None:
    board.install(package(made, "secondary"))
    settings = board.path("/etc/marque/secondary.toml")
    settings.write_text(settings.read_text().replace("/var/lib", f"{board.root}/var/lib"))
    os.chown(board.path("/var/lib/marque/secondary"), 0, 0)  # whose it is on a board could not reach this folder
    ran = subprocess.run(
        [*board.program("secondary"), "run", "--config", settings], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 78
    assert "run `enrol --from FOLDER`" in ran.stderr


def test_a_changed_setting_survives_an_upgrade_and_an_unchanged_one_is_renewed(made: Path, board: Board) -> None:
    board.install(package(made, "secondary"))
    settings = board.path("/etc/marque/secondary.toml")
    settings.write_text("provisioned = '/var/lib/marque/secondary' # ours\n")
    board.install(package(made, "secondary", NEW))
    assert "# ours" in settings.read_text()
    assert board.state("marque-secondary") == f"installed {NEW}"
    assert "ours" not in board.path("/usr/bin/marque-secondary").read_text()


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_going_back_is_refused_and_nothing_is_changed(made: Path, board: Board, role: str) -> None:
    board.install(package(made, role, NEW))
    before = board.path(f"/usr/lib/marque/{role}/complete").read_text()
    ran = board.dpkg("-i", package(made, role, OLD))
    assert ran.returncode != 0
    assert f"{OLD} is older and may not read it" in ran.stderr
    assert board.state(f"marque-{role}") == f"installed {NEW}"
    assert board.path(f"/usr/lib/marque/{role}/complete").read_text() == before == f"{NEW}\n"
    assert subprocess.run([board.command(role), "--help"], capture_output=True, check=False).returncode == 0


def test_going_back_is_refused_after_removal_too_and_only_a_purge_forgets(made: Path, board: Board) -> None:
    board.install(package(made, "secondary", NEW))
    state = board.path("/var/lib/marque/secondary")
    (state / "keys").mkdir()
    assert board.dpkg("-r", "marque-secondary").returncode == 0
    assert (state / "keys").is_dir()
    assert not board.path("/usr/lib/marque/secondary").exists()
    ran = board.dpkg("-i", package(made, "secondary", OLD))
    assert ran.returncode != 0
    assert "apt-get purge" in ran.stderr
    assert board.dpkg("-P", "marque-secondary").returncode == 0
    assert not state.exists()
    assert not board.path("/etc/marque/secondary.toml").exists()
    board.install(package(made, "secondary", OLD))


def test_a_half_installed_package_does_not_start_and_says_why(made: Path, board: Board) -> None:
    board.install(package(made, "secondary"))
    ran = board.dpkg("--unpack", package(made, "secondary", NEW))  # and the power fails before it is configured
    assert ran.returncode == 0, ran.stderr
    told = subprocess.run([board.command("secondary"), "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 78
    assert "half installed; run: dpkg --configure -a" in told.stderr
    assert board.dpkg("--configure", "-a").returncode == 0
    assert subprocess.run([board.command("secondary"), "--help"], capture_output=True, check=False).returncode == 0


def says_half_installed(board: Board) -> None:
    told = subprocess.run([board.command("secondary"), "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 78
    assert "half installed; run: dpkg --configure -a, or install it once more" in told.stderr


def works(board: Board) -> None:
    assert board.state("marque-secondary") == f"installed {NEW}"
    told = subprocess.run([board.command("secondary"), "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert not list(board.path("/usr/lib/marque").rglob("*.dpkg-*"))
    assert not board.dpkg("--verify", "marque-secondary").stdout


def test_dpkg_killed_while_it_unpacks(made: Path, board: Board) -> None:
    """Files of two versions lie there, and nothing starts; the state is whole, and installing again ends it."""
    board.install(package(made, "secondary"))
    (board.path("/var/lib/marque/secondary") / "keys").mkdir()
    new = package(made, "secondary", NEW)
    dpkg = subprocess.Popen(board.command_of_dpkg("-i", new), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = board.path("/usr/lib/marque/secondary")
    wait_for(lambda: dpkg.poll() is not None or any(folder.rglob("*.dpkg-new")), tick=0.001)
    dpkg.kill()
    assert dpkg.wait(20) == -signal.SIGKILL, "it was faster than we"
    assert "half-installed" in board.state("marque-secondary")
    says_half_installed(board)
    board.install(new)
    works(board)
    assert (board.path("/var/lib/marque/secondary") / "keys").is_dir()


def test_dpkg_killed_in_postinst(made: Path, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    board.install(package(made, "secondary"))
    shim = tmp_path / "bin/systemd-tmpfiles"  # which postinst calls in its middle, and dpkg's is the process above it
    shim.parent.mkdir()
    shim.write_text('#!/bin/sh\nkill -KILL "$(cut -d" " -f4 "/proc/$PPID/stat")" "$PPID"\n')
    shim.chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", f"{shim.parent}:{os.environ['PATH']}")
        ran = board.dpkg("-i", package(made, "secondary", NEW))
    assert ran.returncode == -signal.SIGKILL
    assert "half-configured" in board.state("marque-secondary")
    says_half_installed(board)
    assert board.dpkg("--configure", "-a").returncode == 0
    works(board)


def test_the_command_says_when_the_distributions_python_is_another(made: Path, board: Board) -> None:
    board.install(package(made, "secondary"))
    python = board.path("/usr/lib/marque/secondary/bin/python3")
    python.unlink()
    python.symlink_to("/usr/bin/python3.99")
    told = subprocess.run([board.command("secondary"), "--help"], capture_output=True, text=True, check=False)
    assert told.returncode == 78
    assert "python3.99 is not there; install the package made for this distribution" in told.stderr


def test_an_upgrade_with_an_update_in_flight(made: Path, board: Board, tmp_path: Path) -> None:
    """Half an image is in the slot when the package is exchanged; the newer one goes on where the older one stopped."""
    board.install(package(made, "secondary"))
    ecu = SecondaryProcess(tmp_path / "brake", program=board.program("secondary"))
    octets = firmware()
    authorise(ecu, octets)
    ecu.start()
    try:
        with plugged_in(ecu) as tester:
            tester.hand_over(ecu)
            tester.client.change_session(2)
            tester.client.start_routine(0xFF00)
            tester.download(0, octets, blocks_max=45)
        assert ecu.stop() == 0  # as prerm has systemd do
        board.install(package(made, "secondary", NEW))
        ecu.start()
        with plugged_in(ecu) as tester:
            reached = tester.status().next_offset
            assert reached > 100_000
            tester.hand_over(ecu)
            tester.client.change_session(2)
            tester.deliver(reached, octets[reached:])
            tester.check(0)
            tester.client.ecu_reset(1)
            assert tester.released(ecu).image.sha256 == image_of(octets, 2).sha256
    finally:
        ecu.stop()


@pytest.mark.skipif(no_token() is not None, reason=str(no_token()))
def test_a_token_is_used_with_debians_pykcs11_and_without_it_the_command_says_so(
    made: Path, board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board.install(package(made, "secondary"))
    tokens = SoftTokens(tmp_path / "softhsm", monkeypatch)
    tokens.make("brake")
    settings = tmp_path / "secondary.toml"
    (tmp_path / "ecu").mkdir()
    settings.write_text(f'provisioned = "{tmp_path}/ecu"\n' + tokens.table("brake"))
    command = [*board.program("secondary"), "enrol", "--config", str(settings), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["public_key"].startswith("ed25519 ")
    assert not list(tmp_path.rglob("ecu.pem"))
    (board.path(SITE.format(role="secondary")) / "PyKCS11").unlink()  # leads nowhere on a board without it
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 78
    assert "apt-get install python3-pykcs11" in ran.stderr


UNTIL = """
import json, os, signal, sys
from uptane.shell.files import Store
written = Store.write
def write(store, name, octets):
    written(store, name, octets)
    if name == "transaction" and ((json.loads(octets).get("journal") or {}).get("stage") == sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
Store.write = write
from pathlib import Path
from primary.shell.process import run_resident
sys.exit(run_resident(Path(sys.argv[2]), None))
"""
"""A Primary that ends as soon as its journal says so: harder than by SIGTERM, with which prerm has it stopped."""

STAGES = ("preparing", "activating", "on trial", "committing", "releasing", "rolling back")
BACK = {"on trial", "rolling back"}  # what has not voted before the power went is not trusted


def test_an_upgrade_of_a_primary_with_its_transaction_open(made: Path, board: Board, tmp_path: Path) -> None:
    """At each stage of the journal: what was decided is done by the newer package, and nothing is left half."""
    board.install(package(made, "primary"))
    with contextlib.ExitStack() as stack:
        served = {stage: stack.enter_context(contextlib.contextmanager(sites)(tmp_path / stage)) for stage in STAGES}
        for stage, command in (("rolling back", "false"), ("on trial", "kill -KILL $PPID")):
            words = json.dumps(["sh", "-c", command])
            served[stage].edit("[gate]", f"[self_test]\ncommand = {words}\n[gate]")
        wanted = {stage: site.assign() for stage, site in served.items()}
        for stage, site in served.items():
            ran = subprocess.run(
                [*board.program("primary")[:2], "-c", UNTIL, stage, site.config],
                capture_output=True, text=True, check=False, timeout=60,
            )  # fmt: skip
            assert ran.returncode == -signal.SIGKILL, ran.stderr
            at = "activating" if stage == "on trial" else stage
            assert status(board, site)["transaction"]["stage"] == at
        served["on trial"].edit("kill -KILL $PPID", "true")
        board.install(package(made, "primary", NEW))
        for stage, site in served.items():
            assert once(board, site) == ("ROLLED_BACK" if stage in BACK else "DONE"), stage
            facts, report = status(board, site), site.servers.report
            assert facts["transaction"] is None
            assert report is not None
            assert report.image.filename == facts["image"]
            assert (facts["image"] == wanted[stage]) == (stage not in BACK)
            assert facts["state"] == ("idle" if stage in BACK else "released")


def once(board: Board, site: Site) -> str:
    command = [*board.program("primary"), "once", "--config", str(site.config), "--json"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return str(json.loads(ran.stdout)["result"])


def status(board: Board, site: Site) -> dict[str, Any]:
    command = [*board.program("primary"), "status", "--config", str(site.config), "--json"]
    facts: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    return facts


# ------------------------------------------------------------------------------------------------------ lock files


@pytest.mark.parametrize("role", ["primary", "secondary"])
@pytest.mark.parametrize("name", list(TARGETS))
def test_every_pin_of_the_lock_file_is_carried_or_excused(name: str, role: str) -> None:
    lock, target = ROOT / "requirements" / f"{role}.txt", TARGETS[name]
    locked = set(re.findall(r"^([a-z0-9-]+)==", lock.read_text(), re.MULTILINE))
    carried = dict(pins(lock, target))
    assert locked - carried.keys() == set(target.lent) | set(target.left_out)
    assert all("--hash=sha256:" in text for text in carried.values())
