"""One package: an environment of its own below /usr/lib/marque, a command, units, settings, and the scripts of dpkg.

The environment is a folder as `python -m venv` makes it, but that it is put together by hand: its Python is a link to
Debian's, so that it can be made for a board on any other machine. Every file has the time of the last commit, so the
same tree makes the same package.
"""

from __future__ import annotations

import compileall
import fcntl
import gzip
import hashlib
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Final

from deploy import wheels
from deploy.targets import DEBIANS, PYTHON, SUGGESTED, Target
from deploy.wheels import DeployError

ROLES: Final[Mapping[str, str]] = {
    "primary": "Primary ECU: verifies in full, downloads, and leads the vehicle's update",
    "secondary": "Secondary ECU: verifies for itself, installs, and reports",
}
SCRIPTS: Final = ("preinst", "postinst", "prerm", "postrm")
SHARED: Final = ("uptane",)
MAINTAINER: Final = "The Marque developers <marque@example.invalid>"
_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644
_DROPPED: Final = ("*/generate.py", "*.asn1", "*.proto")
"""Only those who change the code need them."""
LEXERS: Final = "pygments/lexers"
LEXERS_KEPT: Final = ("__init__.py", "_mapping.py")
"""The other 260 colour programs of many languages; rich imports these two, and nobody here shows it a program."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which package: the role and board it is for, its version, where it goes, and whether it is compressed."""

    role: str
    target: Target
    version: str
    out: Path
    compressed: bool

    @property
    def name(self) -> str:
        """What dpkg calls it."""
        return f"marque-{self.role}"

    @property
    def prefix(self) -> Path:
        """Where its environment is, relative to the root of the board."""
        return Path("usr/lib/marque") / self.role

    @property
    def site(self) -> Path:
        """Where its Python modules are."""
        return self.prefix / "lib" / f"python{PYTHON[0]}.{PYTHON[1]}" / "site-packages"


def make(order: Order, root: Path, build: Path) -> Path:
    """Make the package from the checkout at `root`; everything in between goes below `build`.

    Raises:
        DeployError: something is missing; the text says what.
    """
    if shutil.which("dpkg-deb") is None:
        raise DeployError(
            "dpkg-deb is missing: on Debian and its relatives it is part of the system; elsewhere use a container"
        )
    build.mkdir(exist_ok=True)
    with (build / "deb.lock").open("wb") as alone:  # two would put together one folder; tests are two
        fcntl.flock(alone, fcntl.LOCK_EX)
        return _made(order, root, build)


def _made(order: Order, root: Path, build: Path) -> Path:
    lock = root / "requirements" / f"{order.role}.txt"
    fetched = build / "deb-wheels" / f"{order.role}-{order.target.architecture}"
    tree = build / "deb-tree" / f"{order.name}-{order.target.architecture}"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(_libraries(order, lock, fetched, build), tree, symlinks=True)
    _own_code(order, root, tree)
    _environment(order, tree)
    epoch = _epoch(root)
    _files(order, root / "deploy", tree, epoch)
    _compile([tree / order.site / package for package in (order.role, *SHARED)], tree)
    _control(order, root, tree)
    _settle(tree, epoch)
    return _pack(order, tree, epoch)


