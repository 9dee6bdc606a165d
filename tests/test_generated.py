"""Generated files are fresh: every `generate.py` in the tree, run on a copy of it, changes nothing.

`make generate` runs the same files on the tree itself.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("uptane", "director", "image_repo", "primary", "secondary", "firmware", "docs", "tests")
GENERATORS = sorted(path.relative_to(ROOT) for folder in FOLDERS for path in (ROOT / folder).rglob("generate.py"))


def test_there_are_generators() -> None:
    assert GENERATORS


@pytest.mark.parametrize("generator", GENERATORS, ids=str)
def test_generated_files_are_fresh(generator: Path, tmp_path: Path) -> None:
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    before = contents(tmp_path)
    module = ".".join(generator.with_suffix("").parts)
    subprocess.run([sys.executable, "-m", module], cwd=tmp_path, check=True, timeout=100)
    after = contents(tmp_path)
    stale = [path for path in after if after[path] != before.get(path)]
    assert not stale, f"run `make generate`: {stale}"


def contents(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
