"""Kill -9 of any process at any moment of an update: it completes or is rolled back as a whole, and nothing is lost.

The moments are chosen by what the Primary notes and what stands in its journal. One fleet lives through all of it.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from demo.images import BODY, BRAKE, CAMERA, ECUS, TELEMATICS
from tests.system.conftest import Road
from tests.system.fleet import SERVERS, Fleet, Watch, wait_for

pytestmark = [pytest.mark.system, pytest.mark.process, pytest.mark.slow, pytest.mark.timeout(300)]

VEHICLE = tuple(ecu.name for ecu in ECUS)  # a power cut takes all of it
MOMENTS: dict[str, Callable[[Watch], bool]] = {
    "ordered": lambda watch: True,
    "verified": lambda watch: watch.noted("verify"),
    "told the camera": lambda watch: watch.noted("metadata", CAMERA),
    "downloaded": lambda watch: watch.noted("download"),
    "sending to the brake": lambda watch: watch.noted("transfer", BRAKE),
    "sending to the camera": lambda watch: watch.noted("transfer", CAMERA),
    "brake prepared": lambda watch: watch.noted("prepare", BRAKE),
    "camera prepared": lambda watch: watch.noted("prepare", CAMERA),
    "activating": lambda watch: "activating" in watch.stages,
    "starting the brake": lambda watch: watch.noted("activate", BRAKE, "activates"),
    "starting the camera": lambda watch: watch.noted("activate", CAMERA, "activates"),
    "brake voted": lambda watch: watch.noted("activate", BRAKE, "voted"),
    "starting itself": lambda watch: watch.noted("activate", CAMERA, "voted"),
    "started itself": lambda watch: watch.noted("collect", None, "resuming"),
    "committing": lambda watch: "committing" in watch.stages,
    "releasing": lambda watch: "releasing" in watch.stages,
}
MAY_ROLL_BACK = {"activating", "starting the brake", "starting the camera", "starting itself", "started itself"}

CASES = [
    ("director", "ordered"),
    ("director", "verified"),
    ("director", "sending to the brake"),
    ("director", "committing"),
    ("image-repository", "verified"),
    ("image-repository", "downloaded"),
    ("time-service", "ordered"),
    ("time-service", "camera prepared"),
    ("time-service", "starting the brake"),
    (TELEMATICS.name, "verified"),
    (TELEMATICS.name, "downloaded"),
    (TELEMATICS.name, "sending to the brake"),
    (TELEMATICS.name, "brake prepared"),
    (TELEMATICS.name, "activating"),
    (TELEMATICS.name, "starting the camera"),
    (TELEMATICS.name, "starting itself"),
    (TELEMATICS.name, "started itself"),
    (TELEMATICS.name, "committing"),
    (TELEMATICS.name, "releasing"),
    (BRAKE.name, "sending to the brake"),
    (BRAKE.name, "brake prepared"),
    (BRAKE.name, "starting the brake"),
    (BRAKE.name, "brake voted"),
    (BRAKE.name, "committing"),
    (BRAKE.name, "releasing"),
    (BODY.name, "sending to the brake"),
    (BODY.name, "activating"),
    (CAMERA.name, "told the camera"),
    (CAMERA.name, "sending to the camera"),
    (CAMERA.name, "camera prepared"),
    (CAMERA.name, "starting the camera"),
    (CAMERA.name, "started itself"),
    (CAMERA.name, "committing"),
    ("vehicle", "sending to the camera"),
    ("vehicle", "starting the camera"),
    ("vehicle", "committing"),
]


@pytest.mark.parametrize(("name", "moment"), CASES, ids=[f"{name}, {moment}" for name, moment in CASES])
def test_killed(road: Road, name: str, moment: str) -> None:
    with road.trip() as (fleet, release):
        watch = fleet.watch()
        fleet.order(release)
        wait_for(lambda: MOMENTS[moment](watch.look()), moment, every=0.005)
        killed = VEHICLE if name == "vehicle" else (name,)
        for each in killed:
            fleet.kill(each)
        for each in killed:
            fleet.start(each)
        ended = wait_for(lambda: _ended(fleet, watch.look(), old=road.release, new=release), "an end", every=0.3)
        assert ended == release or (moment in MAY_ROLL_BACK and name not in SERVERS), fleet.tail(TELEMATICS.name)
        road.release = ended


def _ended(fleet: Fleet, watch: Watch, *, old: int, new: int) -> int:
    """The release that all ECUs run in the end; 0 while that is open."""
    fleet.crew.check()
    if fleet.proven(new):
        return new
    return old if "rolling back" in watch.stages and fleet.runs(old) else 0
