"""Between the values of the cores and the messages of uptane/rpc/director.proto, both ways."""

from __future__ import annotations

from director.assign import Selection
from director.errors import Declined, Reason
from director.inventory import Ecu, Vehicle, Verification
from director.resolve import Kind, Rule
from director.status import EcuStatus, VehicleStatus
from uptane.model.ids import EcuId, Filename, HardwareId
from uptane.model.reports import InstalledImage
from uptane.model.signed import PublicKey, Scheme
from uptane.moments import UtcTime
from uptane.rpc.gen import director_pb2 as pb

KEY_LENGTHS = {
    Scheme.ED25519: 32,
    Scheme.P256: 33,
    Scheme.ML_DSA_44: 1_312,
    Scheme.ML_DSA_65: 1_952,
    Scheme.ED25519_ML_DSA_44: 1_344,
    Scheme.ED25519_ML_DSA_65: 1_984,
}


def key_of(message: pb.PublicKey) -> PublicKey:
    """A public key; raise Declined if it is none."""
    try:
        scheme = Scheme(message.scheme)
    except ValueError:
        raise Declined(Reason.INVALID, f"{message.scheme[:40]!r} is no scheme of keys") from None
    if len(message.octets) != KEY_LENGTHS[scheme]:
        text = f"a key of {scheme.value} has {KEY_LENGTHS[scheme]} octets, not {len(message.octets)}"
        raise Declined(Reason.INVALID, text)
    return PublicKey(scheme, message.octets)


def key_message(key: PublicKey | None) -> pb.PublicKey | None:
    """A public key as a message."""
    return None if key is None else pb.PublicKey(scheme=key.scheme.value, octets=key.octets)


def image_of(message: pb.InstalledImage) -> InstalledImage:
    """An installed image; enrol judges it."""
    return InstalledImage(Filename(message.filename), message.length, message.sha256, message.release_counter)


def image_message(image: InstalledImage | None) -> pb.InstalledImage | None:
    """An installed image as a message."""
    if image is None:
        return None
    return pb.InstalledImage(
        filename=image.filename, length=image.length, sha256=image.sha256, release_counter=image.release_counter
    )


def ecu_of(message: pb.Ecu) -> Ecu:
    """An ECU to be enrolled; enrol judges it. Raise Declined if its key or verification is none."""
    try:
        verification = Verification(message.verification)
    except ValueError:
        raise Declined(Reason.INVALID, f"{message.id[:80]}: {message.verification[:40]!r} is neither") from None
    return Ecu(
        id=EcuId(message.id),
        hardware=HardwareId(message.hardware),
        primary=message.primary,
        verification=verification,
        bus=message.bus,
        address=message.address,
        filename=message.filename,
        slot_size=message.slot_size,
        key=key_of(message.public_key) if message.HasField("public_key") else None,
        factory=image_of(message.image) if message.HasField("image") else None,
    )


def ecu_message(ecu: Ecu) -> pb.Ecu:
    """An ECU as a message."""
    return pb.Ecu(
        id=ecu.id,
        hardware=ecu.hardware,
        primary=ecu.primary,
        verification=ecu.verification.value,
        bus=ecu.bus,
        address=ecu.address,
        filename=ecu.filename,
        slot_size=ecu.slot_size,
        public_key=key_message(ecu.key),
        image=image_message(ecu.factory),
    )


def selection_of(message: pb.Selection) -> Selection:
    """A selection of an order; assign judges it."""
    return Selection(
        EcuId(message.ecu) if message.ecu else None,
        HardwareId(message.hardware) if message.hardware else None,
        Filename(message.image) if message.image else None,
    )


def rule_of(message: pb.ConstrainRequest) -> Rule:
    """A rule between images; raise Declined if its kind is none."""
    try:
        kind = Kind(message.kind)
    except ValueError:
        raise Declined(Reason.INVALID, f"{message.kind[:40]!r}: an image requires or conflicts with another") from None
    return Rule(kind, Filename(message.image), Filename(message.other), message.release_counter_min)


def status_message(status: VehicleStatus, polled: UtcTime | None) -> pb.VehicleStatus:
    """A vehicle's status as a message."""
    vehicle: Vehicle = status.vehicle
    issued = vehicle.issued
    return pb.VehicleStatus(
        vehicle=vehicle.id,
        ecus=[_ecu_status(each) for each in status.ecus],
        revoked=vehicle.revoked is not None,
        polled=polled or 0,
        targets_version=0 if issued is None else issued.targets_version,
        bundle=b"" if issued is None else issued.bundle,
        refused=[pb.Refused(check=each.check.code, detail=f"{each.count} x: {each.detail}") for each in status.refused],
        manifests=vehicle.manifests,
        notes=status.notes,
    )


def _ecu_status(status: EcuStatus) -> pb.EcuStatus:
    ecu, reported = status.record.ecu, status.record.reported
    said = None if reported is None else reported.report
    refusals = () if said is None else said.refusals
    return pb.EcuStatus(
        ecu=ecu.id,
        hardware=ecu.hardware,
        primary=ecu.primary,
        verification=ecu.verification.value,
        wanted=image_message(status.wanted),
        assigned=image_message(status.assigned),
        reported=image_message(status.reported),
        before=image_message(status.before),
        state="" if said is None else said.state.value,
        outcome="" if said is None else said.outcome.value,
        proven=status.proven,
        silent_since=status.record.silent_since or 0,
        refused=[pb.Refused(check=refusal.check, detail=f"{refusal.count} x") for refusal in refusals],
        held_back=status.held_back,
        report_counter=status.record.report_counter,
        reported_time=0 if said is None else min(said.time, 2**63),
    )
