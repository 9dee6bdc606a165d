"""Follows pytest through a run on a rig: what each case did is kept, told as it ends, and reported at the end."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from rig import page, trace
from rig.results import Result, Run, Verdict
from rig.session import Rig
from rig.settings import RigSettings, load
from rig.under_test import UnderTest
from uptane.errors import MarqueError
from uptane.shell.settings import SettingsError

REPORT: Final = "report.html"
FACTS: Final = "report.json"
CASES: Final = "cases"
NAME_MAX: Final = 100  # octets of a case's file name; file systems take 255


@dataclass
class Recorder:
    """A plugin object: its hooks are pytest's. `tell` is called with each result as it is known."""

    settings: RigSettings
    rig: Rig
    out: Path
    names: list[str]
    kinds: list[trace.Kind]
    tell: Callable[[Result, int, int], None] | None = None
    run: Run = field(init=False)
    _results: dict[str, Result] = field(default_factory=dict)
    _dead: dict[str, str] = field(default_factory=dict)
    _collected: int = 0
    _told: int = 0
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Begin a run."""
        self.run = Run(self.settings.file.name, self.rig.seed, datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"))

    # ------------------------------------------------------------------------------------------------- fixtures

    def open(self, rig: Rig, name: str) -> UnderTest:
        """The ECU of that name; ends the case when it cannot be reached."""
        try:
            return rig.ecu(name)
        except MarqueError as error:
            self._dead[name] = str(error)
            pytest.fail(str(error), pytrace=False)

    def begin(self, ecu: UnderTest, item: pytest.Item) -> None:
        """A case begins; it fails at once when an earlier one left the ECU dead."""
        name = ecu.settings.ecu
        if name in self._dead:
            pytest.fail(f"{name} was given up: {self._dead[name]}", pytrace=False)
        self._result(item.nodeid, item).ecu = name
        try:
            ecu.begin(item.name)
        except MarqueError as error:
            self._dead[name] = str(error)
            pytest.fail(f"{error}; `marque-rig check` tells what is reached", pytrace=False)

    def end(self, ecu: UnderTest, item: pytest.Item) -> None:
        """A case has ended: bring the ECU to rest, and keep what was recorded."""
        reason = ""
        try:
            ecu.rest()
        except MarqueError as error:
            reason = str(error)
        self._keep(ecu, item)
        if reason:
            with suppress(MarqueError):
                ecu.power.cycle()
            pytest.fail(f"no way back to rest: {reason}", pytrace=False)

    def _keep(self, ecu: UnderTest, item: pytest.Item) -> None:
        result = self._result(item.nodeid, item)
        result.take(ecu.journal)
        result.noise = ecu.noise
        folder = self.out / CASES
        folder.mkdir(parents=True, exist_ok=True)
        stem = folder / file_name(item.nodeid)
        for kind, path in zip(self.kinds, trace.write(ecu.journal, stem, self.kinds), strict=False):
            result.files[kind.value] = f"{CASES}/{path.name}"
        if ecu.console is not None:
            result.console = "\n".join(ecu.said())
            path = stem.with_name(stem.name + ".console.txt")
            path.write_text(result.console + "\n", encoding="utf-8")
            result.files["console"] = f"{CASES}/{path.name}"
        item.user_properties += [(kind, path) for kind, path in result.files.items()]

    def _result(self, node: str, item: pytest.Item | None = None) -> Result:
        if node not in self._results:
            name = node.rpartition("::")[2]
            self._results[node] = Result(node, name, "", "")
        result = self._results[node]
        if item is not None and isinstance(item, pytest.Function):
            result.text = (item.function.__doc__ or "").strip().partition("\n")[0]
        return result

    # ---------------------------------------------------------------------------------------------------- hooks

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """How many cases there will be."""
        self._collected = len(session.items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One phase of a case is over."""
        result = self._result(report.nodeid)
        result.seconds += report.duration
        if report.skipped and result.verdict is Verdict.PASSED:
            result.verdict = Verdict.SKIPPED
            result.message = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if report.failed:
            result.verdict = Verdict.FAILED if report.when == "call" else Verdict.BROKEN
            crash = getattr(report.longrepr, "reprcrash", None)
            said = report.longreprtext if crash is None else crash.message
            result.message = "\n".join(filter(None, [result.message, said]))
            result.detail = "\n\n".join(filter(None, [result.detail, report.longreprtext]))
        if report.when == "teardown":
            self.run.results.append(result)
            self._told += 1
            if self.tell is not None:
                self.tell(result, self._told, self._collected)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file of cases that cannot be read is said at once."""
        if report.failed and self.tell is not None:
            sys.stderr.write(report.longreprtext + "\n")

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        self.run.seconds = time.monotonic() - self._began
        if not self.run.results:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / REPORT).write_text(page.page(self.run), encoding="utf-8")
        (self.out / FACTS).write_text(json.dumps(self.run.facts(), indent=1) + "\n", encoding="utf-8")


def file_name(node: str) -> str:
    """A case's id as the name of a file."""
    file, _, case = node.partition("::")
    name = f"{Path(file).name}_{case}" if case else file
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("_")[:NAME_MAX]


def recorder_of(config: pytest.Config, file: Path) -> Recorder:
    """The recorder that the options ask for. Raises pytest.UsageError when the rig cannot be used."""
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("a rig has one bench and one tester: run without pytest-xdist's -n")
    try:
        settings = load(file)
        rig = Rig(settings, config.getoption("rig_seed"))
    except (SettingsError, MarqueError) as error:
        raise pytest.UsageError(str(error)) from error
    known = [ecu.ecu for ecu in settings.ecus]
    names = config.getoption("rig_ecus") or known
    for name in names:
        if name not in known:
            raise pytest.UsageError(f"{file}: no ECU {name}; there are {', '.join(known)}")
    kinds = [trace.Kind(each) for each in config.getoption("rig_traces") or ["candump"]]
    out = config.getoption("rig_out")
    return Recorder(settings, rig, settings.out if out is None else Path(out), list(names), kinds)
