"""Debian's packages for an arm64 board: fetched, and unpacked into a folder, with nothing installed on this machine."""

from __future__ import annotations

import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO

ARCHITECTURE = "arm64"
ESSENTIAL = "?and(?essential,?not(?name(^apt$)))"
"""apt believes itself to be; dpkg installs our packages without it."""
PACKAGES = (ESSENTIAL, "usr-is-merged", "systemd-sysv", "udev", "iproute2", "kmod", "python3", "libstdc++6", "dbus")
KERNEL = "linux-image-arm64"
BUSYBOX = "busybox-static"  # of the initramfs
FETCH_S = 300
NOT_UNPACKED = ("./usr/share/man", "./usr/share/doc", "./usr/share/locale", "./usr/share/info", "./usr/lib/udev/hwdb.d")
BOOT_MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "virtio_net", "virtio-rng", "ext4", "crc32c_generic")
MODULES = (*BOOT_MODULES, "autofs4", "kvaser_pci", "can-raw", "can-isotp", "vcan")
MIRROR = "http://deb.debian.org"
SOURCES = f"""deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {MIRROR}/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {MIRROR}/debian-security bookworm-security main
"""


class NoBoardError(Exception):
    """What is missing here, or could not be had."""


class Archive:
    """apt, for another architecture, with nothing of this machine but its keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        (folder / "sources.list").write_text(SOURCES)

    def _ran(self, program: str, *words: str, cwd: Path | None = None) -> str:
        options = {
            "APT::Architecture": ARCHITECTURE,
            "APT::Architectures": ARCHITECTURE,
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
            "Debug::NoLocking": "true",
            "Dir::State": str(self.folder),
            "Dir::State::status": str(self.folder / "status"),
            "Dir::Cache": str(self.folder / "cache"),
            "Dir::Etc::SourceList": str(self.folder / "sources.list"),
            "Dir::Etc::SourceParts": "/nonexistent",
        }
        given = [f"-o{name}={value}" for name, value in options.items()]
        try:
            ran = subprocess.run(
                [program, "-q", *given, *words],
                cwd=cwd or self.folder,
                check=True,
                capture_output=True,
                text=True,
                timeout=FETCH_S,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.CalledProcessError as error:
            raise NoBoardError(f"{program} {' '.join(words)}: {error.stderr.strip()[-500:]}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise NoBoardError(f"{program} {' '.join(words)}: {error}") from error
        return ran.stdout

    def fetch(self) -> tuple[list[Path], Path, Path]:
        """The root's packages, the kernel's and busybox's, as they are in the archive today."""
        self._ran("apt-get", "update")
        newest = re.search(r"Depends: (linux-image-\S+)", self._ran("apt-cache", "depends", KERNEL))
        if newest is None:
            raise NoBoardError(f"{KERNEL} names no kernel")
        # What lies in its cache already apt would not name: so it is asked beside an empty one.
        nothing = self.folder / "nothing"
        (nothing / "partial").mkdir(parents=True, exist_ok=True)
        told = self._ran("apt-get", "install", f"-oDir::Cache::Archives={nothing}", "-qq", "--print-uris", *PACKAGES)
        names = [line.split()[1] for line in told.splitlines() if line.startswith("'")]
        with ThreadPoolExecutor(2) as pool:
            rest = pool.submit(self._ran, "apt-get", "download", newest[1], BUSYBOX, cwd=self.folder / "cache")
            self._ran("apt-get", "install", "-y", "-d", *PACKAGES)
            rest.result()
        (kernel,) = (self.folder / "cache").glob(f"{newest[1]}_*.deb")
        (busybox,) = (self.folder / "cache").glob(f"{BUSYBOX}_*.deb")
        return [self.folder / "cache" / "archives" / name for name in names], kernel, busybox


