"""The power fails before any effect of a whole update: every ECU ends with the new image, or every one with the old.

Every effect that changes or asks something (records, blobs, servers, restarts) is hit once, and every twelfth run of
frames. A cut of the whole vehicle reverts trials; one of the Primary alone only its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from primary.cycle import Result
from primary.needs import Damaged, FreeSpace, ListCache, Load, Measure, Names, Perform, ReadBlob
from tests.builders import CAMERA, PowerLost
from tests.unit.primary.world import NEW, OLD, World, texts
from uptane.model.reports import EcuState, Phase

LOOKING = (Load, Names, Measure, ReadBlob, ListCache, FreeSpace, Damaged)
VEHICLE = pytest.mark.parametrize("vehicle", [False, True], ids=["the Primary alone", "the whole vehicle"])


def is_act(effect: Any) -> bool:
    return isinstance(effect, Perform) and not isinstance(effect.need, LOOKING)


def is_frames(effect: Any) -> bool:
    return not isinstance(effect, Perform)


def cut(world: World, *, fuse: int, vehicle: bool, burns: Callable[[Any], bool] = lambda _: True) -> bool:
    """Run the update until the power fails before effect number `fuse` that `burns` accepts; False if it is over."""
    world.fuse, world.burns = fuse, burns
    try:
        world.run()
    except PowerLost:
        world.cut(vehicle=vehicle)
        return True
    return False


def whole(world: World) -> dict[str, str]:
    """Run until the Primary has nothing more to do; what runs is whole, and known to the Director."""
    for _ in range(4):
        finished = world.once_more()
        if finished.result is Result.IDLE:
            break
    else:
        raise AssertionError(f"never at rest: {texts(world.notes)}")
    runs = world.runs()
    states = {node.state.installation.state for node in world.nodes.values()} | {world.own.state}
    assert states <= {EcuState.IDLE, EcuState.RELEASED}, states
    assert runs in (OLD, NEW), texts(world.notes)
    reported = {ecu: report.image.filename for ecu, report in world.director.reports.items()}
    assert reported == runs
    assert not world.director.refusals
    return {str(ecu): name for ecu, name in runs.items()}


def cut_at_each(numbers: range, *, vehicle: bool, burns: Callable[[Any], bool]) -> None:
    ended: list[dict[str, str]] = []
    for fuse in numbers:
        world = World()
        world.update()
        if not cut(world, fuse=fuse, vehicle=vehicle, burns=burns):
            break
        ended.append(whole(world))
    else:
        raise AssertionError("an update has more effects than are hit here")
    assert ended.count({str(ecu): name for ecu, name in NEW.items()}) > len(ended) // 2


@pytest.mark.slow
@pytest.mark.timeout(300)
@VEHICLE
@pytest.mark.parametrize("offset", [0, 1])
def test_all_old_or_all_new_whichever_effect_is_the_last(offset: int, vehicle: bool) -> None:
    cut_at_each(range(offset, 200, 2), vehicle=vehicle, burns=is_act)


@pytest.mark.slow
@VEHICLE
def test_all_old_or_all_new_whichever_frame_is_the_last(vehicle: bool) -> None:
    cut_at_each(range(5, 500, 12), vehicle=vehicle, burns=is_frames)


@pytest.mark.slow
def test_cut_again_and_again() -> None:
    """Power that never lasts longer than a hundred effects, at first: it still comes to an end."""
    world = World()
    world.update()
    for _ in range(12):
        if not cut(world, fuse=97, vehicle=False):
            break
    whole(world)


def test_an_ecu_that_lost_the_time_between_its_order_and_its_restart_is_given_it_again() -> None:
    """Else a cut of the vehicle just there would cost the update: nothing is activated without attested time."""
    world = World()
    world.update()
    camera = world.nodes[CAMERA]
    world.run(lambda: camera.state.installation.last_phase is Phase.ACTIVATE)
    assert camera.state.installation.state is EcuState.PREPARED
    world.cut(vehicle=True)
    assert set(whole(world).values()) == set(NEW.values())
    assert "roll back:" not in texts(world.notes)
