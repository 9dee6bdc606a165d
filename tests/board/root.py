"""The disk of an emulated arm64 board: a clean Debian that the board itself has configured, and nothing of ours in it.

`python -m tests.board.root` makes it below build/board, once for each state of these files. What is unpacked is here
(tests.board.packages), and Python compiled; every script of a package runs on the board.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from deploy.targets import PYTHON
from tests.board.packages import Archive, NoBoardError, kernel_parts, modules_of, unpack

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "board"
HERE = Path(__file__).resolve().parent
SIZE_M = 768  # of the disk, in MiB; most of it is free, and none of that is ever stored
CONFIGURE_S = 900
CONFIGURED = "the board is configured"
QEMU = (
    *("qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "768"),
    *("-accel", "tcg,thread=multi", "-nographic", "-nodefaults", "-no-reboot"),
)
WORDS = "console=ttyAMA0 quiet loglevel=4 panic=-1 systemd.show_status=error net.ifnames=0 audit=0 mitigations=off"

INIT = """#!/bin/busybox sh
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod $module; done
/bin/busybox mount -t ext4 -o noatime /dev/vda /new
exec /bin/busybox switch_root /new ${{configure:-/sbin/init}}
"""
SPARED = ("py3compile", "systemd-hwdb", "update-rc.d", "invoke-rc.d")
"""What packages' scripts call and no test can tell from nothing; it would take a third of the time."""
CONFIGURE = f"""#!/bin/sh
export PATH=/usr/sbin:/usr/bin DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true LC_ALL=C HOME=/
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs run /run
mkdir /run/quick; for name in {" ".join(SPARED)}; do ln -s /bin/true /run/quick/$name; done; PATH=/run/quick:$PATH
dpkg="dpkg --force-unsafe-io --force-depends --configure"
$dpkg base-passwd && $dpkg base-files libc6:arm64 mawk perl-base debianutils && $dpkg -a && depmod && echo {CONFIGURED}
rm /configure
sync; echo u > /proc/sysrq-trigger; echo o > /proc/sysrq-trigger; sleep 60
"""
AGENT = """#!/bin/sh
# The test's hand on the board: a line is a command in base64; its status and what it said go back in one line.
port=$(echo /dev/vport*p1)
exec 3<> "$port" <&3 >&3 # it can be opened once
echo hello
while read -r line; do
    printf %s "$line" | base64 -d > /run/command
    said=$(sh /run/command 2>&1 < /dev/null; echo " $?")
    printf %s "$said" | base64 -w0
    echo
done
"""
AGENT_UNIT = """[Unit]
DefaultDependencies=no
After=local-fs.target
[Service]
ExecStart=/usr/local/sbin/agent
Restart=always
StandardError=journal
[Install]
WantedBy=sysinit.target
"""
ETHERNET = """[Match]
Name=eth0
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
FILES = {
    "etc/hostname": "board\n",
    "etc/hosts": "127.0.0.1 localhost board\n",
    "etc/fstab": "/dev/vda / ext4 noatime 0 0\n",
    "etc/systemd/network/10-ethernet.network": ETHERNET,
    "etc/systemd/system/agent.service": AGENT_UNIT,
    "etc/systemd/system.conf.d/board.conf": "[Manager]\nDefaultTimeoutStartSec=300\n",
    "usr/local/sbin/agent": AGENT,
    "configure": CONFIGURE,
}
MASKED = (
    *("getty.target", "e2scrub_reap.service", "systemd-logind.service", "systemd-update-utmp-runlevel.service"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount"),
)


@dataclass(frozen=True, slots=True)
class Made:
    """What a board boots: kernel, initramfs, and a disk that nobody writes to any more."""

    kernel: Path
    initramfs: Path
    disk: Path


def why_not() -> str | None:
    """What is missing here to make a board and run it; None when nothing is."""
    programs = ["apt-get", "apt-cache", "dpkg-deb", "mke2fs", "qemu-system-aarch64", "qemu-img"]
    if os.geteuid() != 0:
        programs.append("fakeroot")
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in programs if shutil.which(name, path=path) is None]
    return f"not installed: {', '.join(missing)}; see tests/board/tools.sh" if missing else None


def made() -> Made:
    """The board's parts, made when they are not there.

    Raises:
        NoBoardError: something could not be had; the text says what.
    """
    files = (HERE / "root.py", HERE / "packages.py")
    key = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = FOLDER / f"root-{key}"
    if not folder.exists():
        for old in FOLDER.glob("root-*"):
            shutil.rmtree(old)
        words = [sys.executable, "-m", "tests.board.root", str(folder)]
        owner = [] if os.geteuid() == 0 else ["fakeroot"]
        ran = subprocess.run([*owner, *words], cwd=ROOT, capture_output=True, text=True, check=False)
        if ran.returncode:
            raise NoBoardError(ran.stderr[-2_000:])
    return Made(folder / "kernel", folder / "initramfs", folder / "disk.qcow2")


def make(folder: Path) -> None:
    """Make them anew in `folder`, and say how long each step took."""
    begun = monotonic()
    work = folder.with_name(f"unfinished-{folder.name}")
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    packages, kernel, busybox = Archive(FOLDER / "archive").fetch()
    begun = _say("fetched", begun)
    root = work / "root"
    unpack(packages, root)
    version = kernel_parts(kernel, root)
    (root / "boot" / f"vmlinuz-{version}").rename(work / "kernel")
    _settings(root)
    _compile(root)
    unpack([busybox], work / "busybox")
    (work / "initramfs").write_bytes(_initramfs(root, version, work / "busybox" / "usr/bin/busybox"))
    begun = _say("unpacked", begun)
    disk = work / "disk.raw"
    _run("mke2fs", "-q", "-t", "ext4", "-E", "lazy_itable_init=0", "-d", root, disk, f"{SIZE_M}M")
    begun = _say("written", begun)
    _configure(work)
    _run("qemu-img", "convert", "-O", "qcow2", disk, work / "disk.qcow2")
    _say("configured", begun)
    for path in (root, work / "busybox"):
        shutil.rmtree(path)
    disk.unlink()
    work.rename(folder)


def _say(what: str, begun: float) -> float:
    now = monotonic()
    print(f"board: {what}: {now - begun:.1f} s", flush=True)
    return now


def _settings(root: Path) -> None:
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    units = root / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    (units / "sysinit.target.wants").mkdir(exist_ok=True)
    (units / "sysinit.target.wants/agent.service").symlink_to("/etc/systemd/system/agent.service")
    (root / "var/lib/dpkg/status-old").touch()


def _compile(root: Path) -> None:
    """Debian's Python, for it: emulated, the same takes minutes. With another Python here that is what happens."""
    if sys.version_info[:2] != PYTHON:
        return
    library = f"usr/lib/python{PYTHON[0]}.{PYTHON[1]}"
    previous, sys.pycache_prefix = sys.pycache_prefix, None
    try:
        compileall.compile_dir(
            root / library,
            quiet=2,
            workers=2,
            invalidation_mode=py_compile.PycInvalidationMode.TIMESTAMP,
            stripdir=str(root),
            prependdir="/",
        )
    finally:
        sys.pycache_prefix = previous
    by_board = f"/usr/bin/python{PYTHON[0]}.{PYTHON[1]} -E -S /{library}/py_compile.py $files"
    for script in (root / "var/lib/dpkg/info").glob("python3.*.postinst"):
        script.write_text(script.read_text().replace(by_board, "true"))


