"""What an ECU says of itself is believed when its own key signed it, and only then kept, used or handed on.

Whoever is on a bus can answer in an ECU's place. An answer that does not hold is no news: the ECU's latest verified
report stands. The Director judges reports by the same checks once more (director/admit.py).
"""

from __future__ import annotations

from primary.means import Means
from primary.state import Told
from uptane.errors import Check, Rejected
from uptane.model.ids import EcuId, HardwareId
from uptane.model.limits import REPORT_LENGTH_MAX
from uptane.model.reports import EcuReport
from uptane.model.signed import PublicKey
from uptane.verify.threshold import accept_from, opened


def verified_report(means: Means, ecu: EcuId, octets: bytes) -> Told:
    """The report of `ecu`, an ECU of this vehicle: signed by its key, and speaking of it.

    Raises:
        Rejected: LENGTH, REPORT_SIGNATURE, KIND, LEVEL, REPORT_VEHICLE, REPORT_ECU, REPORT_HARDWARE.
        Malformed: it is no message.
    """
    key, hardware = _identity(means, ecu)
    envelope = opened(means.verifier, octets, REPORT_LENGTH_MAX)
    said = accept_from(means.verifier, envelope, key, EcuReport, check=Check.REPORT_SIGNATURE).value
    if said.vehicle != means.layout.vehicle:
        raise Rejected(Check.REPORT_VEHICLE, f"of {said.vehicle}")
    if said.ecu != ecu:
        raise Rejected(Check.REPORT_ECU, f"of {said.ecu}")
    if said.hardware != hardware:
        raise Rejected(Check.REPORT_HARDWARE, f"{said.hardware}, provisioned with {hardware}")
    return Told(octets, said)


def check_follows(known: Told, said: Told) -> None:
    """Refuse, as REPORT_COUNTER, a report older than `known`, or another one under the same counter: a replay."""
    before, after = known.report, said.report
    if after.counter < before.counter or (after.counter == before.counter and after != before):
        raise Rejected(Check.REPORT_COUNTER, f"counter {after.counter}, the last was {before.counter}")


def _identity(means: Means, ecu: EcuId) -> tuple[PublicKey, HardwareId]:
    if ecu == means.layout.ecu:
        return means.signer.public, means.layout.hardware
    secondary = means.layout.secondary(ecu)
    assert secondary is not None, "not an ECU of this vehicle"
    return secondary.key, secondary.hardware
