"""The RAUC that boards run, Debian's 1.8, on a bus of our own: our calls, as RAUC itself understands them."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from primary.needs import Mark
from primary.shell.installer import InstallerSettings, Kind
from primary.shell.installer_rauc import Rauc
from tests.deploy.private_bus import Bus
from uptane.errors import Check, Rejected
from uptane.model.ids import Filename
from uptane.model.reports import InstalledImage

pytestmark = pytest.mark.process
NOBODY = 65_534
SYSTEM = """[system]
compatible=marque-test
bootloader=custom
mountprefix={folder}/mnt
statusfile={folder}/status.raucs
[handlers]
bootloader-custom-backend={folder}/boot.sh
[keyring]
path={folder}/cert.pem
[slot.rootfs.0]
device={folder}/a.img
type=raw
bootname=A
[slot.rootfs.1]
device={folder}/b.img
type=raw
bootname=B
"""
BOOTLOADER = """#!/bin/sh
cd {folder}
case "$1" in
get-primary) cat primary 2>/dev/null || echo A ;;
set-primary) echo "$2" >primary ;;
get-state) cat "state.$2" 2>/dev/null || echo good ;;
set-state) echo "$3" >"state.$2" ;;
esac
"""
MANIFEST = "[update]\ncompatible=marque-test\nversion=2\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=root.img\n"


def run(*words: object, **more: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, timeout=60, **more)  # type: ignore[call-overload,no-any-return]


def why_not() -> str:
    """What this machine lacks; nothing if RAUC can mount a bundle here."""
    lacking = [name for name in ("rauc", "mksquashfs", "openssl") if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} missing: firmware/tools/toolchain.sh installs it"
    if os.geteuid() != 0:
        return "only root may mount a bundle"
    tried = subprocess.run(["losetup", "--find"], capture_output=True, text=True, check=False)
    device = tried.stdout.strip()
    if tried.returncode or not os.access(device, os.R_OK | os.W_OK):
        return "no loop device here, which RAUC mounts bundles by"
    return ""


@pytest.fixture
def board(tmp_path: Path) -> Iterator[tuple[Rauc, Bus]]:
    if reason := why_not():
        pytest.skip(reason)
    key = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=fleet/CN=fleet")
    run("openssl", *key, "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem", "-days", "3650")
    (tmp_path / "mnt").mkdir()
    for name in ("a.img", "b.img"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    (tmp_path / "system.conf").write_text(SYSTEM.format(folder=tmp_path))
    (tmp_path / "boot.sh").write_text(BOOTLOADER.format(folder=tmp_path))
    (tmp_path / "boot.sh").chmod(0o755)
    bus = Bus(tmp_path)
    command = ("rauc", "-c", tmp_path / "system.conf", "--override-boot-slot=A", "service")
    environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={bus.socket}"}
    service = subprocess.Popen([str(word) for word in command], env=environment, stderr=subprocess.DEVNULL)
    rauc = Rauc(InstallerSettings(Kind.RAUC, ("rootfs.0", "rootfs.1"), bus.socket, timeout_s=60), tmp_path)
    _await(rauc)
    yield rauc, bus
    service.kill()
    service.wait()
    bus.close()


def _await(rauc: Rauc) -> None:
    """RAUC is on the bus a moment after it was started."""
    for _ in range(100):
        try:
            running = rauc.running()
        except Rejected:
            threading.Event().wait(0.1)
        else:
            assert running == 0
            return
    raise AssertionError("RAUC did not come up")


def bundle(folder: Path, *, signed_by: str = "key.pem") -> tuple[Path, InstalledImage]:
    content, file = folder / "content", folder / "slot1.bin"
    shutil.rmtree(content, ignore_errors=True)
    content.mkdir()
    (content / "root.img").write_bytes(os.urandom(100_000))
    (content / "manifest.raucm").write_text(MANIFEST)
    file.unlink(missing_ok=True)
    if not (folder / signed_by).exists():
        key = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=mallory/CN=mallory")
        run("openssl", *key, "-keyout", folder / signed_by, "-out", folder / f"{signed_by}.cert", "-days", "3650")
        certificate = f"{signed_by}.cert"
    else:
        certificate = "cert.pem"
    run("rauc", "bundle", f"--cert={folder / certificate}", f"--key={folder / signed_by}", content, file)
    os.chown(file, NOBODY, NOBODY)
    file.chmod(0o600)
    octets = file.read_bytes()
    return file, InstalledImage(Filename("primary/app-2"), len(octets), sha256(octets).digest(), 2)


def test_a_bundle_is_installed_selected_and_kept(board: tuple[Rauc, Bus]) -> None:
    rauc, bus = board
    file, image = bundle(bus.folder)
    rauc.check(0, image)  # as the factory's: RAUC has never written it
    rauc.install(1, file, image)
    rauc.check(1, image)
    written = (bus.folder / "content/root.img").read_bytes()
    assert (bus.folder / "b.img").read_bytes()[: len(written)] == written
    assert (bus.folder / "primary").read_text() == "A\n", "selected before it was to be"
    assert file.stat().st_mode & 0o777 == 0o644, "we have to measure it again, whomever it belongs to now"
    rauc.mark(1, Mark.ACTIVE)
    assert (bus.folder / "primary").read_text() == "B\n"
    rauc.mark(0, Mark.GOOD)
    rauc.mark(1, Mark.BAD)
    assert (bus.folder / "state.B").read_text() == "bad\n"


def test_a_bundle_that_another_has_signed(board: tuple[Rauc, Bus]) -> None:
    rauc, bus = board
    file, image = bundle(bus.folder, signed_by="mallory.pem")
    with pytest.raises(Rejected, match="signature verification failed") as refused:
        rauc.install(1, file, image)
    assert refused.value.check is Check.INSTALLER_REFUSED
    assert not any((bus.folder / "b.img").read_bytes())


def test_written_by_hand_since(board: tuple[Rauc, Bus]) -> None:
    rauc, bus = board
    file, image = bundle(bus.folder)
    rauc.install(1, file, image)
    other, second = bundle(bus.folder)
    rauc.install(1, other, second)
    with pytest.raises(Rejected, match="not by us"):
        rauc.check(1, image)
    rauc.check(1, second)
