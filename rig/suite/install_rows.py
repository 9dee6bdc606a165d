"""Attacks on installing: orders nobody gave, octets nobody signed, and steps out of their order."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Final

from rig.suite.metadata_rows import BOTH, NEWER_LEVEL, OTHER_VEHICLE, PARTIAL, Row, assign, cut
from rig.under_test import UnderTest
from rig.update import Stage, Update, attest
from uptane.errors import Check
from uptane.link import uds_client
from uptane.link.uds_objects import CheckOption, Object
from uptane.link.uds_transfer import from_octets, send_image
from uptane.link.uds_values import Nrc, Routine, Session, StartRoutine
from uptane.model.ids import Bundle
from uptane.model.limits import ERASES_PER_TARGETS_MAX
from uptane.model.reports import Phase, VehicleOrder
from uptane.moments import UtcTime

SHORT_LIFE_S: Final = 3  # of Targets that are to expire while the case looks on


def rows() -> Iterator[Row]:
    """All attacks on installing."""
    yield from order_rows()
    yield from slot_rows()
    yield from activation_rows()


# ---------------------------------------------------------------------------------------------------------- orders


def order_rows() -> Iterator[Row]:
    """A prepared bundle with a coordinator; then an order with one thing wrong."""
    row = order_row
    yield row("forged", Check.ORDER_SIGNATURE, _forged)
    yield row("for another vehicle", Check.ORDER_VEHICLE, _edited(lambda order: replace(order, vehicle=OTHER_VEHICLE)))
    yield row("for another bundle", Check.ORDER_BUNDLE, _edited(lambda order: replace(order, bundle=Bundle(bytes(32)))))
    yield row(
        "under other Targets",
        Check.ORDER_TARGETS_VERSION,
        _edited(lambda order: replace(order, targets_version=order.targets_version - 1)),
    )
    yield row("of a newer level", Check.LEVEL, _edited(lambda order: replace(order, level=NEWER_LEVEL)))
    yield row("cut short", Check.ENCODING, lambda ecu, update: cut(_good(Phase.ACTIVATE)(ecu, update)))
    yield row("commit before activate", Check.ORDER_PHASE, _good(Phase.COMMIT))
    yield row("release before commit", Check.ORDER_PHASE, _good(Phase.RELEASE), Phase.ACTIVATE)
    yield row("commit before the vote", Check.INSTALL_STATE, _good(Phase.COMMIT), Phase.ACTIVATE)
    yield row("activate after roll back", Check.ORDER_PHASE, _good(Phase.ACTIVATE), Phase.ACTIVATE, Phase.ROLL_BACK)
    yield Row("order without a coordinator", Check.ORDER_COORDINATOR, uncoordinated, moves=True)


Order = Callable[[UnderTest, Update], bytes]


def order_row(name: str, check: Check, make: Order, *before: Phase) -> Row:
    """What `make` makes for a prepared bundle, after the orders of `before`."""

    def play(ecu: UnderTest) -> None:
        update = ecu.update(coordinated=True)
        update.prepare()
        for phase in before:
            update.order(phase)
        ecu.tester.session(Session.EXTENDED)
        ecu.tester.hand(Object.ORDER, make(ecu, update))

    return Row(f"order {name}", check, play, moves=True)


def _good(phase: Phase) -> Order:
    return lambda ecu, update: ecu.backend.order(phase, ecu.backend.bundle([update.what.entry]), update.version)


def _edited(edit: Callable[[VehicleOrder], VehicleOrder]) -> Order:
    return lambda ecu, update: ecu.backend.order(
        Phase.ACTIVATE, ecu.backend.bundle([update.what.entry]), update.version, edit=edit
    )


def _forged(ecu: UnderTest, update: Update) -> bytes:
    bundle = ecu.backend.bundle([update.what.entry])
    return ecu.backend.order(Phase.ACTIVATE, bundle, update.version, signers=[ecu.backend.stranger])


def uncoordinated(ecu: UnderTest) -> None:
    """The Targets name nobody who may give orders."""
    update = ecu.update()
    update.prepare()
    ecu.tester.session(Session.EXTENDED)
    order = ecu.backend.order(Phase.ACTIVATE, ecu.backend.bundle([update.what.entry]), update.version)
    ecu.tester.hand(Object.ORDER, order)


# ------------------------------------------------------------------------------------------------------------ slots


def slot_rows() -> Iterator[Row]:
    """What may be wrong with the octets, or with erasing for them."""

    def other_octets(ecu: UnderTest) -> None:
        what = ecu.image()
        noise = Random(1).randbytes(len(what.octets))
        ecu.update(replace(what, octets=noise)).prepare()

    def one_bit(ecu: UnderTest) -> None:
        what = ecu.image()
        middle = len(what.octets) // 2
        octets = what.octets[:middle] + bytes((what.octets[middle] ^ 1,)) + what.octets[middle + 1 :]
        ecu.update(replace(what, octets=octets)).prepare()

    def not_erased(ecu: UnderTest) -> None:
        what = ecu.image()
        assign(ecu, what)
        ecu.tester.session(Session.PROGRAMMING)
        ecu.tester.run(uds_client.download(ecu.settings.ecu, 0, len(what.octets)))

    def nothing_assigned(ecu: UnderTest) -> None:
        what = ecu.image()
        ecu.ready()
        version = ecu.tester.status().targets_version + 1
        ecu.hand_targets(ecu.backend.targets([], version), what, version)
        erase(ecu)

    def what_runs(ecu: UnderTest) -> None:
        ecu.install()
        erase(ecu)

    yield Row("image of other octets", Check.INSTALL_HASH, other_octets, moves=True)
    yield Row("image with one bit changed", Check.INSTALL_HASH, one_bit, moves=True)
    yield Row("download into a slot that was not erased", Check.LINK_SEQUENCE, not_erased, moves=True, nrc=Nrc.SEQUENCE)
    yield Row("erase when nothing is assigned", Check.INSTALL_NO_ENTRY, nothing_assigned, PARTIAL, moves=True)
    yield Row("erase for what runs already", Check.INSTALL_STATE, what_runs, moves=True)
    yield Row("erase too often", Check.INSTALL_ERASES, too_often, moves=True)
    yield Row("slot erased while prepared and ordered", Check.INSTALL_STATE, ordered_then_erased, moves=True)
    yield Row("bundle tried again after roll back", Check.INSTALL_RETRIED, retried, moves=True)


def erase(ecu: UnderTest) -> None:
    """Ask for the other slot to be erased."""
    ecu.tester.session(Session.PROGRAMMING)
    ecu.tester.run(uds_client.erase(ecu.settings.ecu))


def too_often(ecu: UnderTest) -> None:
    """Erase, write something, erase: flash would wear."""
    what = ecu.image()
    assign(ecu, what)
    ecu.tester.session(Session.PROGRAMMING)
    for _ in range(ERASES_PER_TARGETS_MAX + 1):
        ecu.tester.run(uds_client.erase(ecu.settings.ecu))
        offset = ecu.tester.status().next_offset
        ecu.tester.run(uds_client.download(ecu.settings.ecu, offset, len(what.octets) - offset))
        ecu.tester.run(uds_client.put_block(ecu.settings.ecu, 1, what.octets[offset : offset + 64]))


def ordered_then_erased(ecu: UnderTest) -> None:
    """Once activation is ordered, the slot is not free."""
    update = ecu.update(coordinated=True)
    update.prepare()
    update.order(Phase.ACTIVATE)
    erase(ecu)


def retried(ecu: UnderTest) -> None:
    """What was rolled back is not tried again under the same Targets."""
    update = ecu.update(coordinated=True)
    update.prepare()
    update.order(Phase.ROLL_BACK)
    erase(ecu)


# ------------------------------------------------------------------------------------------------------- activation


def activation_rows() -> Iterator[Row]:
    """What hinders a prepared image from being started."""
    yield Row("activation without an attested time", Check.TIME_UNATTESTED, unattested, PARTIAL, moves=True)
    yield Row("activation after the Targets expired", Check.TARGETS_EXPIRED, stale, PARTIAL, moves=True)
    yield Row("activation of what is not prepared", Check.INSTALL_STATE, unprepared, BOTH, moves=True)


def unattested(ecu: UnderTest) -> None:
    """Metadata may be stored without a time since power-up, but nothing is activated."""
    ecu.restart()
    what = ecu.image()
    version = ecu.tester.status().targets_version + 1
    ecu.tester.session(Session.EXTENDED)
    ecu.tester.hand(Object.DIRECTOR_TARGETS, ecu.backend.targets([what.entry], version))
    ecu.tester.session(Session.PROGRAMMING)
    Update(ecu.tester, ecu.backend, what, version=version).image()
    ecu.tester.run(uds_client.restart(ecu.settings.ecu))


def stale(ecu: UnderTest) -> None:
    """Targets that expire between the check of the image and its activation."""
    what = ecu.image()
    life_s = SHORT_LIFE_S + 2 * ecu.lasted_ms.get(Stage.TRANSFER, 0) // 1_000
    expires = UtcTime(ecu.backend.utc() + life_s)
    ecu.ready()
    version = ecu.tester.status().targets_version + 1
    targets = ecu.backend.targets(
        [what.entry], version, edit=lambda each: replace(each, header=replace(each.header, expires=expires))
    )
    ecu.hand_targets(targets, what, version)
    ecu.tester.session(Session.PROGRAMMING)
    ecu.tester.run(uds_client.erase(ecu.settings.ecu))
    ecu.tester.run(send_image(ecu.settings.ecu, len(what.octets), from_octets(what.octets), ecu.tester.blocks))
    ecu.tester.check(CheckOption.IMAGE)
    ecu.tester.idle(1_000 * max(0, expires - int(time.time()) + 1))
    ecu.tester.session(Session.EXTENDED)
    attest(ecu.tester, ecu.backend)
    ecu.tester.session(Session.PROGRAMMING)
    ecu.tester.run(uds_client.restart(ecu.settings.ecu))


def unprepared(ecu: UnderTest) -> None:
    """Nothing was delivered, and activation is asked for."""
    assign(ecu, ecu.image())
    ecu.tester.session(Session.PROGRAMMING)
    request = StartRoutine(Routine.DEPENDENCIES)
    try:
        ecu.tester.run(uds_client.ask(ecu.settings.ecu, request))
    except uds_client.Denied as refusal:
        raise ecu.tester.run(uds_client.explained(ecu.settings.ecu, refusal)) from refusal
