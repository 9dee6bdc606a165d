"""Orders in C, patterns, and which of several wrongs is named."""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.builders import (
    BRAKE,
    CODEC,
    COORDINATOR,
    HARDWARE,
    HASHER,
    NONCE,
    NOW,
    STRANGER,
    VEHICLE,
    VERIFIER,
    Pair,
    image,
    key,
    sealed,
)
from tests.firmware.metadata_pair import OER, SLOT_SIZE, bench
from tests.firmware.verify_pair import ENCRYPTED, Both, own_entry, swapped
from uptane.errors import Check, Malformed, Rejected
from uptane.model.ids import Bundle, RoleName, VehicleId
from uptane.model.metadata import ForVehicle
from uptane.model.reports import Phase, TimeAttestation
from uptane.model.signed import PublicKey
from uptane.verify.image import bundle_of, installed_image
from uptane.verify.installation import Installation
from uptane.verify.orders import check_order
from uptane.verify.patterns import is_accepted

# Orders


def _order(**changes: Any) -> Callable[[Both], bytes]:
    phase = changes.pop("phase", Phase.ACTIVATE)
    return lambda both: both.pair.order(phase, **changes)


OTHER = key("other coordinator")
ORDERS: dict[str, tuple[Callable[[Both], bytes], Check | Phase]] = {
    **{phase.value: (_order(phase=phase), phase) for phase in Phase},
    "a stranger's": (_order(signers=[STRANGER]), Check.ORDER_SIGNATURE),
    "a stranger's beside it": (_order(signers=[STRANGER, COORDINATOR]), Phase.ACTIVATE),
    "another vehicle's": (_order(vehicle=VehicleId("vehicle-2")), Check.ORDER_VEHICLE),
    "another bundle's": (_order(bundle=Bundle(bytes(32))), Check.ORDER_BUNDLE),
    "another version's": (_order(targets_version=4), Check.ORDER_TARGETS_VERSION),
    "a newer level": (_order(level=2), Check.LEVEL),
    "another kind": (
        lambda both: sealed(CODEC.encode(TimeAttestation(1, NOW, NONCE)), [COORDINATOR]),
        Check.KIND,
    ),
    "noise": (lambda _: b"noise", Check.ENCODING),
    "signed noise": (lambda _: sealed(b"noise", [COORDINATOR]), Check.ENCODING),
    "a file that is disordered": (
        lambda both: sealed(swapped(OER.open(both.pair.director.targets(), 1 << 20).payload), [COORDINATOR]),
        Check.ENCODING,
    ),
}


def _orders(both: Both, bound: PublicKey | None, *, has_bundle: bool = True, octets: bytes) -> Check | Phase:
    """What both make of an order, in a transaction that is bound to a coordinator."""
    both.core.tools.bench_bind(both.core.ecu, None if bound is None else bound.octets, has_bundle)
    targets = both.held.director.targets
    assert targets is not None
    running = installed_image(both.pair.director.entries[BRAKE].image)
    now = Installation(
        (running, running),
        bundle=bundle_of(HASHER, targets.value) if has_bundle else None,
        targets_version=targets.value.header.version,
        coordinator=bound,
    )
    found: Check | Phase
    try:
        newest = targets.value.coordinator
        found = check_order(VERIFIER, octets, now, vehicle=VEHICLE, newest=newest).value.phase
    except Rejected as error:
        found = error.check
    except Malformed:
        found = Check.ENCODING
    assert both.core.order(octets) is found
    return found


@pytest.mark.parametrize(("order", "verdict"), ORDERS.values(), ids=ORDERS)
def test_orders(ready: Both, order: Callable[[Both], bytes], verdict: Check | Phase) -> None:
    octets = order(ready)
    assert _orders(ready, COORDINATOR.public, octets=octets) is verdict
    assert _orders(ready, None, octets=octets) is verdict


def test_the_old_and_the_new_coordinator_may_both_order(ready: Both) -> None:
    for signer, verdict in ((OTHER, Phase.COMMIT), (COORDINATOR, Phase.COMMIT), (STRANGER, Check.ORDER_SIGNATURE)):
        octets = ready.pair.order(Phase.COMMIT, signers=[signer])
        assert _orders(ready, OTHER.public, octets=octets) is verdict


def test_without_coordinator_or_bundle_there_are_no_orders(ready: Both) -> None:
    assert _orders(ready, None, has_bundle=False, octets=ready.pair.order(Phase.COMMIT)) is Check.ORDER_BUNDLE
    ready.pair.director.coordinator = None
    assert ready.issued() is None
    octets = ready.pair.order(Phase.COMMIT)
    assert _orders(ready, None, octets=octets) is Check.ORDER_COORDINATOR
    assert _orders(ready, None, octets=b"noise") is Check.ENCODING
    assert _orders(ready, COORDINATOR.public, octets=octets) is Phase.COMMIT
    assert ready.core.order(None) is Check.LINK_SEQUENCE


# Whatever is wrong at once


WRONGS: dict[str, st.SearchStrategy[Any]] = {
    "level": st.just(2),
    "speaker": st.just(ForVehicle(VehicleId("v"))),
    "version": st.integers(3, 6),
    "expires": st.sampled_from((NOW - 1, NOW, NOW + 1)),
    "signers": st.sampled_from(([STRANGER], [key("director snapshot"), STRANGER])),
    "tamper": st.sampled_from((swapped, lambda payload: payload + b"x", own_entry(lambda e: b"\x08" + e[1:]))),
    "refresh": st.just(True),
    "delegations": st.just(Pair().image.delegations(RoleName("targets"))),
}
ENTRIES = st.sampled_from(
    (
        None,
        image("app", 0, "x"),
        image("b/app", 0, "x", length=SLOT_SIZE + 1),
        image("b/app", 0, HARDWARE[BRAKE], length=SLOT_SIZE + 1),
        image("b/app", 0, HARDWARE[BRAKE]),
        image("b/app", 1, HARDWARE[BRAKE]),
    )
)


@settings(max_examples=60)
@given(data=st.data())
def test_of_several_wrongs_both_name_the_same(host_library: Path, data: st.DataObject) -> None:
    both = Both(host_library)
    assert both.time() is None
    assert both.targets() is None
    both.released_counter = data.draw(st.integers(0, 2))
    both.refresh()
    value, encrypted = data.draw(ENTRIES), data.draw(st.none() | st.just(ENCRYPTED))
    del both.pair.director.entries[BRAKE]
    if value is not None:
        both.pair.director.assign(BRAKE, value, encrypted=encrypted)
    wrong = data.draw(st.lists(st.sampled_from(sorted(WRONGS)), max_size=4, unique=True))
    both.issued(**{name: data.draw(WRONGS[name]) for name in wrong})


# Patterns


@settings(max_examples=400)
@given(rule=st.text("ab*?/.", min_size=1, max_size=12), name=st.text("ab/.", min_size=1, max_size=12))
def test_names_match_the_same_patterns(host_library: Path, rule: str, name: str) -> None:
    accepts = bench(host_library).bench_accepts
    accepts.restype = ctypes.c_bool
    assert accepts(rule.encode(), len(rule), name.encode(), len(name)) == is_accepted(rule, name)
