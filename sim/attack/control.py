"""The control group: the shipping code with one of its features taken out, in this process and for one run.

The product has no such switches. Here functions of it are replaced by what would be there if nobody had thought of the
feature, so that an attack which comes to nothing can be seen to fail because of that feature, and not by chance. All of
a variant is undone when its `with` ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from types import ModuleType
from typing import Any, Final

import director.admit
import director.poll
import primary.transaction
import secondary.install
import uptane.verify.delegations
import uptane.verify.full
import uptane.verify.installation
import uptane.verify.partial
import uptane.verify.recheck
import uptane.verify.record
import uptane.verify.roles
from director.inventory import Vehicle
from primary.needs import AnyNeed
from sim.attack import witness
from sim.attack.scene import Scene
from sim.secondary_node import SecondaryNode
from uptane.machine import Workflow
from uptane.model.metadata import Bins, Delegation
from uptane.verify.delegations import Wanted
from uptane.verify.image import Assigned, Content
from uptane.verify.installation import Installation
from uptane.verify.patterns import matches


class Feature(Enum):
    """What can be taken out; the value says what then is."""

    SLOTS = "one slot: an image is written over the one that runs"
    TIME = "no time: nothing expires, and nothing waits for an attestation"
    COUNTERS = "no release counters"
    MANIFEST = "no manifests: the Director hears of no report"
    HASHES = "Snapshot and Timestamp give versions, and no hashes"
    HARDWARE = "delegations name no hardware"


class Variant(Enum):
    """Which features are out."""

    SHIPPED = "as shipped", frozenset[Feature]()
    STRAWMAN = "strawman", frozenset({Feature.SLOTS, Feature.TIME, Feature.MANIFEST})
    NO_SLOTS = "without a second slot", frozenset({Feature.SLOTS})
    NO_TIME = "without time", frozenset({Feature.TIME})
    NO_COUNTERS = "without release counters", frozenset({Feature.COUNTERS})
    NO_MANIFEST = "without manifests", frozenset({Feature.MANIFEST})
    NO_HASHES = "without hashes in Snapshot", frozenset({Feature.HASHES})
    NO_HARDWARE = "without hardware in delegations", frozenset({Feature.HARDWARE})

    def __init__(self, title: str, out: frozenset[Feature]) -> None:
        self.title = title
        self.out = out


SINGLE: Final = tuple(each for each in Variant if len(each.out) == 1)

_Patch = tuple[Any, str, Any]


@contextmanager
def without(variant: Variant, scene: Scene) -> Iterator[None]:
    """Let a scene go on under a variant of the code, until the end of the `with`."""
    patches = [patch for feature in Feature if feature in variant.out for patch in _PATCHES[feature](scene)]
    before = [(owner, name, getattr(owner, name)) for owner, name, _new in patches]
    try:
        for owner, name, new in patches:
            setattr(owner, name, new)
        yield
    finally:
        for owner, name, old in reversed(before):
            setattr(owner, name, old)


def _nothing(*_arguments: object, **_named: object) -> None:
    """Check nothing."""


def _no_slots(scene: Scene) -> Iterator[_Patch]:
    """Both slots of a Secondary are one and the same flash, which holds what it runs."""
    for node in scene.car.secondaries.values():
        running = scene_running(node)
        yield node, "slots", (node.slots[running], node.slots[running])


def scene_running(node: SecondaryNode) -> int:
    """Which slot a Secondary runs."""
    octets = node.records.load("installation")
    return 0 if octets is None else uptane.verify.record.load(octets).running


def _no_time(_scene: Scene) -> Iterator[_Patch]:
    modules: tuple[ModuleType, ...] = (uptane.verify.roles, uptane.verify.full, uptane.verify.recheck)
    for module in modules:
        yield module, "check_expiry", _nothing
    for module in (uptane.verify.full, uptane.verify.partial, uptane.verify.recheck):
        yield module, "check_root_expiry", _nothing
    start = uptane.verify.installation.start

    def at_any_time(now: Installation, assigned: Assigned, content: Content, *, attested: bool) -> Installation:
        del attested
        return start(now, assigned, content, attested=True)

    yield uptane.verify.installation, "start", at_any_time
    yield secondary.install, "check_dependencies", _nothing
    yield primary.transaction, "gate", _open_gate
    yield witness, "TIME_IS_KNOWN", False


def _open_gate(*_arguments: object) -> Workflow[AnyNeed, tuple[str, ...]]:
    """A gate that asks no time; nor, in this scene, for anything else."""
    yield from ()
    return ()


def _no_counters(_scene: Scene) -> Iterator[_Patch]:
    yield uptane.verify.partial, "check_released", _nothing
    yield uptane.verify.partial, "check_previous", _nothing
    yield uptane.verify.installation, "check_released", _nothing


def _no_manifest(_scene: Scene) -> Iterator[_Patch]:
    def unheard(vehicle: Vehicle, *_arguments: object, **_named: object) -> director.admit.Admitted:
        return director.admit.Admitted(vehicle, again=True)

    yield director.poll, "admit", unheard


def _no_hashes(_scene: Scene) -> Iterator[_Patch]:
    def any_file(*_arguments: object) -> bool:
        return True

    yield uptane.verify.roles, "is_file", any_file


def _no_hardware(_scene: Scene) -> Iterator[_Patch]:
    def by_path(delegation: Delegation, wanted: Wanted) -> bool:
        if isinstance(delegation.match, Bins):
            return True
        return any(matches(pattern, wanted.filename) for pattern in delegation.match.patterns)

    yield uptane.verify.delegations, "applies", by_path


_PATCHES: Final[dict[Feature, Callable[[Scene], Iterator[_Patch]]]] = {
    Feature.SLOTS: _no_slots,
    Feature.TIME: _no_time,
    Feature.COUNTERS: _no_counters,
    Feature.MANIFEST: _no_manifest,
    Feature.HASHES: _no_hashes,
    Feature.HARDWARE: _no_hardware,
}
