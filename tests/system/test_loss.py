"""Frames are lost between the Primary and its ECUs: real processes, real frames, a bridge that drops some of them."""

from __future__ import annotations

import pytest

from demo.images import BODY, CAMERA, ECUS, TELEMATICS, EcuOfDemo
from demo.world import new_world
from tests.system.fleet import Fleet, moved, wait_for
from tests.system.lossy_bus import bridged

pytestmark = [pytest.mark.system, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(400)]


def prove_while_it_moves(fleet: Fleet, release: int, ecus: tuple[EcuOfDemo, ...]) -> None:
    """As `prove`, for as long as it takes, if only something is always noted that was not noted before."""
    watch, latest = fleet.watch(), 0

    def reached() -> int:
        fleet.crew.check()
        return len({(note["step"], note.get("ecu"), note["text"], note.get("done")) for note in watch.look().notes})

    while not fleet.proven(release, ecus):
        wait_for(lambda: reached() > latest or fleet.proven(release, ecus), "something moves", every=0.5)  # noqa: B023
        latest = reached()


@pytest.mark.timeout(1_000)
@pytest.mark.parametrize(("loss", "ecus"), [(0.01, ECUS), (0.03, (BODY, CAMERA))], ids=["1 %", "3 %"])
def test_frames_are_lost_on_both_buses(still: Fleet, loss: float, ecus: tuple[EcuOfDemo, ...]) -> None:
    """A lost frame costs a block, never the transfer; what comes of it is whole.

    It also costs half a second of waiting for the answer: at three in a hundred, every other block of a classic bus.
    """
    fleet = still
    others = new_world(fleet.folder / "elsewhere", paced=False).buses
    config = fleet.ecu(TELEMATICS) / "config.toml"
    config.write_text(moved(config.read_text(), fleet.world.buses, others))
    with bridged([(others[name], bus) for name, bus in fleet.world.buses.items()], loss) as bridge:
        fleet.start_all()
        fleet.order(2, ecus)
        prove_while_it_moves(fleet, 2, ecus)
        fleet.stop()
    assert bridge.lost > 50
    assert abs(bridge.lost / (bridge.lost + bridge.passed) - loss) < loss / 2
