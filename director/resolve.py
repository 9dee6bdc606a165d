"""The set of images for one vehicle: what it has, what was ordered, and what the rules between images allow.

Uptane 2.1.0, section 5.3.2.1, and the Deployment Best Practices on bundles.

Start from what each ECU should run already, add the orders, and take out every order that a rule, a release counter or
a silent ECU forbids; repeat until nothing is left to take out. An order taken out is held back, not lost: it is judged
again at the next manifest, and the reason is told.

A vehicle installs a bundle as a whole, so images of one bundle replace each other at once. What may have been installed
without our hearing of it is another matter: nothing new goes out that conflicts with an image sent earlier and not yet
confirmed or ruled out by a manifest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from director.inventory import AT_REST, EcuRecord, Vehicle, runs
from uptane.model.ids import EcuId, Filename, HardwareId
from uptane.model.metadata import Image
from uptane.model.reports import InstalledImage
from uptane.verify.image import installed_image

UNSETTLED_MAX = 8  # images one ECU may run without our knowing; beyond, orders wait for a manifest


class Kind(Enum):
    """What one image may say of another."""

    REQUIRES = "requires"
    CONFLICTS = "conflicts"


@dataclass(frozen=True, slots=True)
class Rule:
    """`image` requires `other` (with at least this release counter) on another ECU, or conflicts with it there."""

    kind: Kind
    image: Filename
    other: Filename
    counter_min: int = 0

    def __str__(self) -> str:
        """The rule in words."""
        least = f" (release counter {self.counter_min} or higher)" if self.counter_min else ""
        verb = "requires" if self.kind is Kind.REQUIRES else "conflicts with"
        return f"{self.image} {verb} {self.other}{least}"

    def speaks_of(self, image: InstalledImage) -> bool:
        """Whether `image` is the one this rule is about."""
        return image.filename == self.image

    def means(self, image: InstalledImage) -> bool:
        """Whether `image` is the other one this rule speaks of."""
        return image.filename == self.other and image.release_counter >= self.counter_min


class Word(Protocol):
    """What the Image repository says, as the Director has verified it."""

    @property
    def known(self) -> bool:
        """Whether the Image repository was ever heard."""
        ...

    def find(self, filename: Filename, hardware: HardwareId) -> Image | None:
        """The image it vouches for under this name for this hardware; None for none."""
        ...


@dataclass(frozen=True, slots=True)
class Resolution:
    """What each ECU should run, ascending by ECU; which orders are held back and why; what is wrong already."""

    entries: tuple[tuple[EcuId, Image], ...]
    held_back: Mapping[EcuId, str]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Plan:
    """One ECU: what it should run without the order, and with it."""

    record: EcuRecord
    base: Image | None
    image: Image | None
    held_back: str = ""

    @property
    def changed(self) -> bool:
        """Whether the order changes anything."""
        return self.image is not None and (self.base is None or self.base.octets != self.image.octets)

    def without_order(self, why: str) -> _Plan:
        """The plan with the order taken out."""
        return _Plan(self.record, self.base, self.base, why)

    def after(self) -> tuple[InstalledImage, ...]:
        """Every image this ECU may run once the bundle is installed."""
        if self.image is None or self.record.silent_since is not None:
            return self.record.possible
        return (installed_image(self.image),)

    def unconfirmed(self) -> tuple[InstalledImage, ...]:
        """Images sent earlier that it may run, beside what it said last and what it is to run."""
        planned = None if self.image is None else installed_image(self.image)
        return tuple(image for image in self.record.possible if image not in (self.record.settled, planned))


def resolve(vehicle: Vehicle, rules: Sequence[Rule], word: Word, *, orders: bool = True) -> Resolution:
    """The images for `vehicle` under `rules`; without `orders`, as if nothing new were ordered."""
    plans = {record.ecu.id: _plan(vehicle, record, word, orders=orders) for record in vehicle.ecus}
    while True:
        broken = [each for rule in rules for each in _broken(rule, plans)]
        blamed = {ecu: why for ecu, why in broken if plans[ecu].changed}
        if not blamed:
            break
        for ecu, why in blamed.items():
            plans[ecu] = plans[ecu].without_order(why)
    entries = tuple((ecu, plan.image) for ecu, plan in plans.items() if plan.image is not None)
    held_back = {ecu: plan.held_back for ecu, plan in plans.items() if plan.held_back}
    notes = tuple(dict.fromkeys(why for ecu, why in broken if ecu not in held_back))
    return Resolution(entries, held_back, notes)


# ------------------------------------------------------------------------------------------- one ECU by itself


def _plan(vehicle: Vehicle, record: EcuRecord, word: Word, *, orders: bool) -> _Plan:
    base, gone = _base(record, word)
    wanted = record.wanted if orders else None
    if wanted is None or (base is not None and wanted.octets == base.octets):
        return _Plan(record, base, base, gone)
    said, why = _said(record, wanted, word)
    why = why or _waits(vehicle, record)
    return _Plan(record, base, base, why) if why or said is None else _Plan(record, base, said)


def _base(record: EcuRecord, word: Word) -> tuple[Image | None, str]:
    """What this ECU should run if nothing new is ordered, and why it is nothing, if that is odd."""
    assigned = record.assigned
    if assigned is None:
        last = record.reported
        if record.silent_since is not None and last is not None and last.report.state not in AT_REST:
            return None, "silent in the middle of an update that was withdrawn: the vehicle no longer waits for it"
        running = record.running
        found = None if running is None else word.find(running.filename, record.ecu.hardware)
        return (found, "") if found is not None and runs(running, found) else (None, "")
    said, why = _said(record, assigned.image, word)
    if said is None or installed_image(said) == installed_image(assigned.image):
        return said, why
    if assigned.proven or assigned.held:
        # The ECU would install it again to take over the counter, and nobody ordered that.
        return None, f"{said.filename} was signed again with release counter {said.release_counter}: assign it anew"
    return said, ""


def _said(record: EcuRecord, image: Image, word: Word) -> tuple[Image | None, str]:
    """The Image repository's present word on an image chosen earlier; None and why if vehicles would refuse it."""
    if not word.known:
        chosen = None if record.assigned is None else record.assigned.image
        same = chosen is not None and chosen.octets == image.octets
        return (image, "") if same else (None, "the Image repository has not been heard yet")
    found = word.find(image.filename, record.ecu.hardware)
    if found is None:
        return None, f"the Image repository no longer vouches for {image.filename}"
    if found.sha256 != image.sha256:
        return None, f"the Image repository has other octets under {image.filename} now: assign it again"
    # What runs may be named whatever its counter: an exchanged ECU comes with older software than its place has had.
    if found.release_counter < record.released_floor and not runs(record.running, found):
        return None, f"{image.filename} has release counter {found.release_counter}, below {record.released_floor}"
    return found, ""


