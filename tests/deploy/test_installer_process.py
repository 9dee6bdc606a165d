"""marque-primary where RAUC keeps the slots, or a command: an update, a bootloader that falls back, power cuts."""

from __future__ import annotations

import json
import socket
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import PRIMARY
from tests.deploy.private_bus import Bus
from tests.peers.rauc_service import Machine
from tests.shell.primary_site import Site, sites
from tests.shell.repository_process import wait_for
from uptane.errors import Check
from uptane.model.reports import EcuReport, EcuState, Outcome

pytestmark = pytest.mark.process
BOOTS_MAX = 12
BEGUN = ("active 0", "good 0")  # what the first start tells the bootloader


class Board:
    """A site whose Primary's machine can be restarted: the command it restarts by leaves a file, and we do the rest."""

    def __init__(self, site: Site, machine: Machine, settings: str) -> None:
        self.site, self.machine = site, machine
        self.asked = site.folder / "restart"
        site.edit("[gate]", f"{settings}\nrestart = ['/bin/touch', '{self.asked}']\n[gate]")

    @property
    def report(self) -> EcuReport:
        assert self.site.servers.report is not None
        return self.site.servers.report

    def told(self, check: Check) -> int:
        return {each.check: each.count for each in self.report.refusals}.get(check.code, 0)

    def live(self, until: Callable[[], bool] = lambda: False) -> Any:
        """Run `once` across restarts; its result, or None when `until` held, at which the power fails."""
        for _ in range(BOOTS_MAX):
            process = self.site.start("once", "--json", "--config", str(self.site.config))
            waiting = threading.Event()
            try:
                while process.poll() is None and not self.asked.exists() and not until():
                    waiting.wait(0.02)
                if process.poll() is not None and not self.asked.exists():
                    out, err = process.communicate()
                    assert out, err
                    return json.loads(out)["result"]
            finally:
                process.kill()
                process.communicate()
            cut = until()
            self.asked.unlink(missing_ok=True)
            self.machine.boot()
            if cut:
                return None
        raise AssertionError(f"restarts for ever: {self.machine.load()['log']}")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    made = Bus(tmp_path)
    made.behave(signed="primary/app")
    made.start_rauc()
    yield made
    made.close()


@pytest.fixture
def board(bus: Bus, tmp_path: Path) -> Iterator[Board]:
    slots = "['rootfs.0', 'rootfs.1']"
    for site in sites(tmp_path / "site"):
        yield Board(site, bus.machine, f"[installer]\nkind = 'rauc'\nslots = {slots}\nbus = '{bus.socket}'")


def at_rest(board: Board, new: str) -> None:
    """All old or all new: what the machine runs, what the record says, and what the Director was told are one."""
    assert "IDLE" in (board.live() for _ in range(3)), "never at rest"
    slot = board.machine.load()["booted"]
    status = json.loads(board.site.run("status", "--json").stdout)
    old = board.site.servers.pair.factory[PRIMARY].filename
    expected = new if slot else old
    assert (status["slot"], status["image"], board.report.image.filename) == (slot, expected, expected)


def test_an_update_through_rauc(board: Board) -> None:
    filename = board.site.assign()
    assert board.live() == "DONE"
    assert (board.report.state, board.report.image.filename) == (EcuState.RELEASED, filename)
    state = board.machine.load()
    assert state["log"] == [*BEGUN, "write 1", "active 1", "active 0", "active 1", "boot 1", "good 1", "good 1"]


def test_a_bootloader_that_falls_back_is_believed(board: Board) -> None:
    filename = board.site.assign()
    board.machine.change(dead=[1])
    assert board.live() == "ROLLED_BACK"
    assert board.report.image.filename != filename
    assert board.report.outcome is Outcome.UNBOOTABLE
    assert board.machine.load()["tries"][1] == 0, "marked bad"
    at_rest(board, filename)


def test_a_bundle_that_rauc_refuses_is_told_to_the_director(board: Board, bus: Bus) -> None:
    bus.behave(signed="somebody else")
    board.site.assign()
    assert board.live() == "TRYING"
    assert board.told(Check.INSTALLER_REFUSED) == 1
    assert board.report.state is EcuState.IDLE
    assert board.machine.load()["booted"] == 0


def test_rauc_that_is_not_there_yet_is_waited_for_by_a_service_that_lives(
    board: Board, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is reported before it is known what runs; systemd hears all the while that the loop turns."""
    bus.stop_rauc()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(20.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "300000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        process = board.site.start("run", "--config", str(board.site.config))
        try:
            while not listening.recv(4_096).startswith(b"READY=1"):
                pass
            for _ in range(30):  # each a tenth of a second: it has asked again meanwhile
                while listening.recv(4_096) != b"WATCHDOG=1":
                    pass
            assert board.site.servers.report is None
            bus.start_rauc()
            wait_for(lambda: board.site.servers.report is not None)
        finally:
            process.terminate()
            out, err = process.communicate(timeout=20)
    said = [line for line in (out + err).splitlines() if "systemctl status rauc" in line]
    assert len(said) == 1, out + err
    assert "asked again until it does; nothing is reported before" in said[0]
    assert bus.machine.load()["log"] == [*BEGUN]


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["write 1", "active 1"])
def test_power_cuts_end_old_or_new(board: Board, bus: Bus, moment: str) -> None:
    filename = board.site.assign()
    if moment == "write 1":
        bus.behave(signed="primary/app", cut=True)
    assert board.live(lambda: moment in board.machine.load()["log"]) is None
    bus.stop_rauc()
    bus.behave(signed="primary/app")
    bus.start_rauc()
    at_rest(board, filename)


def test_an_update_through_a_command(tmp_path: Path) -> None:
    """The whole contract of a hook, in a dozen lines."""
    machine, hook = Machine(tmp_path), tmp_path / "hook.py"
    code = """
    import hashlib, pathlib, sys
    sys.path.insert(0, ROOT)
    from tests.peers.rauc_service import Machine
    machine, (verb, *rest) = Machine(pathlib.Path(__file__).parent), sys.argv[1:]
    state, slot = machine.load(), int(rest[0]) if rest else 0
    there = pathlib.Path(__file__).parent / f"partition{slot}"
    if verb == "check" and not there.exists():
        sys.exit(slot != 0)  # what the factory wrote; a real one compares the partition with it
    if verb == "running":
        print(state["booted"])
    elif verb == "write":
        there.write_bytes(pathlib.Path(rest[1]).read_bytes())
    if verb in ("write", "check"):
        sys.exit(hashlib.sha256(there.read_bytes()).hexdigest() != rest[-2])
    if verb == "activate":
        state["order"] = [slot, 1 - slot]
    if verb in ("activate", "good", "bad"):
        state["tries"][slot] = 0 if verb == "bad" else 3
        state["log"].append(f"{verb} {slot}")
        machine.save(state)
    """
    hook.write_text(textwrap.dedent(code).replace("ROOT", repr(str(Path(__file__).parents[2]))))
    for site in sites(tmp_path / "site"):
        command = f"command = ['{sys.executable}', '{hook}']"
        board = Board(site, machine, f"[installer]\nkind = 'command'\n{command}")
        filename = site.assign()
        assert board.live() == "DONE"
        assert machine.load()["log"] == ["activate 0", "good 0", "activate 1", "boot 1", "good 1", "good 1"]
        assert (tmp_path / "partition1").read_bytes() == (site.folder / "slots/slot1.bin").read_bytes()
        assert board.report.image.filename == filename
