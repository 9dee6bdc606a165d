"""Vehicle orders (docs/wire.md, "Orders"): whose word moves a bundle. What an order changes is installation.py's."""

from __future__ import annotations

from uptane.errors import Check, Rejected
from uptane.model.ids import VehicleId
from uptane.model.limits import ORDER_LENGTH_MAX
from uptane.model.reports import VehicleOrder
from uptane.model.signed import PublicKey, Verified
from uptane.verify.installation import Installation
from uptane.verify.threshold import Verifier, accept_from, opened


def check_order(
    verifier: Verifier, octets: bytes, installation: Installation, *, vehicle: VehicleId, newest: PublicKey | None
) -> Verified[VehicleOrder]:
    """Return an order for this ECU's transaction, signed by its coordinator.

    The coordinator is the key named by the Targets the transaction is bound to, or `newest`, the one named by the
    newest stored Director Targets: a Primary that was replaced meanwhile must be able to end what the old one began.

    Raises:
        Rejected: ORDER_COORDINATOR, ORDER_SIGNATURE, ORDER_VEHICLE, ORDER_BUNDLE, ORDER_TARGETS_VERSION; KIND, LEVEL,
            LENGTH.
        Malformed: it is no order.
    """
    envelope = opened(verifier, octets, ORDER_LENGTH_MAX)
    coordinators = [key for key in (installation.coordinator, newest) if key is not None]
    if not coordinators:
        raise Rejected(Check.ORDER_COORDINATOR)
    message = verifier.codec.message(envelope.payload)
    signed_by = (
        key for key in coordinators for each in envelope.signatures if verifier.valid(key, message, each.octets)
    )
    signer = next(signed_by, coordinators[0])
    order = accept_from(verifier, envelope, signer, VehicleOrder, check=Check.ORDER_SIGNATURE)
    if order.value.vehicle != vehicle:
        raise Rejected(Check.ORDER_VEHICLE, order.value.vehicle)
    if order.value.bundle != installation.bundle:
        raise Rejected(Check.ORDER_BUNDLE, order.value.bundle.hex())
    if order.value.targets_version != installation.targets_version:
        versions = f"{order.value.targets_version}, this ECU acts on {installation.targets_version}"
        raise Rejected(Check.ORDER_TARGETS_VERSION, versions)
    return order
