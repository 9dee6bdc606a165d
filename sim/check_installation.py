"""The rules of one ECU's installation: what is prepared, started, released, and what boots (R1 to R3, R13 to R15).

The table of moves is docs/wire.md's, written down once more on purpose: the one that ECUs run is what is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

from sim.issued import METADATA, Issued, Read, bundle_in
from sim.primary_node import PrimaryNode
from sim.rules import Rule
from sim.truth import DIRECTOR, DIRECTOR_ROOT, IMAGE, TARGETS, EcuTruth
from uptane.model.ids import TOP_TARGETS, Repository
from uptane.model.metadata import Delegate, Image, ImageTargets, Snapshot
from uptane.model.reports import EcuState, Outcome, Phase
from uptane.verify.image import installed_image
from uptane.verify.installation import Installation

Finding: TypeAlias = tuple[Rule, str]

SKEW_S: Final = 2  # storing takes milliseconds, and seconds are rounded; nothing in a simulation expires so exactly
ATTEMPTS_REMEMBERED: Final = 8  # as many pairs that were rolled back as an ECU promises to know
BOOTS_MAX: Final = 3  # boots in a row that do not come up, before a voted image is given up

_S = EcuState

_MOVES: Final = {
    _S.IDLE: {_S.IDLE, _S.PREPARED},
    _S.PREPARED: {_S.PREPARED, _S.IDLE, _S.TRIAL},
    _S.TRIAL: {_S.TRIAL, _S.IDLE, _S.VOTED, _S.RELEASED},
    _S.VOTED: {_S.VOTED, _S.IDLE, _S.COMMITTED, _S.RELEASED},
    _S.COMMITTED: {_S.COMMITTED, _S.IDLE, _S.RELEASED},
    _S.RELEASED: {_S.RELEASED, _S.PREPARED},
}
_ON_THE_NEW: Final = {_S.TRIAL, _S.VOTED, _S.COMMITTED}
_PHASES: Final = {
    None: {Phase.ACTIVATE, Phase.ROLL_BACK},
    Phase.ACTIVATE: {Phase.COMMIT, Phase.ROLL_BACK},
    Phase.COMMIT: {Phase.RELEASE, Phase.ROLL_BACK},
    Phase.ROLL_BACK: set[Phase](),
    Phase.RELEASE: set[Phase](),
}
_FULL_FILES: Final = (
    *(DIRECTOR + each for each in ("timestamp", "snapshot")),
    *(IMAGE + each for each in ("root", "timestamp", "snapshot", "targets")),
)


def moved(truth: EcuTruth, old: Installation, issued: Issued) -> Iterator[Finding]:
    """What is wrong with the move from `old` to the record that is durable now."""
    new = truth.installation
    yield from _counter(old, new)
    yield from _move(truth, old, new)
    if _prepared_anew(old, new):
        yield from _authorised(truth, new, issued)
    if (old.state, new.state) == (_S.PREPARED, _S.TRIAL):
        yield from _fresh(truth)
    if new.state is _S.PREPARED and new.last_phase is Phase.ACTIVATE is not old.last_phase:
        yield from _newest(truth, new)
    if new.state is _S.VOTED and old.state is _S.TRIAL:
        truth.unproven = 0
    if new.state is _S.PREPARED and truth.attempt in truth.tried[-ATTEMPTS_REMEMBERED:]:
        yield Rule.NOT_RETRIED, f"prepares what it rolled back under Targets {new.targets_version}"
    yield from bootable(truth)


def ended_by_going_back(old: Installation, new: Installation) -> bool:
    """Whether this move gives up an attempt for good."""
    led_back = old.state is _S.PREPARED and new.last_phase is Phase.ROLL_BACK
    return new.state is _S.IDLE and (old.state in _ON_THE_NEW or led_back)


# ----------------------------------------------------------------------------------------------- R2, R14: the move


def _counter(old: Installation, new: Installation) -> Iterator[Finding]:
    before, now = old.released_counter, new.released_counter
    released = new.state is _S.RELEASED and old.state is not _S.RELEASED
    if now < before:
        yield Rule.COUNTER, f"released counter {now}, it was {before}"
    elif released:
        image = new.images[new.home]
        wanted = before if image is None else max(before, image.release_counter)
        if now != wanted:
            yield Rule.COUNTER, f"released counter {now} after a release, {wanted} was due"
    elif now != before:
        yield Rule.COUNTER, f"released counter {now} instead of {before}, and nothing was released"


def _move(truth: EcuTruth, old: Installation, new: Installation) -> Iterator[Finding]:
    if new.state not in _MOVES[old.state]:
        yield Rule.STATES, f"{old.state.value} became {new.state.value}"
        return
    same = (old.bundle, old.targets_version) == (new.bundle, new.targets_version)
    bound = old.state in _ON_THE_NEW or (old.state is _S.PREPARED and old.last_phase is not None)
    if bound and not same:
        yield Rule.STATES, f"{old.state.value} was bound to another transaction"
    if new.home != old.home and (new.state is not _S.RELEASED or old.state is _S.RELEASED):
        yield Rule.STATES, f"slot {new.home} became the one to fall back to while {new.state.value}"
    if new.running != old.running and not truth.booting:
        yield Rule.STATES, f"slot {new.running} is said to run without a boot"
    begun = new.state is _S.PREPARED and old.state is not _S.PREPARED
    if same and not begun and new.last_phase not in {old.last_phase, *_PHASES[old.last_phase]}:
        said = "nothing" if new.last_phase is None else new.last_phase.value
        yield Rule.STATES, f"{said} after {'nothing' if old.last_phase is None else old.last_phase.value}"
    if ended_by_going_back(old, new) and (new.bundle, new.targets_version) not in new.rolled_back:
        yield Rule.NOT_RETRIED, "went back and does not remember from what"
    yield from (
        (Rule.STATES, f"{old.state.value} became {new.state.value} {why}") for why in _without_word(truth, old, new)
    )


def _without_word(truth: EcuTruth, old: Installation, new: Installation) -> Iterator[str]:
    """Why a move that may be was not due."""
    led = new.coordinator is not None
    match old.state, new.state:
        case _S.PREPARED, _S.TRIAL if led and old.last_phase is not Phase.ACTIVATE:
            yield "without an order"
        case _S.TRIAL, _S.TRIAL if new.boots > 1:
            yield "by a restart, which has to revert it"
        case _S.TRIAL, _S.VOTED | _S.RELEASED if not truth.tested:
            yield "and its self-test has not passed"
        case (_S.TRIAL | _S.VOTED, _S.RELEASED) if led:
            yield "by itself, though there is a coordinator"
        case _S.VOTED, _S.COMMITTED if new.last_phase is not Phase.COMMIT:
            yield "without an order"
        case _S.COMMITTED, _S.RELEASED if new.last_phase is not Phase.RELEASE:
            yield "without an order"
        case (_S.VOTED | _S.COMMITTED, _S.IDLE) if new.last_phase is not Phase.ROLL_BACK:
            if new.outcome is not Outcome.UNBOOTABLE or (old.boots < BOOTS_MAX and not _fell_back(truth, new)):
                yield f"by itself, after {old.boots} boots that did not come up"
        case (_S.VOTED | _S.COMMITTED, _S.VOTED | _S.COMMITTED) if new.boots > BOOTS_MAX:
            yield f"for the {new.boots}th time though it does not come up"


def _fell_back(truth: EcuTruth, new: Installation) -> bool:
    """Whether a bootloader has booted the old slot, and so decided."""
    loader = truth.node.bootloader if isinstance(truth.node, PrimaryNode) else None
    return loader is not None and loader.running == new.running == new.home


# --------------------------------------------------------------------------------------------------- R3: bootable


def bootable(truth: EcuTruth) -> Iterator[Finding]:
    """What keeps this ECU from booting now, or from going on."""
    now = truth.installation
    roles = {now.home: "falls back to", next_boot(now): "boots next", now.running: "runs"}
    for slot, role in roles.items():
        if not truth.holds(slot, now.images[slot]):
            image = now.images[slot]
            yield (
                Rule.BOOTABLE,
                f"{role} slot {slot}, which does not hold {'anything' if image is None else image.filename}",
            )


def booted(truth: EcuTruth, slot: int) -> Iterator[Finding]:
    """What is wrong with a boot that has just ended, `slot` being what it runs."""
    now = truth.installation
    wanted = 1 - now.home if now.state in _ON_THE_NEW else now.home
    if slot != now.running or slot != wanted:
        yield (
            Rule.BOOTABLE,
            f"booted slot {slot} while {now.state.value}; slot {wanted} was due, {now.running} is on record",
        )
    image = now.images[slot]
    if image is not None and image not in truth.authorised:
        yield Rule.AUTHORISED, f"booted {image.filename}, which nobody had authorised for it"
    truth.unproven = truth.unproven + 1 if now.state in _ON_THE_NEW else 0
    if truth.unproven > (1 if now.state is _S.TRIAL else BOOTS_MAX):
        yield (
            Rule.STATES,
            f"{now.state.value}, and booted {truth.unproven} times in a row without passing its self-test",
        )
    yield from bootable(truth)


def next_boot(now: Installation) -> int:
    """The slot that the next boot is to choose."""
    stays = now.state in {_S.VOTED, _S.COMMITTED} and now.boots < BOOTS_MAX
    starts = now.state is _S.TRIAL and now.boots == 0
    return 1 - now.home if stays or starts else now.home


# -------------------------------------------------------------------------------------- R1, R13: the word for it


def _prepared_anew(old: Installation, new: Installation) -> bool:
    if new.state is not _S.PREPARED:
        return False
    said = [(each.state, each.bundle, each.targets_version, each.images) for each in (old, new)]
    return said[0] != said[1]


def _authorised(truth: EcuTruth, new: Installation, issued: Issued) -> Iterator[Finding]:
    """R1: for an image that is now prepared."""
    image = new.images[1 - new.home]
    if image is None or not truth.holds(1 - new.home, image):
        yield (
            Rule.AUTHORISED,
            f"is prepared with a slot that does not hold {'anything' if image is None else image.filename}",
        )
        return
    wrong = list(_unassigned(truth, new, issued))
    if image.release_counter < new.released_counter:
        yield (
            Rule.COUNTER,
            f"prepares {image.filename} with counter {image.release_counter}, {new.released_counter} is released",
        )
    if not wrong:
        truth.authorised.add(image)
    for text in wrong:
        yield Rule.AUTHORISED, f"prepares {image.filename} {text}"


def _unassigned(truth: EcuTruth, new: Installation, issued: Issued) -> Iterator[str]:
    """Why the prepared image has nobody's word, or only an old one."""
    version = new.targets_version
    targets = issued.targets_for(truth.vehicle, version)
    held = truth.targets
    if targets is None:
        yield f"under Targets {version}, which this vehicle was never issued"
        return
    if bundle_in(issued.targets[truth.vehicle, version]) != new.bundle:
        yield f"for a bundle that Targets {version} do not assign"
    entry = targets.entries.find(truth.ecu)
    if entry is None or installed_image(entry.image) != new.images[1 - new.home]:
        yield f"which Targets {version} do not assign to it"
        return
    if targets.coordinator != new.coordinator:
        yield f"under orders of a key that Targets {version} do not name"
    if held is None or held.header.version != version:
        yield f"under Targets {version} while it holds {'none' if held is None else held.header.version}"
    if truth.own.hardware not in entry.image.hardware:
        yield f"which is for {', '.join(entry.image.hardware)}"
    yield from _expired(truth)
    if truth.full:
        yield from _unpublished(truth, entry.image, issued)