def _waits(vehicle: Vehicle, record: EcuRecord) -> str:
    """Why nothing new can go to this ECU for now; empty if it can."""
    if vehicle.admission is None:
        return "the vehicle has not proved what it runs yet"
    if record.reported is None:
        return "this ECU has not reported yet"
    if record.silent_since is not None:
        return f"this ECU is silent since {record.silent_since}"
    if len(record.unsettled) >= UNSETTLED_MAX:
        return f"{len(record.unsettled)} images were sent to this ECU and not confirmed"
    return ""


# -------------------------------------------------------------------------------------- images with one another


def _broken(rule: Rule, plans: Mapping[EcuId, _Plan]) -> Iterator[tuple[EcuId, str]]:
    """The ECUs whose plans break `rule`, and why; whichever of them is a change is to blame."""
    for ecu, plan in plans.items():
        others = {name: other for name, other in plans.items() if name != ecu}
        if rule.kind is Kind.CONFLICTS:
            yield from _clashes(rule, ecu, plan, others)
        elif any(rule.speaks_of(image) for image in plan.after()):
            yield from _lacks(rule, ecu, others)


def _lacks(rule: Rule, ecu: EcuId, others: Mapping[EcuId, _Plan]) -> Iterator[tuple[EcuId, str]]:
    """`ecu` needs what no other ECU is sure to run: it is to blame, and so is whoever would run it no longer."""
    if any(_provides(rule, other) for other in others.values()):
        return
    yield ecu, f"{rule}, which no other ECU is sure to run: assign it in the same order"
    for name, other in others.items():
        if other.base is not None and rule.means(installed_image(other.base)):
            yield name, f"{rule}, and {ecu} runs the former"


def _provides(rule: Rule, other: _Plan) -> bool:
    """Whether `other` is sure to run what the rule requires. Nothing may depend on a silent ECU."""
    after = other.after()
    return other.record.silent_since is None and bool(after) and all(rule.means(image) for image in after)


def _clashes(rule: Rule, ecu: EcuId, plan: _Plan, others: Mapping[EcuId, _Plan]) -> Iterator[tuple[EcuId, str]]:
    """Both ECUs of each conflict between the plan of `ecu` and another's; then conflicts with what may run there."""
    speaks = any(rule.speaks_of(image) for image in plan.after())
    for name, other in others.items():
        if speaks and any(rule.means(image) for image in other.after()):
            yield ecu, f"{rule}, which is for {name}"
            yield name, f"{rule}, which is for {ecu}"
        elif plan.changed and _may_clash(rule, plan.after(), other.unconfirmed()):
            yield ecu, f"{rule}, and one of them was sent to {name} and may run there: waits for the next manifest"


def _may_clash(rule: Rule, after: Sequence[InstalledImage], unconfirmed: Sequence[InstalledImage]) -> bool:
    """Whether one side of a conflict will run here, and the other side may run elsewhere."""
    as_first = any(rule.speaks_of(image) for image in after) and any(rule.means(image) for image in unconfirmed)
    as_second = any(rule.means(image) for image in after) and any(rule.speaks_of(image) for image in unconfirmed)
    return as_first or as_second
