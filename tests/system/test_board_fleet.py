"""The C firmware on the emulated board as the brake controller of a whole vehicle: our Director and Primary update it.

From one real build of it to the next, beside three ECUs in Python, all or none; attacked, and its power cut.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.attacks import ATTACKS, Scene
from demo.board import emulated
from demo.images import BRAKE, TELEMATICS
from firmware.tools import flash_file
from tests.system.builds import build
from tests.system.conftest import Road
from tests.system.fleet import Fleet, wait_for
from tests.system.test_demo import REFUSED_BY, Run, _times, assert_complete, refused
from tests.system.test_kill import MAY_ROLL_BACK, MOMENTS, _ended

pytestmark = [pytest.mark.system, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]

# The attacks on the bus that the brake controller has to refuse.
ON_THE_BOARD = sorted(name for name, (by, _) in REFUSED_BY.items() if by == BRAKE.name and name != "old-targets")
CUTS = ("sending to the brake", "brake prepared", "starting the brake", "brake voted", "committing", "releasing")


@pytest.fixture(scope="module")
def template_with_board(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    """A fleet whose brake controller is a board; nothing of it runs."""
    return Fleet.founded(tmp_path_factory.mktemp("template") / "fleet", emulated())


@pytest.fixture(scope="module")
def way(template_with_board: Fleet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """One such fleet for all tests here, as a vehicle lives through many updates; a new one after a failure."""
    road = Road(template_with_board, lambda: tmp_path_factory.mktemp("way"))
    yield road
    road.end()


def board_of(fleet: Fleet) -> Path:
    """The folder of the emulated board."""
    return fleet.ecu(BRAKE) / "board"


def slots(fleet: Fleet) -> list[bytes]:
    """What its slots hold."""
    return [flash_file.slot(board_of(fleet), number) for number in (0, 1)]


def test_the_board_takes_its_part_in_an_update(way: Road) -> None:
    with way.trip() as (fleet, release):
        fleet.order(release)
        wait_for(lambda: fleet.proven(release), "all four ECUs are proven", every=0.3)
        octets = build(emulated(), release)
        assert any(slot.startswith(octets) for slot in slots(fleet))
        assert f"runs: {flash_file.image(octets, 'build').version}" in fleet.said(BRAKE.name)
        way.release = release


@pytest.mark.parametrize("name", ON_THE_BOARD)
def test_attack_on_the_board(way: Road, name: str) -> None:
    """The Director learns from the board's own report which check refused it."""
    with way.trip() as (fleet, _):
        scene = Scene(fleet.world, print)
        before, held = _times(fleet, REFUSED_BY[name]), slots(fleet)
        ATTACKS[name].play(scene)
        wait_for(lambda: _times(fleet, REFUSED_BY[name]) > before, f"the Director learns of {name}")
        ATTACKS[name].mend(scene)
        assert fleet.runs(way.release)
        assert slots(fleet) == held


@pytest.mark.parametrize("moment", CUTS)
def test_power_cut(way: Road, moment: str) -> None:
    """QEMU is killed with its flash file as it is; the vehicle ends in all old or all new."""
    with way.trip() as (fleet, release):
        watch = fleet.watch()
        fleet.order(release)
        wait_for(lambda: MOMENTS[moment](watch.look()), moment, every=0.005)
        fleet.kill(BRAKE.name)
        fleet.start(BRAKE.name)
        ended = wait_for(lambda: _ended(fleet, watch.look(), old=way.release, new=release), "an end", every=0.3)
        assert ended == release or moment in MAY_ROLL_BACK, fleet.tail(TELEMATICS.name)
        way.release = ended


@pytest.mark.timeout(600)
def test_the_demo(tmp_path: Path) -> None:
    """As a stranger runs it, with the attack that belongs to a whole update; nothing is left running."""
    run = Run(tmp_path)
    status, said = run.run("--fast", "--brake", "qemu", "--attack", "old-targets")
    assert status == 0, said
    assert_complete(run.report())
    assert REFUSED_BY["old-targets"] in refused(run.report())
    assert f"runs: {emulated().versions[1]}" in said


def test_the_demo_without_builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No emulator in the path: it says what is missing and how to get it, and starts nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    status, said = Run(tmp_path / "demo").run("--brake", "qemu")
    assert status == 2, said
    assert "qemu-system-arm is missing; on Debian: apt-get install qemu-system-arm" in " ".join(said.split())