def _initramfs(root: Path, version: str, busybox: Path) -> bytes:
    """Enough to mount the disk."""
    modules = [*modules_of(root / "lib/modules" / version)]
    files = {f"lib/{path.name}": path.read_bytes() for path in modules}
    files["bin/busybox"] = busybox.read_bytes()
    files["init"] = INIT.format(modules=" ".join(f"/lib/{path.name}" for path in modules)).encode()
    entries = [(name, 0o040755, b"") for name in ("bin", "dev", "lib", "new")]
    entries += [(name, 0o100755, octets) for name, octets in files.items()]
    return b"".join(_entry(*entry) for entry in [*entries, ("TRAILER!!!", 0, b"")])


def _entry(name: str, mode: int, octets: bytes) -> bytes:
    """One file in the form of cpio that the kernel reads (`newc`)."""
    numbers = (0, mode, 0, 0, 1, 0, len(octets), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + octets + bytes(-len(octets) % 4)


def _configure(work: Path) -> None:
    """Boot it, and let dpkg run the scripts of its packages."""
    log = work / "configure.log"
    command = [
        *QEMU,
        *("-kernel", work / "kernel", "-initrd", work / "initramfs", "-append", f"{WORDS} configure=/configure"),
        *("-drive", f"file={work / 'disk.raw'},format=raw,if=virtio,cache=unsafe"),
        *("-serial", f"file:{log}"),
    ]
    subprocess.run([str(word) for word in command], check=True, timeout=CONFIGURE_S, stdin=subprocess.DEVNULL)
    said = log.read_text(errors="replace")
    if CONFIGURED not in said:
        raise NoBoardError(f"dpkg on the board did not end well:\n{said[-1_500:]}")


def _run(*command: str | Path) -> None:
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, env=os.environ | {"PATH": path})


if __name__ == "__main__":
    make(Path(sys.argv[1]))
