"""Attacks on the time, on an ECU's states, and by vehicle orders: what metadata alone cannot tell."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.attacks.row import BOTH, Row, cut, other_kind
from tests.builders import (
    BRAKE,
    COORDINATOR,
    DAY,
    NONCE,
    NOW,
    STRANGER,
    TIME,
    VEHICLE,
    VERIFIER,
    Bench,
)
from uptane.errors import Check, Rejected
from uptane.model.ids import Bundle, Role, VehicleId
from uptane.model.limits import ATTESTATION_LENGTH_MAX, ORDER_LENGTH_MAX
from uptane.model.reports import Phase
from uptane.moments import UtcTime
from uptane.verify.chain import set_time
from uptane.verify.image import Assigned, Content
from uptane.verify.installation import (
    Installation,
    boot,
    cancel,
    check_wanted,
    confirm,
    erase,
    factory,
    obey,
    prepare,
    start,
    vote,
    write,
)
from uptane.verify.orders import check_order
from uptane.verify.recheck import recheck
from uptane.verify.states import BLAMED


def rows() -> Iterator[Row]:
    yield from time_rows()
    yield from install_rows()
    yield from activation_rows()
    yield from order_rows()


# ------------------------------------------------------------------------------------------------------------ time


def time_rows() -> Iterator[Row]:
    """1.K: wholly accepted or wholly rejected."""

    def row(name: str, check: Check, tamper: Callable[[Bench], object] = lambda bench: None, **changes: Any) -> Row:
        def run(bench: Bench) -> object:
            return verify_at(bench, bench.pair.attestation(**changes))

        return Row(f"time {name}", tamper, check, BOTH, run)

    def given(name: str, check: Check, octets: Callable[[Bench], bytes]) -> Row:
        return Row(f"time {name}", lambda bench: None, check, BOTH, lambda bench: verify_at(bench, octets(bench)))

    def later_before(bench: Bench) -> None:
        bench.pair.now = UtcTime(NOW + 100)
        bench.verify()

    def no_role(bench: Bench) -> None:
        del bench.pair.director.keys[Role.TIME]
        bench.store.clear()
        bench.pair.director.versions["root"] = 0
        bench.pair.director.root()
        bench.__post_init__()

    yield row("signed by a stranger", Check.TIME_SIGNATURES, signers=[STRANGER])
    yield row("signed by another role", Check.TIME_SIGNATURES, signers=[COORDINATOR])
    yield row("for another nonce", Check.TIME_NONCE, nonce=b"o" * 16)
    yield row("earlier than before", Check.TIME_BACKWARDS, later_before, time=NOW + 99)
    yield row("earlier than the Root was issued", Check.TIME_BACKWARDS, time=NOW - 3_601)
    yield row("of a newer level", Check.LEVEL, level=2)
    yield row("without a time role", Check.TIME_ROLE, no_role)
    yield given("of another kind", Check.KIND, lambda _: other_kind([TIME]))
    yield given("too long", Check.LENGTH, lambda _: bytes(ATTESTATION_LENGTH_MAX + 1))
    yield given("truncated", Check.ENCODING, lambda bench: cut(bench.pair.attestation()))


def verify_at(bench: Bench, attestation: bytes) -> object:
    return bench.partial(attestation=attestation) if bench.ecu == BRAKE else bench.full(attestation=attestation)


# ---------------------------------------------------------------------------------------------------------- states


def assigned(bench: Bench) -> Assigned:
    """What the stored Targets say to the ECU, checked again."""
    return recheck(VERIFIER, bench.held, bench.ecu)


def content(bench: Bench, **changes: Any) -> Content:
    """The other slot as it should be."""
    image = bench.pair.director.entries[bench.ecu].image
    return replace(Content(image.length, image.sha256), **changes)


def new(bench: Bench) -> Installation:
    """An ECU as it left the factory, which has verified the update."""
    bench.verify()
    return factory(bench.pair.factory[bench.ecu])


def prepared(bench: Bench) -> Installation:
    return prepare(new(bench), assigned(bench), content(bench))


def ordered(bench: Bench, installation: Installation, *phases: Phase) -> Installation:
    for phase in phases:
        order = check_order(VERIFIER, bench.pair.order(phase), installation, vehicle=VEHICLE, newest=None)
        installation = obey(installation, order)
    return installation


def on_trial(bench: Bench) -> Installation:
    activated = ordered(bench, prepared(bench), Phase.ACTIVATE)
    return boot(start(activated, assigned(bench), content(bench), attested=True))[1]


def blamed(installation: Installation) -> None:
    """Raise what an outcome is reported as."""
    raise Rejected(BLAMED[installation.outcome])


def install_row(name: str, check: Check, run: Callable[[Bench], object]) -> Row:
    """One thing that an ECU refuses when it installs."""
    return Row(f"install: {name}", lambda bench: bench.verify(), check, BOTH, run)


def install_rows() -> Iterator[Row]:
    """1.J: what an ECU refuses of an image and of an erase."""
    row = install_row

    def no_entry(bench: Bench) -> None:
        del bench.pair.director.entries[bench.ecu]
        bench.pair.director.issue()
        bench.verify()

    def erases(bench: Bench) -> None:
        installation = new(bench)
        for _ in range(5):
            installation = erase(installation, assigned(bench))

    def changed(bench: Bench) -> None:
        installation = ordered(bench, prepared(bench), Phase.ACTIVATE)
        start(installation, assigned(bench), content(bench, sha256=bytes(32)), attested=True)

    yield Row(
        "install: no entry",
        no_entry,
        Check.INSTALL_NO_ENTRY,
        BOTH,
        lambda bench: check_wanted(new(bench), assigned(bench)),
    )
    yield row(
        "shorter", Check.INSTALL_LENGTH, lambda bench: prepare(new(bench), assigned(bench), content(bench, length=9))
    )
    yield row(
        "other octets",
        Check.INSTALL_HASH,
        lambda bench: prepare(new(bench), assigned(bench), content(bench, sha256=bytes(32))),
    )
    yield row("the slot was changed after preparing", Check.INSTALL_HASH, changed)
    yield row("erased too often", Check.INSTALL_ERASES, erases)
    yield row(
        "erased though it holds the image",
        Check.INSTALL_ERASES,
        lambda bench: erase(cancel(prepared(bench)), assigned(bench)),
    )
    yield row("written while prepared", Check.INSTALL_STATE, lambda bench: write(prepared(bench)))
    yield row("erased while on trial", Check.INSTALL_STATE, lambda bench: erase(on_trial(bench), assigned(bench)))


def activation_rows() -> Iterator[Row]:
    """1.J: what an ECU refuses to activate, to confirm, or to try again."""
    row = install_row

    def rolled_back(bench: Bench) -> None:
        installation = ordered(bench, prepared(bench), Phase.ROLL_BACK)
        prepare(installation, assigned(bench), content(bench))

    def unbootable(bench: Bench) -> None:
        installation = vote(on_trial(bench), passed=True)
        for _ in range(4):
            installation = boot(installation)[1]
        blamed(installation)

    def unattested(bench: Bench) -> None:
        start(ordered(bench, prepared(bench), Phase.ACTIVATE), assigned(bench), content(bench), attested=False)

    def stale(bench: Bench) -> None:
        installation = ordered(bench, prepared(bench), Phase.ACTIVATE)
        later = bench.pair.attestation(time=NOW + DAY)
        bench.run(set_time(VERIFIER, bench.held, attestation=later, nonce=NONCE))
        start(installation, assigned(bench), content(bench), attested=True)

    yield row(
        "confirmed over the coordinator's head",
        Check.INSTALL_STATE,
        lambda bench: confirm(vote(on_trial(bench), passed=True)),
    )
    yield row(
        "activated without an order",
        Check.INSTALL_STATE,
        lambda bench: start(prepared(bench), assigned(bench), content(bench), attested=True),
    )
    yield row("self-test failed", Check.INSTALL_SELF_TEST, lambda bench: blamed(vote(on_trial(bench), passed=False)))
    yield row("does not boot", Check.INSTALL_UNBOOTABLE, unbootable)
    yield row("tried again after a roll back", Check.INSTALL_RETRIED, rolled_back)
    yield row("activated without a time", Check.TIME_UNATTESTED, unattested)
    yield row("activated after the Targets expired", Check.TARGETS_EXPIRED, stale)


# ---------------------------------------------------------------------------------------------------------- orders


def order_rows() -> Iterator[Row]:
    def row(name: str, check: Check, order: Callable[[Bench], bytes], *before: Phase) -> Row:
        def run(bench: Bench) -> None:
            installation = ordered(bench, prepared(bench), *before)
            octets = order(bench)
            obey(installation, check_order(VERIFIER, octets, installation, vehicle=VEHICLE, newest=None))

        return Row(f"order: {name}", lambda bench: bench.verify(), check, BOTH, run)

    def no_coordinator(bench: Bench) -> None:
        bench.pair.director.coordinator = None
        bench.pair.director.issue()
        bench.verify()

    def nobody(bench: Bench) -> None:
        order = bench.pair.order(Phase.ACTIVATE)
        check_order(VERIFIER, order, prepared(bench), vehicle=VEHICLE, newest=None)

    activate = Phase.ACTIVATE
    yield Row("order: nobody may give any", no_coordinator, Check.ORDER_COORDINATOR, BOTH, nobody)
    yield row("forged", Check.ORDER_SIGNATURE, lambda bench: bench.pair.order(activate, signers=[STRANGER]))
    yield row(
        "for another vehicle", Check.ORDER_VEHICLE, lambda bench: bench.pair.order(activate, vehicle=VehicleId("v-2"))
    )
    yield row(
        "for another bundle", Check.ORDER_BUNDLE, lambda bench: bench.pair.order(activate, bundle=Bundle(bytes(32)))
    )
    yield row(
        "under other Targets", Check.ORDER_TARGETS_VERSION, lambda bench: bench.pair.order(activate, targets_version=5)
    )
    yield row("release before commit", Check.ORDER_PHASE, lambda bench: bench.pair.order(Phase.RELEASE), activate)
    yield row("commit before activate", Check.ORDER_PHASE, lambda bench: bench.pair.order(Phase.COMMIT))
    yield row(
        "activate after roll back",
        Check.ORDER_PHASE,
        lambda bench: bench.pair.order(activate),
        activate,
        Phase.ROLL_BACK,
    )
    yield row("commit before the vote", Check.INSTALL_STATE, lambda bench: bench.pair.order(Phase.COMMIT), activate)
    yield row("of another kind", Check.KIND, lambda bench: bench.pair.attestation(signers=[COORDINATOR]))
    yield row("of a newer level", Check.LEVEL, lambda bench: bench.pair.order(activate, level=2))
    yield row("too long", Check.LENGTH, lambda _: bytes(ORDER_LENGTH_MAX + 1))
    yield row("truncated", Check.ENCODING, lambda bench: cut(bench.pair.order(activate)))
