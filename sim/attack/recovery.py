"""What honest people do when the attacker has gone: new keys for the stolen ones, and an update in good order.

A Root's keys that were stolen are beyond them: whoever has as many as its threshold can take the role away for ever. An
ECU that was taken over gets its own software back.
"""

from __future__ import annotations

from typing import Final

from director.errors import Declined
from sim.attack.attacker import Attacker
from sim.attack.keys import Stolen
from sim.attack.scene import AFTER, ECUS, VEHICLE, Scene, filename_of
from sim.founding import SUPPLIER
from sim.network import CALM
from uptane.model.ids import Role

RECOVERY_S: Final = 4 * 3_600  # the longest pause between two polls of a vehicle that met trouble is 15 minutes

_DIRECTOR: Final = {
    Stolen.DIRECTOR_TARGETS: Role.TARGETS,
    Stolen.DIRECTOR_SNAPSHOT: Role.SNAPSHOT,
    Stolen.DIRECTOR_TIMESTAMP: Role.TIMESTAMP,
}
_IMAGE: Final = {
    Stolen.IMAGE_TARGETS: Role.TARGETS,
    Stolen.IMAGE_SNAPSHOT: Role.SNAPSHOT,
    Stolen.IMAGE_TIMESTAMP: Role.TIMESTAMP,
}


def recover(scene: Scene, attacker: Attacker, stolen: frozenset[Stolen]) -> None:
    """Mend what can be mended, and let the vehicle live for some hours."""
    scene.network.faults_of.clear()
    scene.network.faults = CALM
    scene.absent = frozenset()
    servers = scene.servers
    for key, role in _DIRECTOR.items():
        if key in stolen:
            servers.director.rotate(role)
    if Stolen.TIME in stolen:
        servers.rotate_time()
    for key, role in _IMAGE.items():
        if key in stolen:
            servers.image.rotate(role)
    if Stolen.SUPPLIER in stolen:
        servers.image.rotate_delegate(SUPPLIER)
    scene.ignition()
    scene.run(60)
    scene.publish(AFTER)
    for ecu in ECUS:
        scene.ordered[ecu] = filename_of(ecu, AFTER)
        try:
            scene.assign(VEHICLE, AFTER, ecu)
        except Declined as declined:
            attacker.say(f"the Director: {declined}")
    scene.ignition()
    scene.until(lambda: scene.runs_round(AFTER), RECOVERY_S, look_ms=5_000)
