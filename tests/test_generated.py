"""Generated files are fresh: every `generate.py` in the tree, run on a copy of it, changes nothing.

`make generate` runs the same files on the tree itself.
"""

import filecmp
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("uptane", "director", "image_repo", "primary", "secondary", "docs", "tests")
GENERATORS = sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("generate.py"))


def test_there_are_generators() -> None:
    assert GENERATORS


@pytest.mark.parametrize("generator", GENERATORS, ids=str)
def test_generated_files_are_fresh(generator: Path, tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    module = ".".join(generator.with_suffix("").parts)
    subprocess.run([sys.executable, "-m", module], cwd=tmp_path, check=True, timeout=100)
    stale = [path for folder in FOLDERS for path in different(ROOT / folder, tmp_path / folder)]
    assert not stale, f"run `make generate`: {stale}"


def different(kept: Path, fresh: Path) -> list[str]:
    """Files of `fresh` that `kept` lacks or has with other content."""
    found = []
    for path in fresh.rglob("*"):
        twin = kept / path.relative_to(fresh)
        if path.is_dir() or "__pycache__" in path.parts:
            continue
        if not twin.exists() or not filecmp.cmp(path, twin, shallow=False):
            found.append(twin.relative_to(ROOT).as_posix())
    return found
