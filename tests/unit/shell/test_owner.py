"""Root at a board: it becomes the service's user for good before anything of the service's is obeyed or run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.unit.shell.test_enrolment_folder import provisioned

ROOT = Path(__file__).parents[3]
NOBODY = 65_534
SERVICES = " ".join([str(NOBODY)] * 3)
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else"),
]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that others than root can get to; pytest's own it keeps from them."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def lines(script: str, *words: object) -> list[str]:
    """What a script says for each word, in a child of its own: one line each."""
    whole = f"""
import os, sys
from pathlib import Path
def each(word):
{script}
for word in sys.argv[1:]:
    if os.fork() == 0:
        try:
            each(word)
        except Exception as error:
            print(error)
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.wait()
"""
    command = [sys.executable, "-c", whole, *map(str, words)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    return ran.stdout.splitlines()


BECOME = """
    from uptane.shell.owner import become_owner_of
    become_owner_of(Path(word))
    try:
        os.seteuid(0)
        print(*os.getresuid(), *os.getresgid(), "may go back")
    except PermissionError:
        print(*os.getresuid(), *os.getresgid(), 0 in os.getgroups(), "for good")
"""


def settings(place: Path, name: str, folder: Path) -> Path:
    file = place / name
    file.write_text(f'provisioned = "{folder}"\n')
    return file


def test_root_becomes_whoever_could_say_what_it_runs(place: Path) -> None:
    service, roots = place / "service", place / "roots"
    for folder in (service, roots):
        folder.mkdir(mode=0o755)
    named, own = settings(place, "named.toml", service), settings(place, "own.toml", roots)
    services, inside = settings(place, "services.toml", roots), settings(service, "config.toml", roots)
    link = place / "link.toml"
    link.symlink_to(inside)
    os.chown(services, NOBODY, NOBODY)
    os.chown(service, NOBODY, NOBODY)
    found = lines(BECOME, named, services, inside, link, own)
    assert found[:4] == [f"{SERVICES} {SERVICES} False for good"] * 4
    assert found[4].endswith("may go back"), "all of it is root's"


def test_what_is_roots_and_others_may_write_is_refused(place: Path) -> None:
    folder = place / "folder"
    folder.mkdir(mode=0o755)
    by_folder, by_file = settings(place, "folder.toml", folder), settings(place, "file.toml", place)
    folder.chmod(0o1777)
    by_file.chmod(0o646)
    first, second = lines(BECOME, by_folder, by_file)
    assert first.startswith(f"{folder} is root's, and others may write there")
    assert second.startswith(f"{by_file} is root's, and others may write there")
    os.chown(folder, 0, NOBODY)
    folder.chmod(0o775)
    [by_group] = lines(BECOME, by_folder)
    assert by_group.endswith("chown it to the service's user, or chmod go-w")


COMMANDS = """
    from importlib import import_module
    role, *words = word.split()
    def load(file):
        print(*os.getresuid())
        sys.stdout.flush()
        os._exit(0)
    import_module(f"{role}.shell.config").load = load
    sys.argv = [role, *words]
    import_module(f"{role}.__main__").main()
"""


@pytest.mark.parametrize("role", ["primary", "secondary"])
def test_no_command_obeys_what_is_the_services_as_root(place: Path, role: str) -> None:
    """By main() itself, in both spellings of the one that stays."""
    folder = place / "service"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    file = settings(place, "board.toml", folder)
    words = [f"run --config {file}", f"run --config={file}", f"status --config {file}", f"doctor --config {file}"]
    if role == "primary":
        words += [f"once --config {file}", f"run --config {file} --progress {folder}/progress"]
    assert lines(COMMANDS, *(f"{role} {each}" for each in words)) == [SERVICES] * len(words)


ENROL = """
    from importlib import import_module
    role, file, *source = word.split()
    module = import_module(f"{role}.shell.enrol")
    def own_key(*_):
        print(*os.getresuid())
        sys.stdout.flush()
        os._exit(0)
    module.enrolment.own_key = own_key
    module.enrol(Path(file), Path(source[0]) if source else None)
"""


def test_no_module_of_a_token_is_loaded_by_root(place: Path) -> None:
    """The folder that was brought may be root's alone, and is read before; renewed, it is not read again."""
    folder, source = place / "service", provisioned(place / "stick")
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    source.chmod(0o700)
    file = settings(place, "board.toml", folder)
    words = [f"secondary {file}", f"primary {file}", *[f"secondary {file} {source}"] * 2]
    assert lines(ENROL, *words) == [SERVICES] * 4
    assert (folder / "config.toml").stat().st_uid == NOBODY
