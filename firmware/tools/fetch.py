"""Fetch the cryptography that sources.toml names into build/firmware/sources, and take nothing whose hash is another.

    python firmware/tools/fetch.py [SOURCE...]

Packages come through the clients that this machine already uses, pip and apt-get, from the mirrors they are set up
with. What is there and right is not fetched again, so a second build needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

FIRMWARE: Final = Path(__file__).resolve().parent.parent
SOURCES: Final = FIRMWARE / "sources.toml"
BUILD: Final = FIRMWARE.parent / "build" / "firmware"
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
FILE_LENGTH_MAX: Final = 4 << 20  # the longest that is taken from a package; ours have 200 KiB


class FetchError(Exception):
    """What could not be had, and what to do."""


def is_right(folder: Path, files: dict[str, str]) -> bool:
    """Whether all files are there with the octets that were pinned."""
    return all(
        (path := folder / name).is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == pinned
        for name, pinned in files.items()
    )


def run(command: Sequence[str], folder: Path) -> str:
    """What a command prints; FetchError with its last words if it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise FetchError(f"{command[0]} is needed and not there") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise FetchError(f"{' '.join(command[:2])} failed: {' '.join(words)}")
    return done.stdout


def fetch_pypi(source: dict[str, Any], folder: Path) -> Path:
    """The source distribution of a Python package, of the pinned hash."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{source['package']}=={source['version']} --hash=sha256:{source['sha256']}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:"]
    run([*command, "--no-build-isolation", "--require-hashes", f"--dest={folder}", f"--requirement={wanted}"], folder)
    return next(folder.glob("*.tar.gz"))


def mirror(folder: Path) -> str:
    """The archive of Debian that this machine's apt-get uses."""
    lines = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"], folder)
    main = (line.split()[0].rstrip("/") for line in lines.splitlines() if line.endswith(" main"))
    found = next((uri for uri in main if uri.endswith("/debian")), None)
    if found is None:
        raise FetchError("apt-get knows no archive of Debian: add its main component to /etc/apt/sources.list")
    return found


def fetch_debian(source: dict[str, Any], folder: Path) -> Path:
    """The original archive of a Debian source package, whose signatures apt-get has verified."""
    if not KEYRING.is_file():
        raise FetchError(f"{KEYRING} is missing: install debian-archive-keyring")
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "archives" / "partial").mkdir(parents=True)
    (folder / "sources.list").write_text(
        f"deb-src [signed-by={KEYRING}] {mirror(folder)} {source['suite']} main\n", encoding="utf-8"
    )
    own = {  # nothing of the machine's own apt-get is touched
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": folder / "lists",
        "Dir::Cache": folder,
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(f"-o{key}={value}" for key, value in own.items())]
    run([*apt, "update"], folder)
    run([*apt, "--download-only", "source", source["package"]], folder)
    return next(path for path in folder.glob("*.orig.tar.*") if path.suffix != ".asc")


def unpack(archive: Path, files: dict[str, str], folder: Path) -> None:
    """Take the files out of an archive, each only if its hash is the pinned one."""
    missing = dict(files)
    with tarfile.open(archive) as package:
        for member in package:
            name = member.name.partition("/")[2]
            if name not in missing or not member.isfile() or member.size > FILE_LENGTH_MAX:
                continue
            stream = package.extractfile(member)
            assert stream is not None, "a file has octets"
            octets = stream.read()
            if hashlib.sha256(octets).hexdigest() != missing.pop(name):
                raise FetchError(f"{archive.name}: {name} is not what sources.toml pins; compare, then pin anew")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(octets)
    if missing:
        raise FetchError(f"{archive.name} lacks {', '.join(sorted(missing))}")


def fetch(name: str, source: dict[str, Any]) -> None:
    """Have one source below build/firmware/sources."""
    folder = BUILD / "sources" / name
    if is_right(folder, source["files"]):
        return
    print(f"fetch: {name} from {source['package']} ({source['kind']})", flush=True)
    BUILD.mkdir(parents=True, exist_ok=True)
    scratch = BUILD / f"fetch-{name}-{os.getpid()}"
    scratch.mkdir()
    try:
        archive = fetch_pypi(source, scratch) if source["kind"] == "pypi" else fetch_debian(source, scratch)
        unpack(archive, source["files"], folder)
    finally:
        shutil.rmtree(scratch)


def main(names: Iterable[str]) -> int:
    """Fetch what is named, or everything."""
    sources = tomllib.loads(SOURCES.read_text(encoding="utf-8"))
    try:
        for name in list(names) or sources:
            fetch(name, sources[name])
    except FetchError as error:
        print(f"fetch: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
