"""The import contracts bite: on a small tree of empty modules each violation breaks the very contract meant for it.

The real tree is held to the same contracts by `make check`.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = (
    *("uptane/errors", "uptane/moments", "uptane/model/ids", "uptane/ports", "uptane/machine", "uptane/crypto"),
    *("uptane/codec/oer", "uptane/verify/roles", "uptane/link/isotp", "uptane/rpc/stubs", "uptane/shell/files"),
    *("director/issue", "director/time_main", "director/__main__", "director/shell/api", "director/shell/database"),
    *("image_repo/publish", "image_repo/__main__", "image_repo/shell/blobs"),
    *("primary/cycle", "primary/refresh", "primary/__main__", "primary/shell/servers"),
    *("secondary/ecu", "secondary/install", "secondary/__main__", "secondary/shell/slots"),
    *("bench/codec", "demo/processes", "sim/world", "sim/clock", "sim/shell/workers", "sim/__main__"),
)
ALLOWED = (
    ("primary/shell/servers", "import grpc, time, uptane.rpc.stubs, uptane.shell.files"),
    ("primary/__main__", "import uptane.codec.oer, uptane.crypto, primary.shell.servers, primary.cycle"),
    ("uptane/crypto", "import hashlib, secrets, cryptography"),
    ("uptane/codec/oer", "import hashlib, uptane.model.ids"),
    ("uptane/link/isotp", "import uptane.machine, uptane.errors"),
    ("primary/cycle", "import uptane.verify.roles, uptane.link.isotp"),
    ("bench/codec", "import uptane.codec.oer, primary.shell.servers, time"),
    ("demo/processes", "import subprocess, uptane.shell.files"),
    ("sim/world", "import random, sim.clock, primary.cycle, director.issue, uptane.crypto, uptane.codec.oer"),
    ("sim/shell/workers", "import multiprocessing, time, typer"),
    ("sim/__main__", "import sim.world, sim.shell.workers"),
)
VIOLATIONS = (
    ("1", "primary/cycle", "import director.issue"),
    ("1", "secondary/ecu", "import primary.cycle"),
    ("1", "uptane/ports", "import primary.cycle"),
    ("1", "bench/codec", "import demo.processes"),
    ("1", "bench/codec", "import sim.world"),
    ("1", "primary/cycle", "import sim.clock"),
    ("2", "uptane/verify/roles", "import uptane.codec.oer"),
    ("2", "uptane/verify/roles", "import uptane.crypto"),
    ("2", "uptane/model/ids", "import uptane.ports"),
    ("2", "uptane/codec/oer", "import uptane.link.isotp"),
    ("2", "uptane/stray", "x = 1"),
    ("3", "uptane/verify/roles", "import time"),
    ("3", "primary/refresh", "import asyncio"),
    ("3", "uptane/link/isotp", "import can"),
    ("3", "director/issue", "import logging"),
    ("3", "director/issue", "import cryptography"),
    ("3", "secondary/ecu", "import random"),
    ("4", "primary/refresh", "import hashlib"),
    ("5", "primary/cycle", "import primary.shell.servers"),
    ("5", "demo/processes", "import primary.shell.servers"),
    ("5", "sim/world", "import primary.shell.servers"),
    ("6", "sim/world", "import uptane.shell.files"),
    ("6", "secondary/ecu", "import uptane.shell.files"),
    ("7", "director/issue", "import uptane.rpc.stubs"),
    ("8", "primary/refresh", "import uptane.codec.oer"),
    ("9", "director/issue", "import uptane.crypto"),
    ("10", "secondary/shell/slots", "import grpc"),
    ("11", "primary/shell/servers", "import sqlalchemy"),
    ("12", "demo/processes", "import director.issue"),
    ("13", "secondary/install", "import secondary.ecu\n# and back"),
    ("14", "sim/world", "import time"),
    ("14", "sim/clock", "import threading"),
)


def lint(tree: Path) -> set[str]:
    """The numbers of the contracts that are broken in this tree."""
    program = str(Path(sys.executable).parent / "lint-imports")
    ran = subprocess.run(
        [program, "--no-cache", "--config", "pyproject.toml"],
        check=False,
        cwd=tree,
        env=os.environ | {"COLUMNS": "200"},  # a name is not wrapped
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "Contracts: " in ran.stdout, ran.stdout + ran.stderr
    return set(re.findall(r"^(\d+) .* BROKEN", ran.stdout, re.MULTILINE))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for module in MODULES:
        path = tmp_path / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
        path.touch()
    for module, text in ALLOWED:
        (tmp_path / f"{module}.py").write_text(f"{text}\n")
    return tmp_path


def test_what_is_meant_to_be_imported_may_be(tree: Path) -> None:
    assert lint(tree) == set()


@pytest.mark.parametrize(("contract", "module", "text"), VIOLATIONS)
def test_violation_breaks_its_contract(tree: Path, contract: str, module: str, text: str) -> None:
    with (tree / f"{module}.py").open("a") as file:
        file.write(f"{text}\n")
    if contract == "13":
        (tree / "secondary" / "ecu.py").write_text("import secondary.install\n")
    assert contract in lint(tree)
