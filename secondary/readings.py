"""What service 0x22 reads from this ECU."""

from __future__ import annotations

from secondary.install import held_octets
from secondary.state import State
from uptane.link.uds_objects import Status, encode_refusal, encode_status
from uptane.link.uds_values import Did
from uptane.verify.image import assigned_to


def reading(state: State, did: int) -> bytes | None:
    """The octets of a data identifier; None for one there is not, or not yet."""
    match did:
        case Did.STATUS:
            return encode_status(status(state))
        case Did.REPORT:
            return None if state.report is None else state.report.octets
        case Did.NONCE:
            return state.nonce
        case Did.REFUSAL:
            return encode_refusal(0 if state.latest_refusal is None else state.latest_refusal.code)
        case Did.VEHICLE:
            return state.facts.own.vehicle.encode()
        case Did.ECU:
            return state.facts.own.ecu.encode()
        case Did.HARDWARE:
            return state.facts.own.hardware.encode()
        case Did.FILENAME:
            return state.installation.image.filename.encode()
        case _:
            return None


def status(state: State) -> Status:
    """Where this ECU stands, for whoever runs the update."""
    installation, held = state.installation, state.held
    next_offset, entry_digest = _download(state)
    return Status(
        state=installation.state,
        outcome=installation.outcome,
        running_slot=installation.running,
        time_attested=held.clock.attested,
        director_root=held.director.root.value.header.version,
        image_root=0 if held.image is None else held.image.root.value.header.version,
        targets_version=0 if state.targets is None or state.is_lacking else state.targets.value.header.version,
        next_offset=next_offset,
        entry_digest=entry_digest,
        bundle=installation.bundle,
        report_counter=state.report_counter,
        last_phase=installation.last_phase,
    )


def _download(state: State) -> tuple[int, bytes | None]:
    """How much of which entry's image the other slot holds: of the assigned one's if any, else of an earlier one's."""
    tag = state.tag()
    if state.targets is not None and tag is not None:
        image = assigned_to(state.facts.verifier.hasher, state.targets.value, state.facts.own.ecu).image
        assert image is not None, "there is an entry"
        octets = held_octets(state, image, tag)
        if octets:
            return octets, tag
    progress = state.other
    return (0, None) if progress is None else (progress.next_offset, progress.tag)
