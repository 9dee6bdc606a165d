"""An ECU's part in the vehicle transaction: its durable record, and what may happen to it (docs/wire.md, "States").

    idle -> prepared -> trial -> voted -> committed -> released

Pure functions from one frozen record to the next, over one table (states.py). Whoever calls makes the next record
durable before acting by it. No boot decision consults time. Orders are verified in orders.py, octets measured by the
shell, metadata checked elsewhere: what comes of that is an argument here. Used by Secondaries, and by the Primary as an
ECU.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from uptane.errors import Check, Rejected
from uptane.model.ids import Bundle
from uptane.model.limits import BOOT_ATTEMPTS_MAX, ERASES_PER_TARGETS_MAX
from uptane.model.metadata import Image
from uptane.model.reports import EcuState, InstalledImage, Outcome, Phase, VehicleOrder
from uptane.model.signed import PublicKey, Verified
from uptane.verify.image import Assigned, Content, check_content, check_released, installed_image
from uptane.verify.states import NEXT, ORDERED, PHASES, Event

ROLLED_BACK_MAX: Final = 8  # (bundle, version) pairs remembered: the Director sees each in a report and moves on

RUNNING_NEW: Final = frozenset({EcuState.TRIAL, EcuState.VOTED, EcuState.COMMITTED})


@dataclass(frozen=True, slots=True)
class Installation:
    """The durable record of one ECU with two slots.

    `home` is the slot of the released software, `running` the one this boot runs; the slot to write is always the one
    that is not home. `images` says what each slot is known to hold, checked by its hash; None while that is not known.
    `bundle`, `targets_version`, `coordinator` and `last_phase` belong to the latest transaction and stand after its
    end, for reports and for orders that come twice. `boots` counts boots of the new image that did not come up.
    """

    images: tuple[InstalledImage | None, InstalledImage | None]
    state: EcuState = EcuState.IDLE
    outcome: Outcome = Outcome.NONE
    home: int = 0
    running: int = 0
    bundle: Bundle | None = None
    targets_version: int = 0
    coordinator: PublicKey | None = None
    last_phase: Phase | None = None
    released_counter: int = 0
    boots: int = 0
    erases: int = 0
    erases_under: int = 0
    rolled_back: tuple[tuple[Bundle, int], ...] = ()

    @property
    def other(self) -> int:
        """The slot an update goes to: the one that does not hold the released software."""
        return 1 - self.home

    @property
    def image(self) -> InstalledImage:
        """What this boot runs."""
        image = self.images[self.running]
        assert image is not None, "nothing boots a slot of unknown content"
        return image


def factory(image: InstalledImage, released_counter: int | None = None) -> Installation:
    """The record of an ECU as it leaves the factory, `image` in slot 0 and released."""
    counter = image.release_counter if released_counter is None else released_counter
    return Installation((image, None), released_counter=counter)


def is_running(installation: Installation, image: Image) -> bool:
    """Whether `image` is what the released slot holds: then the ECU is held as it is, no participant of the bundle."""
    return installation.images[installation.home] == installed_image(image)


def erase(installation: Installation, assigned: Assigned) -> Installation:
    """The record before the other slot is erased for the assigned image.

    Raises:
        Rejected: INSTALL_ERASES (4 under this Targets version, or it holds the image); INSTALL_STATE; and what
            `check_wanted` refuses.
    """
    image = check_wanted(installation, assigned)
    state = _next(installation, Event.ERASE)
    _check_other_is_free(installation)
    if installation.images[installation.other] == installed_image(image):
        raise Rejected(Check.INSTALL_ERASES, "the slot holds the image already")
    spent = installation.erases if installation.erases_under == assigned.targets_version else 0
    if spent >= ERASES_PER_TARGETS_MAX:
        raise Rejected(Check.INSTALL_ERASES, f"{spent} under Targets {assigned.targets_version}")
    cleared = _known(installation, installation.other, None)
    return replace(cleared, state=state, erases=spent + 1, erases_under=assigned.targets_version)


def spare(installation: Installation, before: Installation) -> Installation:
    """The record after storage refused the erase that followed `before`: it wore nothing, so it does not count.

    Else a disk that is full for a moment would keep an ECU from its update until newer Targets come.
    """
    return replace(installation, erases=before.erases, erases_under=before.erases_under)


def write(installation: Installation) -> Installation:
    """The record before an octet is written to the other slot: whatever it held is known no more.

    Raises:
        Rejected: INSTALL_STATE.
    """
    state = _next(installation, Event.WRITE)
    _check_other_is_free(installation)
    return replace(_known(installation, installation.other, None), state=state)


def prepare(installation: Installation, assigned: Assigned, content: Content) -> Installation:
    """The record once the other slot, just measured as `content`, holds the assigned image: ready to be activated.

    Raises:
        Rejected: INSTALL_LENGTH, INSTALL_HASH; INSTALL_STATE; and what `check_wanted` refuses.
    """
    state = _next(installation, Event.PREPARE)
    if installation.state is EcuState.PREPARED and not _is_of(installation, assigned):
        raise Rejected(Check.INSTALL_STATE, "prepared for another bundle")
    image = check_wanted(installation, assigned)
    _check_other_is_free(installation)
    check_content(image, content)
    known = _known(installation, installation.other, installed_image(image))
    if installation.state is EcuState.PREPARED:
        return known
    return replace(
        known,
        state=state,
        outcome=Outcome.NONE,
        bundle=assigned.bundle,
        targets_version=assigned.targets_version,
        coordinator=assigned.coordinator,
        last_phase=None,
        boots=0,
    )


def check_wanted(installation: Installation, assigned: Assigned) -> Image:
    """Return the image this ECU is to take, if it may take it: asked before erasing, downloading and preparing.

    Raises:
        Rejected: INSTALL_NO_ENTRY; INSTALL_COUNTER; INSTALL_RETRIED; INSTALL_STATE when it runs already.
    """
    image = assigned.image
    if image is None:
        raise Rejected(Check.INSTALL_NO_ENTRY)
    check_released(image, installation.released_counter)
    if (assigned.bundle, assigned.targets_version) in installation.rolled_back:
        raise Rejected(Check.INSTALL_RETRIED, f"Targets {assigned.targets_version}")
    if is_running(installation, image):
        raise Rejected(Check.INSTALL_STATE, "this image runs already")
    return image


def follow(installation: Installation, assigned: Assigned) -> Installation:
    """The record after newer Targets were stored: bound to them when the bundle is the same, cancelled when it is not.

    Only while prepared and not yet told to activate; from then on the running transaction ends first. To be asked
    after every verification and at every start: it changes nothing when there is nothing to change.
    """
    if installation.state is not EcuState.PREPARED or installation.last_phase is not None:
        return installation
    return rebind(installation, assigned) if installation.bundle == assigned.bundle else cancel(installation)


def rebind(installation: Installation, assigned: Assigned) -> Installation:
    """The record bound to a newer Targets with the same bundle.

    Raises:
        Rejected: INSTALL_STATE.
    """
    state = _next(installation, Event.REBIND)
    if installation.last_phase is not None or installation.bundle != assigned.bundle:
        raise Rejected(Check.INSTALL_STATE, "activation is ordered, or the bundle is another")
    # A rotation may have brought a lower version: bound to the higher one, the ECU would take nobody's orders any more.
    version = assigned.targets_version
    return replace(installation, state=state, targets_version=version, coordinator=assigned.coordinator)


def cancel(installation: Installation) -> Installation:
    """The record after giving up a prepared bundle that nobody has ordered to activate; the slot keeps its image.

    Raises:
        Rejected: INSTALL_STATE.
    """
    state = _next(installation, Event.CANCEL)
    if installation.state is not EcuState.PREPARED:
        return installation
    if installation.last_phase is not None:
        raise Rejected(Check.INSTALL_STATE, "activation is ordered")
    return replace(installation, state=state, bundle=None, targets_version=0, coordinator=None)


def obey(installation: Installation, order: Verified[VehicleOrder]) -> Installation:
    """The record after an order that orders.py has verified for this transaction.

    Each phase is taken once and in order; the latest one again changes nothing, so a lost reply wedges nobody.
    `activate` is held until `start`. After `roll back` the ECU has to be reset when `running` is not `home`.

    Raises:
        Rejected: ORDER_PHASE; INSTALL_STATE.
    """
    phase = order.value.phase
    assert installation.bundle == order.value.bundle, "check_order has refused orders for other bundles"
    if phase is installation.last_phase:
        return installation
    if phase not in PHASES[installation.last_phase]:
        last = "nothing" if installation.last_phase is None else installation.last_phase.value
        raise Rejected(Check.ORDER_PHASE, f"{phase.value} after {last}")
    state = _next(installation, ORDERED[phase])
    ordered = replace(installation, last_phase=phase)
    match phase:
        case Phase.ACTIVATE:
            return replace(ordered, state=state)
        case Phase.COMMIT:
            return replace(ordered, state=state, outcome=Outcome.INSTALLED)
        case Phase.RELEASE:
            return _released(ordered)
        case Phase.ROLL_BACK:
            ended = installation.outcome if installation.state is EcuState.IDLE else Outcome.ROLLED_BACK
            return reverted(ordered, ended)


def start(installation: Installation, assigned: Assigned, content: Content, *, attested: bool) -> Installation:
    """The record before the reset that starts the new image.

    `assigned` is what the stored Targets say, checked again under the newest Root and time (partial.recheck);
    `content` is the other slot, measured again; `attested`: a time was attested since power-up.

    Raises:
        Rejected: TIME_UNATTESTED; INSTALL_STATE (also without the coordinator's order, where there is one);
            INSTALL_LENGTH, INSTALL_HASH.
    """
    state = _next(installation, Event.START)
    if not attested:
        raise Rejected(Check.TIME_UNATTESTED)
    ordered = installation.last_phase is Phase.ACTIVATE
    if installation.coordinator is not None and not ordered:
        raise Rejected(Check.INSTALL_STATE, "the coordinator has not ordered it")
    # Once ordered, other ECUs may be on trial already: newer Targets wait until the transaction has ended.
    if not ordered and installation.bundle != assigned.bundle:
        raise Rejected(Check.INSTALL_STATE, "the Targets name another bundle")
    image = installation.images[installation.other]
    assert image is not None, "prepare has checked the slot"
    if (content.length, content.sha256) != (image.length, image.sha256):
        raise Rejected(Check.INSTALL_HASH, "the slot has changed since it was prepared")
    return replace(installation, state=state, boots=0)


def boot(installation: Installation) -> tuple[int, Installation]:
    """The slot to boot, and the record before doing so. Nothing but the record decides."""
    event = _boot_event(installation)
    state = _next(installation, event)
    if state in RUNNING_NEW:
        new = installation.other
        return new, replace(installation, state=state, running=new, boots=installation.boots + 1)
    if installation.state in RUNNING_NEW:
        outcome = Outcome.UNBOOTABLE if event is Event.FALL_BACK else Outcome.ROLLED_BACK
        installation = reverted(installation, outcome)
    return installation.home, replace(installation, state=state, running=installation.home)


def vote(installation: Installation, *, passed: bool) -> Installation:
    """The record after the self-test of the new image. After a failed first one the ECU has to be reset.

    Once voted, a passed test says that the image came up; a failed one is counted by the next boots.

    Raises:
        Rejected: INSTALL_STATE; so also when the new image is not what runs.
    """
    state = _next(installation, Event.PASSED if passed else Event.FAILED)
    if installation.running != installation.other:
        raise Rejected(Check.INSTALL_STATE, "the new image is not what runs")
    if state is EcuState.IDLE:
        return reverted(installation, Outcome.SELF_TEST_FAILED)
    return replace(installation, state=state, boots=0 if passed else installation.boots)


def confirm(installation: Installation) -> Installation:
    """The record after an ECU without a coordinator has confirmed itself: released at once.

    Raises:
        Rejected: INSTALL_STATE; so also when there is a coordinator, whose word it is.
    """
    _next(installation, Event.CONFIRM)
    if installation.coordinator is not None:
        raise Rejected(Check.INSTALL_STATE, "the coordinator confirms this bundle")
    return _released(replace(installation, outcome=Outcome.INSTALLED))


def _boot_event(installation: Installation) -> Event:
    if installation.state is EcuState.TRIAL and installation.boots == 0:
        return Event.FIRST_BOOT
    confirmed_once = installation.state in {EcuState.VOTED, EcuState.COMMITTED}
    return Event.FALL_BACK if confirmed_once and installation.boots >= BOOT_ATTEMPTS_MAX else Event.BOOT


def _next(installation: Installation, event: Event) -> EcuState:
    state = NEXT.get((installation.state, event))
    if state is None:
        raise Rejected(Check.INSTALL_STATE, f"{event.value} while {installation.state.value}")
    return state


def _is_of(installation: Installation, assigned: Assigned) -> bool:
    return (installation.bundle, installation.targets_version) == (assigned.bundle, assigned.targets_version)


def _check_other_is_free(installation: Installation) -> None:
    # After a vote of no, or an order to roll back, the new image runs on until the reset.
    if installation.running == installation.other:
        raise Rejected(Check.INSTALL_STATE, "the slot is running")


def _known(installation: Installation, slot: int, image: InstalledImage | None) -> Installation:
    images = list(installation.images)
    images[slot] = image
    return replace(installation, images=(images[0], images[1]))


def _released(installation: Installation) -> Installation:
    """Only here the counter rises and the old slot becomes free."""
    new = installation.images[installation.other]
    assert new is not None, "prepare has checked the slot"
    counter = max(installation.released_counter, new.release_counter)
    return replace(installation, state=EcuState.RELEASED, home=installation.other, released_counter=counter, boots=0)


def reverted(installation: Installation, outcome: Outcome) -> Installation:
    """Back to the released software, at the next boot. This bundle is not tried again under these Targets."""
    assert installation.bundle is not None, "only a transaction can be rolled back"
    pair = (installation.bundle, installation.targets_version)
    pairs = (*(each for each in installation.rolled_back if each != pair), pair)[-ROLLED_BACK_MAX:]
    return replace(installation, state=EcuState.IDLE, outcome=outcome, boots=0, rolled_back=pairs)
