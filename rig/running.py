"""A run of cases: pytest in this process, told what to run, with a line for each case as it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console
from rich.markup import escape

from rig.recorder import REPORT
from rig.results import GOOD, Result, Verdict
from rig.session import Rig
from rig.trace import Kind
from uptane.errors import LinkFailure
from uptane.shell.settings import SettingsError

HERE: Final = Path(__file__).parent / "suite"
SUITES: Final = ("update", "attacks", "power", "loss", "misuse", "timing")
JUNIT: Final = "junit.xml"
_STATUS: Final = {
    pytest.ExitCode.OK: 0,
    pytest.ExitCode.TESTS_FAILED: 1,
    pytest.ExitCode.INTERRUPTED: 130,
    pytest.ExitCode.INTERNAL_ERROR: 70,
    pytest.ExitCode.USAGE_ERROR: 78,
    pytest.ExitCode.NO_TESTS_COLLECTED: 66,
}
_LOOKS: Final = {
    Verdict.PASSED: "green",
    Verdict.SKIPPED: "yellow",
    Verdict.FAILED: "bold red",
    Verdict.BROKEN: "bold red",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be run, on which ECUs, and where the report goes."""

    file: Path
    suites: tuple[str, ...]
    ecus: tuple[str, ...]
    out: Path
    seed: int
    traces: tuple[Kind, ...]
    only: str
    quiet: bool


def reach(rig: Rig, ecus: Sequence[str]) -> None:
    """See that every ECU can be reached before a hundred cases say it one by one. Raises MarqueError."""
    try:
        for name in ecus:
            ecu = rig.ecu(name)
            if not ecu.tester.answers() and ecu.power.there:
                ecu.power.on()
            try:
                ecu.tester.awake()
            except LinkFailure as error:
                raise LinkFailure(f"{error}; `marque-rig check {rig.settings.file}` tells why") from error
    finally:
        rig.close()


def run(wish: Wish, console: Console) -> int:
    """Run, and return the exit status of the process."""
    telling = Telling(console, quiet=wish.quiet)
    status = pytest.main(_arguments(wish), plugins=[telling])
    telling.end(wish.out)
    return _STATUS.get(pytest.ExitCode(status), 70)


def _arguments(wish: Wish) -> list[str]:
    arguments = ["-c", str(HERE / "pytest.ini"), "--rootdir", str(HERE), "-p", "rig.plugin", "-p", "no:terminal"]
    arguments += ["--rig", str(wish.file), "--rig-out", str(wish.out), "--rig-seed", str(wish.seed)]
    arguments += [f"--rig-ecu={name}" for name in wish.ecus] + [f"--rig-trace={kind.value}" for kind in wish.traces]
    arguments += [f"--junitxml={wish.out / JUNIT}", "-o", "junit_suite_name=marque-rig"]
    arguments += ["-k", wish.only] if wish.only else []
    return arguments + [str(path) for path in paths(wish.suites)]


def paths(suites: Sequence[str]) -> list[Path]:
    """The files of these suites; all of ours when there are none. Raises SettingsError for one that is not there."""
    found = []
    for name in suites or SUITES:
        path = HERE / f"test_{name}.py" if name in SUITES else Path(name.partition("::")[0])
        if not path.exists():
            raise SettingsError(f"no suite {name}: there are {', '.join(SUITES)}, and files of your own")
        found.append(path if name in SUITES else Path(name))
    return found


class Telling:
    """A plugin that says how each case ended; pytest's own terminal is left out."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._quiet = quiet
        self._results: list[Result] = []

    @pytest.hookimpl(trylast=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        """Ask the recorder to be told."""
        recorder = config.pluginmanager.get_plugin("marque-rig-recorder")
        if recorder is not None:
            recorder.tell = self._tell

    def _tell(self, result: Result, number: int, total: int) -> None:
        self._results.append(result)
        if self._quiet:
            return
        look = _LOOKS[result.verdict]
        rate = f"{result.rate / 1e3:8.1f} kB/s" if result.rate else " " * 13
        word = f"[{look}]{result.verdict.value:7}[/]"
        self._console.print(f"{number:4}/{total} {word} {result.seconds:7.2f} s {rate}  {escape(result.title)}")
        if result.verdict not in GOOD or result.verdict is Verdict.SKIPPED:
            lines = result.message.splitlines()[:6]
            self._console.print("\n".join(f"{'':18}{escape(line)}" for line in lines), style="dim")

    def end(self, out: Path) -> None:
        """The sum of it."""
        if self._quiet:
            return
        if not self._results:
            sys.stderr.write("marque-rig: no case matches\n")
            return
        counts = {verdict: sum(each.verdict is verdict for each in self._results) for verdict in Verdict}
        said = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
        self._console.print(f"\n{said}. Report: {out / REPORT}, {out / JUNIT}")
