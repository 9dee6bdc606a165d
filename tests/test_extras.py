"""Each extra installed alone, from its lock file and the built wheel: it starts, and does not carry what it must not.

This is what a board gets. The environments live below build/, are keyed by lock file and Python, and are reused: the
first run takes a minute and the package index, later ones seconds. The wheel is built anew each time.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
DATABASES = ("sqlalchemy", "alembic", "sqlite3", "obstore")
WEB = ("starlette", "uvicorn", "jinja2")
RPC = ("grpc", "google.protobuf")
TESTING = ("pytest", "asn1tools", "pycrate_asn1rt", "tuf")

pytestmark = [pytest.mark.install, pytest.mark.timeout(600), pytest.mark.xdist_group("install")]


@dataclass(frozen=True)
class Extra:
    """One installation: its lock file, the entry points it must be able to load, and what must not come with them."""

    name: str
    modules: tuple[str, ...]
    commands: tuple[str, ...]
    absent: tuple[str, ...]


EXTRAS = (
    Extra(
        "secondary",
        modules=("secondary.__main__",),
        commands=("marque-secondary",),
        absent=(*RPC, *DATABASES, *WEB, *TESTING, "structlog", "director", "primary", "image_repo"),
    ),
    Extra(
        "primary",
        modules=("primary.__main__",),
        commands=("marque-primary",),
        absent=(*DATABASES, *WEB, *TESTING, "director", "secondary", "image_repo"),
    ),
    Extra(
        "image-repo",
        modules=("image_repo.__main__",),
        commands=("marque-repo",),
        absent=(*WEB, *TESTING, "can", "director", "primary", "secondary"),
    ),
    Extra(
        "director",
        modules=("director.__main__", "director.time_main"),
        commands=("marque-director", "marque-time"),
        absent=(*WEB, *TESTING, "can", "obstore", "primary", "secondary", "image_repo"),
    ),
    Extra(
        "sim",
        modules=("sim.__main__", "sim.run"),
        commands=("marque-sim",),
        absent=(*RPC, *DATABASES, *WEB, *TESTING, "can", "structlog", "director.shell", "uptane.shell"),
    ),
    Extra(
        "rig",
        modules=("rig.__main__", "rig.plugin"),
        commands=("marque-rig",),
        absent=(*RPC, *DATABASES, *WEB, "asn1tools", "tuf", "structlog", "director", "primary", "secondary", "sim"),
    ),
)


def run(command: Sequence[str | Path], *, cwd: Path = BUILD) -> str:
    """Run to the end and return what was printed; a failure shows all of it."""
    # Away from the checkout and its settings, so that only what was installed can be found.
    environment = {name: text for name, text in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    environment |= {"PIP_CACHE_DIR": str(BUILD / "pip-cache"), "PYTHONPYCACHEPREFIX": str(BUILD / "pycache")}
    ran = subprocess.run(command, check=False, cwd=cwd, env=environment, capture_output=True, text=True, timeout=500)
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-3000:]}\n{ran.stderr[-3000:]}"
    return ran.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, "."], cwd=ROOT)
    return next(folder.glob("marque-*.whl"))


def environment(extra: Extra, wheel: Path) -> Path:
    """The Python of an environment with nothing but this extra in it, not even a pip: ours works on it from outside.

    Nothing is compiled ahead: of most packages a few modules are ever imported here.
    """
    lock = ROOT / "requirements" / f"{extra.name}.txt"
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = BUILD / "extras" / f"{extra.name}-{key}"
    python = folder / "bin" / "python"
    done = folder / ".done"
    if not done.exists():
        for old in (BUILD / "extras").glob(f"{extra.name}-*"):
            shutil.rmtree(old)
        run([sys.executable, "-m", "venv", "--without-pip", folder])
        pip(python, "install", "-q", "--no-compile", "--require-hashes", "-r", lock)
        done.touch()
    pip(python, "install", "-q", "--no-compile", "--no-deps", "--force-reinstall", wheel)
    return python


def pip(python: Path, *words: str | Path) -> str:
    """This environment's pip, at work on another."""
    return run([sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", *words])


@dataclass(frozen=True)
class Installed:
    """An extra, and the Python of an environment that has it."""

    extra: Extra
    python: Path


@pytest.fixture(scope="module", params=EXTRAS, ids=lambda extra: extra.name)
def installed(request: pytest.FixtureRequest, wheel: Path) -> Installed:
    extra: Extra = request.param
    return Installed(extra, environment(extra, wheel))


def test_extra_starts_alone_and_light(installed: Installed) -> None:
    extra, python = installed.extra, installed.python
    for module in extra.modules:
        loaded = set(run([python, "-c", f"import sys, {module}; print(*sys.modules, sep='\\n')"]).split())
        assert not loaded.intersection(extra.absent), f"{module} loads them"
        assert module in loaded
    for command in extra.commands:
        assert run([python.parent / command, "--help"])


def test_extra_satisfies_what_the_project_declares(installed: Installed, wheel: Path) -> None:
    """The lock file holds all that `marque[extra]` asks for: pip finds nothing missing, nothing in conflict."""
    asked = f"marque[{installed.extra.name}] @ {wheel.as_uri()}"
    pip(installed.python, "install", "--dry-run", "--no-index", "-q", asked)
    pip(installed.python, "check")


def test_wheel_carries_the_product_and_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    packages = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert packages == {"uptane", "director", "image_repo", "primary", "secondary", "sim", "rig"}
    data = {path for path in ROOT.glob("uptane/**/*") if path.suffix in {".asn1", ".proto"}}
    assert {path.relative_to(ROOT).as_posix() for path in data} <= names
