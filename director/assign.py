"""An operator's order: which image for which ECUs of which vehicles.

An order is judged whole before anything changes: one vehicle that could not take it refuses it for all. What vehicles
would refuse later is refused here, saying what to do about it. What only stands in the way for now (a silent ECU, a
required image not ordered yet) is not refused: resolve holds it back and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from director.errors import Declined, Reason
from director.inventory import EcuRecord, Vehicle, runs
from director.resolve import Word
from uptane.errors import Check, Rejected
from uptane.model.ids import FILENAME_LENGTH_MAX, EcuId, Filename, HardwareId, is_name
from uptane.model.metadata import Assignment, Image
from uptane.verify.image import check_own, check_released
from uptane.verify.trusted import Ecu as Own

SELECTIONS_MAX = 128  # as many as a vehicle has ECUs


@dataclass(frozen=True, slots=True)
class Selection:
    """This image for this ECU, or for every ECU of this hardware; no image withdraws what is not installed yet."""

    ecu: EcuId | None
    hardware: HardwareId | None
    image: Filename | None

    def __str__(self) -> str:
        """`brake=acme/brake-2`."""
        return f"{self.ecu or self.hardware}={self.image or '(withdrawn)'}"


@dataclass(frozen=True, slots=True)
class Ordered:
    """The outcome for one ECU of one vehicle."""

    record: EcuRecord
    selection: Selection
    note: str


def assign(
    vehicle: Vehicle, selections: Sequence[Selection], word: Word, *, every: bool
) -> tuple[Vehicle, list[Ordered]]:
    """The vehicle with the order entered, and what became of each selection.

    With `every` the order goes to the whole fleet: a vehicle without such an ECU is left out, not a mistake; nor is an
    ECU mistaken that runs already what is withdrawn.

    Raises:
        Declined: an unknown ECU or image, wrong hardware, a filename the ECU does not take, an image larger than its
            slot, or with a release counter that its vehicle would refuse; an ECU selected twice.
    """
    outcomes: dict[EcuId, Ordered] = {}
    again = False
    for selection in selections:
        for record in _selected(vehicle, selection, every=every):
            if record.ecu.id in outcomes:
                raise Declined(Reason.INVALID, f"{vehicle.id}/{record.ecu.id} is selected twice")
            if every and selection.image is None and _keeps(record):
                ordered = Ordered(record, selection, KEPT)  # else nothing could be taken back from a whole fleet
            else:
                ordered = _ordered(vehicle, record, selection, word)
            outcomes[record.ecu.id] = ordered
            again = again or ordered.note == AGAIN
    changed = vehicle.with_records({ecu: ordered.record for ecu, ordered in outcomes.items()})
    return replace(changed, reissue=vehicle.reissue or again), list(outcomes.values())


AGAIN = "goes out again under a new version"
"""The note of an order for what was sent out already and never proven."""

KEPT = "it runs this already: nothing to withdraw"
"""The note of an ECU that an order taken back from the whole fleet does not change."""


def judge_selections(selections: Sequence[Selection]) -> None:
    """Judge the form of an order.

    Raises:
        Declined: no selection, or too many; not exactly one of ECU and hardware; something that is no name.
    """
    if not 1 <= len(selections) <= SELECTIONS_MAX:
        raise Declined(Reason.INVALID, f"{len(selections)} selections; an order has 1 to {SELECTIONS_MAX}")
    for each in selections:
        if (each.ecu is None) == (each.hardware is None):
            raise Declined(Reason.INVALID, "an order selects by ECU or by hardware: exactly one of them")
        if not is_name(each.ecu or each.hardware or ""):
            raise Declined(Reason.INVALID, f"{(each.ecu or each.hardware or '')[:80]!r} is no ECU or hardware id")
        if each.image is not None and not is_name(each.image, FILENAME_LENGTH_MAX):
            raise Declined(Reason.INVALID, f"{each.image[:140]!r} is no filename")


def filenames(vehicles: Iterable[Vehicle]) -> set[tuple[Filename, HardwareId]]:
    """Every image these vehicles have to do with, by name and the hardware it is looked up for."""
    wanted: set[tuple[Filename, HardwareId]] = set()
    for vehicle in vehicles:
        for record in vehicle.ecus:
            chosen = (record.wanted, record.assigned.image if record.assigned else None, record.running)
            wanted.update((image.filename, record.ecu.hardware) for image in chosen if image is not None)
    return wanted


def _selected(vehicle: Vehicle, selection: Selection, *, every: bool) -> list[EcuRecord]:
    """The ECUs of `vehicle` that the order means."""
    if selection.ecu is not None:
        found = [record for record in vehicle.ecus if record.ecu.id == selection.ecu]
    else:
        found = [record for record in vehicle.ecus if record.ecu.hardware == selection.hardware]
    if not found and not every:
        what = f"ECU {selection.ecu}" if selection.ecu else f"ECU with hardware {selection.hardware}"
        raise Declined(Reason.UNKNOWN, f"{vehicle.id} has no {what}")
    return found


def _ordered(vehicle: Vehicle, record: EcuRecord, selection: Selection, word: Word) -> Ordered:
    """The order entered for one ECU."""
    if selection.image is None:
        return Ordered(_withdrawn(vehicle, record), selection, "withdrawn")
    image = word.find(selection.image, record.ecu.hardware)
    if image is None:
        what = f"vouches for no image {selection.image} for hardware {record.ecu.hardware}"
        raise Declined(Reason.UNKNOWN, f"the Image repository {what}", Check.DELEGATION_NOT_FOUND)
    _judge(vehicle, record, image)
    assigned = record.assigned
    if assigned is None or assigned.image.octets != image.octets:
        note = "it runs this already" if runs(record.running, image) else "goes out at the next poll"
        return Ordered(replace(record, wanted=image), selection, note)
    return Ordered(replace(record, wanted=image), selection, "proven already" if assigned.proven else AGAIN)


def _withdrawn(vehicle: Vehicle, record: EcuRecord) -> EcuRecord:
    """The record without order and without entry: the ECU keeps what it has."""
    assigned = record.assigned
    if assigned is not None and _keeps(record):
        text = f"{vehicle.id}/{record.ecu.id} runs {assigned.image.filename} already: nothing to withdraw"
        raise Declined(Reason.REFUSED, text)
    if assigned is not None and (assigned.proven or assigned.held):
        return replace(record, wanted=None)
    return replace(record, wanted=None, assigned=None)


def _keeps(record: EcuRecord) -> bool:
    """Whether nothing is ordered that the ECU does not run already."""
    assigned = record.assigned
    if assigned is None or not (assigned.proven or assigned.held):
        return False
    return record.wanted is None or record.wanted.octets == assigned.image.octets


def _judge(vehicle: Vehicle, record: EcuRecord, image: Image) -> None:
    """Refuse what this ECU or its Primary would refuse, by the rules they use themselves."""
    ecu, floor = record.ecu, record.released_floor
    own = Own(vehicle.id, ecu.id, ecu.hardware, filename=ecu.filename, slot_size=ecu.slot_size)
    try:
        check_own(Assignment(ecu.id, image), own)
        check_released(image, floor)
    except Rejected as refused:
        text = f"{vehicle.id}/{ecu.id} would refuse {image.filename}: {refused.check.value.text} ({refused.detail})"
        if refused.check is Check.INSTALL_COUNTER:
            text += (
                f". To go back on purpose, publish it again with a release counter of "
                f"{floor} or higher: marque-repo publish FILE --filename {image.filename} --counter {floor} ..."
            )
        raise Declined(Reason.REFUSED, text, refused.check) from refused


def outcome_notes(vehicle: Vehicle, ordered: Sequence[Ordered], held_back: Mapping[EcuId, str]) -> list[str]:
    """What to tell the operator about each selection, in order."""
    assert all(vehicle.find(each.record.ecu.id) is not None for each in ordered)
    return [
        f"held back: {held_back[each.record.ecu.id]}" if each.record.ecu.id in held_back else each.note
        for each in ordered
    ]
