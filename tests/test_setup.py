"""`make setup` on machines that lack something: it says what, and how to get it; as root it asks apt-get by itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# A Python whose `import ensurepip` fails, as Debian's without python3-venv; and one that is too old.
WITHOUT_ENSUREPIP = "import sys; sys.modules['ensurepip'] = None; exec(sys.argv[1])"
TOO_OLD = "import sys; sys.version_info = (3, 9, 2); exec(sys.argv[1])"


class Machine:
    """A folder of commands that is the whole PATH of .ci/setup."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for tool in ("bash", "dirname", "mkdir", "touch"):
            found = shutil.which(tool)
            assert found is not None
            (folder / tool).symlink_to(found)

    def add(self, name: str, script: str) -> None:
        path = self.folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def python(self, name: str, code: str) -> None:
        self.add(name, f'exec "{sys.executable}" -S -c "{code}" "$2"')

    def setup(self) -> tuple[int, str]:
        ran = subprocess.run(
            [ROOT / ".ci" / "setup", self.folder / "venv"],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=os.environ | {"PATH": str(self.folder), "PYTHON": ""},
        )
        return ran.returncode, ran.stdout + ran.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.add("id", "echo 1000")
    return made


def test_without_any_python_it_names_the_packages(machine: Machine) -> None:
    code, said = machine.setup()
    assert code == 1
    assert "apt-get install python3 python3-venv ca-certificates" in said


def test_a_python_without_ensurepip_is_told_from_none(machine: Machine) -> None:
    machine.python("python3", WITHOUT_ENSUREPIP)
    code, said = machine.setup()
    assert code == 1
    assert "cannot make environments (no ensurepip" in said


def test_a_python_that_is_too_old_is_named(machine: Machine) -> None:
    machine.python("python3", TOO_OLD)
    code, said = machine.setup()
    assert code == 1
    assert "python3 is 3.9: 3.11 is the oldest that works" in said


def test_a_stand_in_that_runs_nothing_is_passed_over(machine: Machine) -> None:
    machine.add("python3.13", "echo 'no such version' >&2; exit 127")
    machine.python("python3", TOO_OLD)
    code, said = machine.setup()
    assert code == 1
    assert "python3.13" not in said


def test_root_on_debian_has_it_installed(machine: Machine) -> None:
    machine.add("id", "echo 0")
    machine.add("apt-get", f'echo "$@" >> "{machine.folder}/asked"')
    machine.python("python3", WITHOUT_ENSUREPIP)
    code, said = machine.setup()
    assert code == 1  # this apt-get brings nothing
    asked = (machine.folder / "asked").read_text().splitlines()
    assert asked[0].startswith("update")
    assert asked[1].startswith("install -y")
    assert asked[1].endswith("python3 python3-venv ca-certificates")
    assert "please install one" in said


def test_others_are_not_asked_for_what_only_root_may(machine: Machine) -> None:
    machine.add("apt-get", f'echo "$@" >> "{machine.folder}/asked"')
    machine.setup()
    assert not (machine.folder / "asked").exists()
