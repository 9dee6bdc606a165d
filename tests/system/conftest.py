"""The servers and the vehicle of system tests: founded once per session, a copy for each test."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.fleet import FACTORY, RELEASES, Fleet


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """Nothing of it runs; to be copied. Workers of one session share it, for founding takes 15 seconds of a core."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return Fleet.founded(tmp_path_factory.mktemp("template") / "fleet")
    shared = tmp_path_factory.getbasetemp().parent / "template"
    shared.mkdir(exist_ok=True)
    kept = shared / "fleet.pickle"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # whoever comes first founds for all
        if not kept.exists():
            kept.write_bytes(pickle.dumps(Fleet.founded(shared / "fleet")))
        founded: Fleet = pickle.loads(kept.read_bytes())
    return founded


@pytest.fixture
def still(template: Fleet, tmp_path: Path) -> Iterator[Fleet]:
    """A copy of which nothing runs yet."""
    fleet = template.copied(tmp_path / "fleet")
    yield fleet
    fleet.stop()


@pytest.fixture
def fleet(still: Fleet) -> Fleet:
    """A copy of which everything runs."""
    return still.start_all()


class Road:
    """A running fleet for many tests in a row, as a vehicle lives through many updates; a new one after a failure."""

    def __init__(self, template: Fleet, folder: Callable[[], Path]) -> None:
        self._template = template
        self._folder = folder
        self._fleet: Fleet | None = None
        self._updates = 0
        self.release = FACTORY

    @contextmanager
    def trip(self) -> Iterator[tuple[Fleet, int]]:
        """The fleet, and a release that no slot of it holds."""
        fleet, self._fleet = self._fleet, None
        self._updates += 1
        try:
            if fleet is None:
                self.release = FACTORY
                fleet = self._template.copied(self._folder() / "fleet")
                fleet.start_all()
            yield fleet, RELEASES[1:][self._updates % 3]
        except BaseException:
            if fleet is not None:
                fleet.crew.stop()
            raise
        self._fleet = fleet

    def end(self) -> None:
        """Stop what runs."""
        if self._fleet is not None:
            self._fleet.stop()


@pytest.fixture(scope="module")
def road(template: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """One fleet for the tests of a module; `trip` takes it for a while."""
    road = Road(template, lambda: tmp_path_factory.mktemp("road"))
    yield road
    road.end()
