"""What a package carries of others: the pinned wheels of one extra for one board, each checked by its hash.

pip fetches and unpacks them; nothing is built and nothing of them is run, so any machine makes any board's package.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from deploy.targets import PYTHON, Target

_PIN = re.compile(r"^([a-z0-9-]+)==\S+ \\\n(?:    --hash=\S+(?: \\)?\n)+", re.MULTILINE)


class DeployError(Exception):
    """A package cannot be made; the text says why."""


def pins(lock: Path, target: Target) -> Iterator[tuple[str, str]]:
    """Name and lines of each pin of a lock file that is carried for this target."""
    for found in _PIN.finditer(lock.read_text(encoding="utf-8")):
        if found[1] not in target.lent and found[1] not in target.left_out:
            yield found[1], found[0]


def fetch(lock: Path, target: Target, folder: Path) -> None:
    """Put the wheels of a lock file into `folder`; those that are there already are not fetched again.

    Raises:
        DeployError: a wheel does not exist for this target, or cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = _carried(lock, target, folder)
    _pip("download", "-d", folder, "--find-links", folder, "-r", text, *_fitting(target))


def unpack(lock: Path, target: Target, wheels: Path, site: Path) -> None:
    """Unpack what `fetch` has put into `wheels` below `site`, hashes checked once more.

    Raises:
        DeployError: a wheel is missing, or not the one of the lock file.
    """
    text = _carried(lock, target, wheels)
    local = ("--no-index", "--find-links", wheels, "--no-compile", "--target", site)
    _pip("install", *local, "-r", text, *_fitting(target))


def _carried(lock: Path, target: Target, folder: Path) -> Path:
    file = folder / f"{lock.stem}.txt"
    file.write_text("".join(text for _, text in pins(lock, target)), encoding="utf-8")
    return file


def _fitting(target: Target) -> list[str]:
    version = f"{PYTHON[0]}{PYTHON[1]}"
    tags = ["--implementation", "cp", "--python-version", version]
    for abi in (f"cp{version}", "abi3", "none"):
        tags += ["--abi", abi]
    for platform in target.platforms():
        tags += ["--platform", platform]
    return ["--require-hashes", "--only-binary", ":all:", "--no-deps", *tags]


def _pip(*arguments: str | Path) -> None:
    command: Sequence[str | Path] = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments)
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")] or ran.stderr.splitlines()[-3:]
        raise DeployError("; ".join(said) or "pip failed and said nothing")