def unpack(packages: Iterable[Path], root: Path) -> None:
    """Their files, and what dpkg has to know of them: unpacked, and to be configured."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True)
    (info / "format").write_text("1\n")
    (root / "var/lib/dpkg/updates").mkdir()
    (root / "var/lib/dpkg/available").touch()
    with ThreadPoolExecutor(2) as pool:
        stanzas = list(pool.map(lambda package: _unpack(package, root, info), packages))
    (root / "var/lib/dpkg/status").write_text("".join(stanzas))


def _unpack(package: Path, root: Path, info: Path) -> str:
    """One of them; its stanza of dpkg's status."""
    with tarfile.open(fileobj=io.BytesIO(_told("dpkg-deb", "--ctrl-tarfile", str(package)))) as control:
        files = {
            member.name.removeprefix("./"): (file.read(), member.mode)
            for member in control
            if (file := control.extractfile(member)) is not None
        }
    stanza = files.pop("control")[0].decode()
    fields = dict(re.findall(r"^([A-Za-z-]+): (.*)$", stanza, re.MULTILINE))
    name = fields["Package"]
    if fields.get("Multi-Arch") == "same":
        name += f":{fields['Architecture']}"
    for kind, (octets, mode) in files.items():
        (info / f"{name}.{kind}").write_bytes(octets)
        (info / f"{name}.{kind}").chmod(mode & 0o777)
    left_out = [f"--exclude={pattern}" for pattern in NOT_UNPACKED]
    content = _told("dpkg-deb", "--fsys-tarfile", str(package))
    listed = subprocess.run(
        ["tar", "-xv", "--numeric-owner", "--keep-directory-symlink", *left_out, "-C", str(root)],
        input=content,
        check=True,
        capture_output=True,
    ).stdout.decode()
    paths = [line.removeprefix(".").rstrip("/") or "/." for line in listed.splitlines()]
    (info / f"{name}.list").write_text("".join(f"{path}\n" for path in paths))
    return stanza.replace("\n", "\nStatus: install ok unpacked\n", 1).rstrip("\n") + "\n\n"


def _told(*command: str) -> bytes:
    return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout


def kernel_parts(package: Path, root: Path) -> str:
    """The kernel's image, and those modules that this board needs, into `root`; the kernel's version."""
    content = _told("dpkg-deb", "--fsys-tarfile", str(package))
    with tarfile.open(fileobj=io.BytesIO(content)) as files:
        names = files.getnames()
        (version,) = (name.removeprefix("./boot/vmlinuz-") for name in names if name.startswith("./boot/vmlinuz-"))
        paths = {_module(name): name for name in names if name.endswith(".ko")}
        wanted = [name for name in names if "/modules.builtin" in name or name.endswith("/modules.order")]
        wanted += [paths[name] for name in _in_order(lambda name: files.extractfile(paths[name]), paths, MODULES)]
        for name in [*wanted, f"./boot/vmlinuz-{version}"]:
            target = root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            file = files.extractfile(name)
            assert file is not None
            target.write_bytes(file.read())
    return version


def modules_of(folder: Path) -> list[Path]:
    """The modules below a folder that the initramfs needs, in the order in which they are inserted."""
    paths = {_module(path.name): path for path in folder.rglob("*.ko")}
    return [paths[name] for name in _in_order(lambda name: paths[name].open("rb"), paths, BOOT_MODULES)]


def _module(path: str) -> str:
    return Path(path).stem.replace("_", "-")


def _in_order(opened: Callable[[str], IO[bytes] | None], there: Container[str], names: Iterable[str]) -> list[str]:
    """These modules, and before each of them what it needs; what is not there is built in."""
    order: list[str] = []

    def visit(name: str) -> None:
        if name in order or name not in there:
            return
        file = opened(name)
        assert file is not None
        with file:
            found = re.search(rb"\0depends=([^\0]*)\0", file.read())
        for needed in (found[1].decode() if found else "").split(","):
            visit(_module(needed))
        order.append(name)

    for name in names:
        visit(_module(name))
    return order
