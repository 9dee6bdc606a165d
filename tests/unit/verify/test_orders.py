"""Vehicle orders: by the coordinator, for this vehicle, bundle and version. The refusals are rows of tests/attacks."""

from dataclasses import replace

import pytest

from tests.builders import COORDINATOR, FIRST, STRANGER, VEHICLE, VERIFIER, Pair, key
from uptane.errors import Check, Rejected
from uptane.model.reports import EcuState, InstalledImage, Phase
from uptane.verify.installation import Installation
from uptane.verify.orders import check_order

IMAGE = InstalledImage("brakes/app", 1, bytes(32), 1)  # type: ignore[arg-type]


@pytest.fixture
def pair() -> Pair:
    return Pair()


def prepared(pair: Pair) -> Installation:
    return Installation(
        (IMAGE, IMAGE),
        state=EcuState.PREPARED,
        bundle=pair.bundle(),
        targets_version=FIRST,
        coordinator=COORDINATOR.public,
    )


@pytest.mark.parametrize("phase", list(Phase))
def test_the_coordinators_orders_are_taken(pair: Pair, phase: Phase) -> None:
    order = check_order(VERIFIER, pair.order(phase), prepared(pair), vehicle=VEHICLE, newest=None)
    assert order.value.phase is phase


def test_strangers_signatures_beside_it_change_nothing(pair: Pair) -> None:
    octets = pair.order(Phase.COMMIT, signers=[STRANGER, COORDINATOR])
    check_order(VERIFIER, octets, prepared(pair), vehicle=VEHICLE, newest=None)


def test_a_primary_that_was_replaced_may_end_what_the_old_one_began(pair: Pair) -> None:
    new = key("new primary")
    octets = pair.order(Phase.ROLL_BACK, signers=[new])
    with pytest.raises(Rejected, match=Check.ORDER_SIGNATURE.name):
        check_order(VERIFIER, octets, prepared(pair), vehicle=VEHICLE, newest=None)
    check_order(VERIFIER, octets, prepared(pair), vehicle=VEHICLE, newest=new.public)
    octets = pair.order(Phase.ROLL_BACK)
    check_order(VERIFIER, octets, prepared(pair), vehicle=VEHICLE, newest=new.public)


def test_newest_targets_may_name_the_only_coordinator(pair: Pair) -> None:
    installation = replace(prepared(pair), coordinator=None)
    check_order(VERIFIER, pair.order(Phase.COMMIT), installation, vehicle=VEHICLE, newest=COORDINATOR.public)


def test_without_a_transaction_there_is_nothing_to_order(pair: Pair) -> None:
    idle = Installation((IMAGE, None))
    with pytest.raises(Rejected, match=Check.ORDER_BUNDLE.name):
        check_order(VERIFIER, pair.order(Phase.COMMIT), idle, vehicle=VEHICLE, newest=COORDINATOR.public)