def _libraries(order: Order, lock: Path, fetched: Path, build: Path) -> Path:
    """A tree with the unpacked and compiled libraries; made once for each lock file, target and Python."""
    carried = "".join(text for _, text in wheels.pins(lock, order.target)) + sys.version + "".join(LEXERS_KEPT)
    key = hashlib.sha256(carried.encode()).hexdigest()[:12]
    folder = build / "deb-libraries" / f"{order.role}-{order.target.architecture}-{key}"
    if folder.exists():
        return folder
    wheels.fetch(lock, order.target, fetched)
    for old in folder.parent.glob(f"{order.role}-{order.target.architecture}-*"):
        shutil.rmtree(old)
    unfinished = folder.with_name(f"unfinished-{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    (unfinished / order.site).mkdir(parents=True)
    wheels.unpack(lock, order.target, fetched, unfinished / order.site)
    shutil.rmtree(unfinished / order.site / "bin", ignore_errors=True)  # commands of the libraries
    for module in (unfinished / order.site / LEXERS).glob("*.py"):
        if module.name not in LEXERS_KEPT:
            module.unlink()
    _compile([unfinished / order.site], unfinished)
    unfinished.rename(folder)
    return folder


def _own_code(order: Order, root: Path, tree: Path) -> None:
    """The role's package and what it shares with others; of a Secondary nothing that speaks gRPC."""
    site = tree / order.site
    unwanted = ["__pycache__", *(["rpc"] if order.role == "secondary" else [])]
    for package in (order.role, *SHARED):
        shutil.copytree(root / package, site / package, ignore=shutil.ignore_patterns(*unwanted))
    for pattern in _DROPPED:
        for path in site.glob(f"uptane/**/{pattern.removeprefix('*/')}"):
            path.unlink()


def _environment(order: Order, tree: Path) -> None:
    version = f"{PYTHON[0]}.{PYTHON[1]}"
    folder = tree / order.prefix
    _write(folder / "pyvenv.cfg", f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {version}\n")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(f"/usr/bin/python{version}")
    for _, module in order.target.lent.values():
        (tree / order.site / module).symlink_to(DEBIANS / module)
    for module in SUGGESTED.values():
        (tree / order.site / module).symlink_to(DEBIANS / module)  # leads nowhere until it is installed


def _files(order: Order, deploy: Path, tree: Path, epoch: int) -> None:
    """Units, settings, the command, and what else a board is given."""
    shutil.copytree(deploy / order.role, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    command = tree / "usr" / "bin" / order.name
    _write(command, _filled(order, (deploy / "debian" / "command").read_text(encoding="utf-8")), _EXECUTABLE)
    examples = tree / "usr" / "share" / "doc" / order.name / "examples"
    shutil.copytree(deploy / "network", examples / "network")
    drop_in = (deploy / "systemd" / "tpm.conf").read_text(encoding="utf-8")
    _write(examples / "systemd" / "tpm.conf", _filled(order, drop_in))
    shutil.copy(deploy / "debian" / "copyright", examples.parent)
    _write_changelog(order, examples.parent / "changelog.gz", epoch)


def _write_changelog(order: Order, file: Path, epoch: int) -> None:
    """Debian's form of it, which names the version; what has changed stands in the project's own."""
    when = formatdate(epoch)
    text = (
        f"{order.name} ({order.version}) stable; urgency=medium\n\n  * See CHANGELOG.md.\n\n -- {MAINTAINER}  {when}\n"
    )
    file.write_bytes(gzip.compress(text.encode(), mtime=0))


def _compile(folders: Sequence[Path], tree: Path) -> None:
    """Compiled ahead, as a board's service may not write there; judged by hash alone, as all files have one time.

    Another Python than the boards' cannot: then they compile at each start, and take longer to.
    """
    if sys.version_info[:2] != PYTHON:
        return
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    previous, sys.pycache_prefix = sys.pycache_prefix, None
    try:
        for folder in folders:
            done = compileall.compile_dir(
                folder, quiet=2, force=True, invalidation_mode=mode, stripdir=str(tree), prependdir="/"
            )
            if not done:
                raise DeployError(f"some module of {folder.name} does not compile")
    finally:
        sys.pycache_prefix = previous


def _control(order: Order, root: Path, tree: Path) -> None:
    debian = root / "deploy" / "debian"
    octets = sum(path.lstat().st_size for path in tree.rglob("*") if not path.is_dir())
    low, high = f"{PYTHON[0]}.{PYTHON[1]}", f"{PYTHON[0]}.{PYTHON[1] + 1}"
    depends = [
        f"python3 (>= {low}~)",
        f"python3 (<< {high}~)",
        "libc6 (>= 2.36)",
        "libgcc-s1",
        "libstdc++6",
        "init-system-helpers (>= 1.54~)",
        "systemd",
        *(package for package, _ in order.target.lent.values()),
    ]
    fields = {
        "Package": order.name,
        "Version": order.version,
        "Architecture": order.target.architecture,
        "Maintainer": MAINTAINER,
        "Installed-Size": str(-(-octets // 1024)),
        "Depends": ", ".join(depends),
        "Recommends": "iproute2",
        "Suggests": ", ".join(SUGGESTED),
        "Section": "net",
        "Priority": "optional",
        "Description": f"Marque, over-the-air updates for vehicles: {order.role}\n {ROLES[order.role]},\n"
        " after the Uptane Standard 2.1.0, over UDS on CAN. Brings its own Python\n modules, pinned; uses no others.",
    }
    _write(tree / "DEBIAN" / "control", "".join(f"{key}: {value}\n" for key, value in fields.items()))
    conffiles = sorted(path for path in (tree / "etc").rglob("*") if path.is_file())
    _write(tree / "DEBIAN" / "conffiles", "".join(f"/{path.relative_to(tree)}\n" for path in conffiles))
    units = " ".join(sorted(path.name for path in (tree / "usr/lib/systemd/system").iterdir()))
    for script in SCRIPTS:
        _write(
            tree / "DEBIAN" / script, _filled(order, (debian / script).read_text(encoding="utf-8"), units), _EXECUTABLE
        )
    _write(tree / "DEBIAN" / "md5sums", "".join(_sums(tree)))


def _sums(tree: Path) -> Iterator[str]:
    """What `dpkg --verify` compares with."""
    for path in sorted(tree.rglob("*")):
        inside = path.relative_to(tree)
        if path.is_file() and not path.is_symlink() and inside.parts[0] not in {"DEBIAN", "etc"}:
            yield f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  {inside}\n"


def _filled(order: Order, text: str, units: str = "") -> str:
    words = {
        "@UNITS@": units,
        "@PACKAGE@": order.name,
        "@ROLE@": order.role,
        "@VERSION@": order.version,
        "@PREFIX@": f"/{order.prefix}",
    }
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _settle(tree: Path, epoch: int) -> None:
    """Modes and times that do not depend on who makes the package, or when."""
    for path in tree.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.parent.name == "bin" or path.name in SCRIPTS
            path.chmod(_EXECUTABLE if executable else _PLAIN)
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def _epoch(root: Path) -> int:
    ran = subprocess.run(["git", "-C", root, "log", "-1", "--format=%ct"], check=False, capture_output=True, text=True)
    return int(ran.stdout) if ran.returncode == 0 else int((root / "pyproject.toml").stat().st_mtime)


def _pack(order: Order, tree: Path, epoch: int) -> Path:
    order.out.mkdir(parents=True, exist_ok=True)
    file = order.out / f"{order.name}_{order.version}_{order.target.architecture}.deb"
    how = ["-Zxz"] if order.compressed else ["-Znone"]
    ran = subprocess.run(
        ["dpkg-deb", "--root-owner-group", *how, "--build", tree, file],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"SOURCE_DATE_EPOCH": str(epoch)},
    )
    if ran.returncode:
        raise DeployError(ran.stderr.strip())
    return file


def _write(path: Path, text: str, mode: int = _PLAIN) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