def _newest(truth: EcuTruth, new: Installation) -> Iterator[Finding]:
    """R1: whatever came between preparing and the order to activate has cancelled it, or bound it to newer Targets."""
    held = truth.targets
    if held is None or held.header.version != new.targets_version:
        version = "none" if held is None else str(held.header.version)
        yield Rule.AUTHORISED, f"is to start an image of Targets {new.targets_version}, and holds {version}"


def _expired(truth: EcuTruth) -> Iterator[str]:
    """Which of the files it acts on have expired, by the time it can prove."""
    for name in (DIRECTOR_ROOT, TARGETS, *(_FULL_FILES if truth.full else ())):
        file = truth.file(name)
        if file is None or not isinstance(file.value, METADATA):
            yield f"without a file {name}"
        elif truth.utc - SKEW_S >= file.value.header.expires:
            yield f"though {name} expired at {file.value.header.expires}, and it is {truth.utc}"


def _unpublished(truth: EcuTruth, image: Image, issued: Issued) -> Iterator[str]:
    """Why the Image repository's word, as this ECU holds it, is not enough for an image."""
    snapshot = truth.file(IMAGE + "snapshot")
    for name in truth.records:
        if not name.startswith((IMAGE + "targets", IMAGE + "role/")):
            continue
        file = truth.file(name)
        if file is not None and _vouches(file, image) and issued.is_genuine(file, Repository.IMAGE, truth.vehicle):
            if snapshot is not None and _is_listed(file, snapshot):
                return
            yield f"on the word of {name}, which its Snapshot does not list"
            return
    yield "without a word of the Image repository"


def _vouches(file: Read, image: Image) -> bool:
    if not isinstance(file.value, ImageTargets):
        return False
    found = file.value.entries.find(image.filename)
    return found is not None and found.octets == image.octets


def _is_listed(file: Read, snapshot: Read) -> bool:
    if not isinstance(snapshot.value, Snapshot) or not isinstance(file.value, ImageTargets):
        return False
    speaker = file.value.header.speaker
    listed = snapshot.value.files.find(speaker.role if isinstance(speaker, Delegate) else TOP_TARGETS)
    return listed is not None and listed.info.version == file.value.header.version


def _fresh(truth: EcuTruth) -> Iterator[Finding]:
    """R13: for an image that is now started."""
    if not truth.attested:
        yield Rule.FRESH, "starts a new image, and no time was attested since it booted"
    yield from ((Rule.FRESH, f"starts a new image {why}") for why in _expired(truth))
