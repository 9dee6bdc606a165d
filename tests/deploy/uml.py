"""A kernel with SocketCAN on a machine that has none: Debian's user-mode Linux, on this file system, without root.

It is fetched into build/ when it is not installed. What it runs is pytest on files of ours: the processes in it see the
same folders, and vcan0 (classic) and vcan1 (FD) beside them.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "user-mode-linux"
FOLDER = ROOT / "build" / "uml"
FETCH_S = 120
MODULES = ("net/can/can", "net/can/can-raw", "net/can/can-bcm", "drivers/net/can/dev/can-dev", "drivers/net/can/vcan")
FINIT_MODULE = 313  # of x86-64, which is what Debian builds it for

# insmod is not on every machine, but the call is a line of Python.
INSERT = f"""
import ctypes, sys
for path in sys.argv[1:]:
    with open(path) as module:
        assert ctypes.CDLL(None).syscall({FINIT_MODULE}, module.fileno(), b"", 0) == 0, path
"""
INIT = """#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/nonexistent TMPDIR={tmp} PYTHONPYCACHEPREFIX={pycache}
cd {root}
ip link set lo up
pytest="{python} -m pytest -q --color=no -p no:cacheprovider -p no:xdist -o junit_family=xunit1"
$pytest --basetemp={tmp}/without {without}
{python} -c '{insert}' {modules}
ip link add vcan0 type vcan && ip link set vcan0 mtu 16 up
ip link add vcan1 type vcan && ip link set vcan1 mtu 72 up
$pytest --basetemp={tmp}/with --junit-xml={tmp}/told.xml {inside}
echo $? > {tmp}/status
echo o > /proc/sysrq-trigger
"""


def kernel() -> Path | None:
    """The root below which usr/bin/linux.uml is; None when it can be had nowhere."""
    for root in (Path("/"), FOLDER):
        if (root / "usr/bin/linux.uml").is_file():
            return root
    if os.uname().machine != "x86_64" or any(shutil.which(name) is None for name in ("apt-get", "dpkg", "ip")):
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        for command in (("apt-get", "download", PACKAGE), ("sh", "-c", f"dpkg -x {PACKAGE}_*.deb .")):
            subprocess.run(
                command, cwd=FOLDER, check=True, capture_output=True, timeout=FETCH_S, stdin=subprocess.DEVNULL
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return FOLDER if (FOLDER / "usr/bin/linux.uml").is_file() else None


def run_inside(root: Path, tmp: Path, files: tuple[Path, Path], *, seconds: int) -> str:
    """Boot, run the first of `files` before there is CAN and the second with it, power off; what was printed."""
    init = tmp / "init"
    init.write_text(
        INIT.format(
            root=ROOT,
            tmp=tmp,
            pycache=ROOT / "build/pycache",
            python=sys.executable,
            insert=INSERT,
            modules=" ".join(str(path) for path in _modules(root)),
            without=files[0],
            inside=files[1],
        )
    )
    init.chmod(0o755)
    words = (
        "mem=512M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        "con=null",
        "con0=null,fd:1",
        "quiet",
    )
    command = [str(root / "usr/bin/linux.uml"), *words, f"init={init}", f"uml_dir={tmp}"]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as machine:
        try:
            told, _ = machine.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(machine.pid, signal.SIGKILL)
            told, _ = machine.communicate()
    return told.decode(errors="replace")


def _modules(root: Path) -> Iterator[Path]:
    for name in MODULES:
        yield next((root / "usr/lib/uml/modules").glob(f"*/kernel/{name}.ko"))
