"""What the verified Director Targets ask of this vehicle: the bundle, who takes part, who is held as it is. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from primary.layout import Layout
from primary.refresh import SETTLED
from primary.state import Memory
from uptane.model.ids import Bundle, EcuId
from uptane.model.metadata import Assignment, Image
from uptane.model.signed import PublicKey
from uptane.ports import Hasher
from uptane.verify.image import Assigned, bundle_of, entry_digest_of, installed_image


@dataclass(frozen=True, slots=True)
class Plan:
    """One bundle. `participants` are the ECUs whose image is another than assigned, in the order of activation.

    `digests` name each ECU's entry, as its status does while it downloads.
    """

    bundle: Bundle
    targets_version: int
    coordinator: PublicKey | None
    assignments: Mapping[EcuId, Assignment]
    digests: Mapping[EcuId, bytes]
    participants: tuple[EcuId, ...]

    def image(self, ecu: EcuId) -> Image:
        """The image assigned to a participant."""
        return self.assignments[ecu].image

    def images(self) -> tuple[Image, ...]:
        """The images that participants are to take."""
        return tuple(self.image(ecu) for ecu in self.participants)

    def assigned(self, ecu: EcuId) -> Assigned:
        """What the Targets say to `ecu`."""
        entry = self.assignments.get(ecu)
        return Assigned(self.bundle, self.targets_version, self.coordinator, None if entry is None else entry.image)


def plan_of(layout: Layout, memory: Memory, hasher: Hasher) -> Plan | None:
    """What the Targets now held ask for; None when none are held. The entries have been verified in full.

    Raises:
        Malformed: an entry is not in canonical form; full verification has refused such Targets.
    """
    targets = memory.held.director.targets
    if targets is None:
        return None
    assignments = {entry.ecu: entry for entry in targets.value.entries}
    digests = {
        ecu: digest for ecu in assignments if (digest := entry_digest_of(hasher, targets.value, ecu)) is not None
    }
    due = frozenset(ecu for ecu, entry in assignments.items() if not _runs(layout, memory, ecu, entry.image))
    return Plan(
        bundle=bundle_of(hasher, targets.value),
        targets_version=targets.value.header.version,
        coordinator=targets.value.coordinator,
        assignments=assignments,
        digests=digests,
        participants=layout.activation_order(due),
    )


def unmatched(memory: Memory, plan: Plan) -> frozenset[EcuId]:
    """The participants whose assignment, as it stands, full verification has not matched with the Image repository."""
    matches = {} if memory.full is None else memory.full.matches
    return frozenset(
        ecu
        for ecu in plan.participants
        if (match := matches.get(ecu)) is None or match.assignment != plan.assignments[ecu]
    )


def _runs(layout: Layout, memory: Memory, ecu: EcuId, image: Image) -> bool:
    """Whether `ecu` runs `image` for good: ours we know, others say so.

    One that never reported does not, nor one whose latest report is from a trial: it may have gone back since.
    """
    if ecu == layout.ecu:
        return memory.installation.images[memory.installation.home] == installed_image(image)
    known = memory.reports.get(ecu)
    return known is not None and known.report.state in SETTLED and known.report.image == installed_image(image)
