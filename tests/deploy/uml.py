"""A kernel with SocketCAN on a machine that has none: Debian's user-mode Linux, on this file system, without root.

It is fetched into build/ when it is not installed. The processes in it see the same folders, and vcan0 (classic) and
vcan1 (FD) beside them; its one processor is slower than the host's, most of all at starting processes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "user-mode-linux"
FOLDER = ROOT / "build" / "uml"
FETCH_S = 120
MEMORY_MB = 1_024  # taken of the host as it is touched
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
{before}
{python} -c '{insert}' {modules}
ip link add vcan0 type vcan && ip link set vcan0 mtu 16 up
ip link add vcan1 type vcan && ip link set vcan1 mtu 72 up
{command}
echo $? > {tmp}/status
echo o > /proc/sysrq-trigger
"""
# Of pytest's plugins what these tests need: each module that is imported takes its time there.
PYTEST = (
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 {python} -m pytest -q --color=no --tb=native --noconftest -p pytest_timeout "
    "-p no:cacheprovider -o junit_family=xunit1 --basetemp={tmp}/{name}"
)


def kernel() -> Path | None:
    """The root below which usr/bin/linux.uml is; None when it can be had nowhere."""
    for root in (Path("/"), FOLDER):
        if (root / "usr/bin/linux.uml").is_file():
            return root
    if os.uname().machine != "x86_64" or any(shutil.which(name) is None for name in ("apt-get", "dpkg", "ip")):
        return None
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:  # two workers of pytest may want it at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _fetched()


def _fetched() -> Path | None:
    fetch, lists = ("apt-get", "download", PACKAGE), ("apt-get", "update")
    unpack = ("sh", "-c", f"rm -rf new && dpkg -x {PACKAGE}_*.deb new && mv new/usr usr")  # all of it, or nothing
    for commands in ((fetch, unpack), (lists, fetch, unpack)):  # a machine may have no package lists yet, or old ones
        if (FOLDER / "usr/bin/linux.uml").is_file() or all(map(_works, commands)):
            return FOLDER
    return None


def _works(command: tuple[str, ...]) -> bool:
    try:
        subprocess.run(command, cwd=FOLDER, check=True, capture_output=True, timeout=FETCH_S, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return False
    return True


def run_tests(root: Path, tmp: Path, inside: Path, *, without: Path | None = None, seconds: int) -> str:
    """Boot, run the tests of `without` before there is CAN and those of `inside` with it; what was printed."""
    pytest = partial(PYTEST.format, python=sys.executable, tmp=tmp)
    command = f"{pytest(name='with')} --junit-xml={tmp}/told.xml {inside}"
    before = "" if without is None else f"{pytest(name='without')} {without}"
    return run_inside(root, tmp, command, before=before, seconds=seconds)


def run_inside(root: Path, tmp: Path, command: str, *, before: str = "", seconds: int) -> str:
    """Boot, run `before` without and `command` with CAN, power off; what was printed. Its status is in tmp/status."""
    init = tmp / "init"
    init.write_text(
        INIT.format(
            root=ROOT,
            tmp=tmp,
            pycache=ROOT / "build/pycache",
            python=sys.executable,
            insert=INSERT,
            modules=" ".join(str(path) for path in _modules(root)),
            before=before,
            command=command,
        )
    )
    init.chmod(0o755)
    words = (
        str(root / "usr/bin/linux.uml"),
        f"init={init}",
        f"uml_dir={tmp}",
        f"mem={MEMORY_MB}M",
        "root=/dev/root",
        "rootfstype=hostfs",
        "rootflags=/",
        "rw",
        "con=null",
        "con0=null,fd:1",
        "quiet",
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=pipe, stderr=subprocess.STDOUT, env=_environment(), process_group=0
    ) as machine:
        # Its kernel and what runs in it take turns: on one of the host's processors that costs half as much.
        os.sched_setaffinity(machine.pid, {max(os.sched_getaffinity(0))})
        try:
            told, _ = machine.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(machine.pid, signal.SIGKILL)
            told, _ = machine.communicate()
    return told.decode(errors="replace")


def _environment() -> dict[str, str]:
    """Its memory is a file in TMPDIR: where there is room in memory for it, no disk is to be busy with it."""
    memory = Path("/dev/shm")
    room = os.statvfs(memory) if memory.is_dir() else None
    if room is None or room.f_bavail * room.f_frsize < 2 * MEMORY_MB << 20:
        return dict(os.environ)
    return os.environ | {"TMPDIR": str(memory)}


def _modules(root: Path) -> Iterator[Path]:
    for name in MODULES:
        yield next((root / "usr/lib/uml/modules").glob(f"*/kernel/{name}.ko"))
