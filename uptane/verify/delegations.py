"""resolve_delegations (Uptane 2.1.0, sections 5.4.4.7, 5.4.4.8; TAP 3, TAP 15): which Targets role speaks for an image.

In order of priority, terminating, with hardware ids, with several roles that must agree; never round in circles, never
deep, never long. Whether the repositories then agree is image.py's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from uptane.errors import Check, Rejected
from uptane.machine import Workflow
from uptane.model.ids import TOP_TARGETS, Filename, HardwareId, MetaName, Repository, RoleName
from uptane.model.limits import DELEGATION_DEPTH_MAX, DELEGATIONS_VISITED_MAX, TARGETS_LENGTH_MAX
from uptane.model.metadata import Bins, Delegate, DelegatedRole, Delegation, Delegations, Image, ImageTargets
from uptane.model.signed import Authority, Verified
from uptane.moments import UtcTime
from uptane.ports import Hasher
from uptane.verify.needs import Fetch
from uptane.verify.patterns import bin_name, matches
from uptane.verify.roles import Asked, check_delegated_targets, fetch_limit, is_listed
from uptane.verify.stored import still
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Trusted


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image to be found: its name, and the hardware of the ECU it is meant for."""

    filename: Filename
    hardware: HardwareId


@dataclass(frozen=True, slots=True)
class Found:
    """The image, and every delegated role that was read to find it, in that order.

    Whoever is to find it again for himself needs them all: those that do not know the image as well.
    """

    image: Image
    roles: tuple[RoleName, ...]


class Miss(Enum):
    """Why a part of the search has no image."""

    NOT_HERE = "not here"
    STOP = "not behind a terminating delegation"


@dataclass(slots=True)
class _Search:
    """One search under way."""

    wanted: Wanted
    visits: list[RoleName] = field(default_factory=list)
    disagreed: bool = False


class Resolver:
    """Finds images in one state of the Image repository: `trusted`, whose `delegated` files may be older ones.

    `files` are the delegated files read so far, each as the Snapshot lists it.
    """

    def __init__(self, verifier: Verifier, trusted: Trusted[ImageTargets], utc: UtcTime) -> None:
        assert trusted.snapshot is not None
        assert trusted.targets is not None
        self._verifier = verifier
        self._snapshot = trusted.snapshot.value
        self._top = trusted.targets
        self._older = trusted.delegated
        self._utc = utc
        self._authorities: dict[RoleName, Authority] = {}
        self.files: dict[RoleName, Verified[ImageTargets]] = {}

    def find(self, wanted: Wanted) -> Workflow[Fetch, Found]:
        """Return what the Image repository says of an image.

        Raises:
            Rejected: DELEGATION_NOT_FOUND, _TERMINATED, _DISAGREE: nobody, or too few, vouch for it. DELEGATION_DEPTH,
                _COUNT, _CYCLE, _INVALID: the delegations are not usable. TARGETS_*, DELEGATION_KEYS, SPEAKER, KIND,
                LEVEL, LENGTH: a role on the way is not.
            Malformed: a role on the way is no Targets, or an entry not canonical.
        """
        search = _Search(wanted)
        result = yield from self._search(self._top.value, search, (TOP_TARGETS,), final=False)
        if isinstance(result, Image):
            return Found(result, tuple(dict.fromkeys(search.visits)))
        if search.disagreed:
            raise Rejected(Check.DELEGATION_DISAGREE, wanted.filename)
        check = Check.DELEGATION_TERMINATED if result is Miss.STOP else Check.DELEGATION_NOT_FOUND
        raise Rejected(check, f"{wanted.filename} for {wanted.hardware}")

    def _search(
        self, targets: ImageTargets, search: _Search, above: tuple[RoleName, ...], *, final: bool
    ) -> Workflow[Fetch, Image | Miss]:
        """Search one file and what it delegates to. `above` ends with its own name; `final`: it may not delegate."""
        image = targets.entries.find(search.wanted.filename)
        if image is not None:
            return image
        if final:
            # To the letter (resolve_delegations/3): a role reached through a terminating delegation has the last word.
            return Miss.STOP
        delegations = targets.delegations
        for delegation in () if delegations is None else delegations.delegations:
            assert delegations is not None
            if not applies(delegation, search.wanted):
                continue
            results: list[Image | Miss] = []
            for name, authority in _delegates(self._verifier.hasher, delegations, delegation, search.wanted):
                file = yield from self._visit(name, authority, search, above)
                result = yield from self._search(file.value, search, (*above, name), final=delegation.terminating)
                results.append(result)
            outcome = _outcome(delegation, results, search)
            if outcome is not Miss.NOT_HERE:
                return outcome
        return Miss.NOT_HERE

    def _visit(
        self, name: RoleName, authority: Authority, search: _Search, above: tuple[RoleName, ...]
    ) -> Workflow[Fetch, Verified[ImageTargets]]:
        """The delegated file `name`, as the Snapshot lists it, signed by `authority`: at hand, or fetched."""
        if name in above:
            raise Rejected(Check.DELEGATION_CYCLE, " > ".join((*above, name)))
        if len(above) > DELEGATION_DEPTH_MAX:
            raise Rejected(Check.DELEGATION_DEPTH, " > ".join((*above, name)))
        search.visits.append(name)
        if len(search.visits) > DELEGATIONS_VISITED_MAX:
            raise Rejected(Check.DELEGATION_COUNT, search.wanted.filename)
        if name in self.files and self._authorities[name] == authority:
            return self.files[name]
        entry = self._snapshot.files.find(name)
        if entry is None:
            raise Rejected(Check.TARGETS_NOT_LISTED, name)
        asked = Asked(Delegate(name), authority)
        older = self._older.get(name)
        trusted = None if older is None else still(self._verifier, older.octets, asked, ImageTargets)
        at_hand = self.files.get(name, trusted)
        if at_hand is not None and is_listed(self._verifier, at_hand, entry.info):
            octets: bytes | None = at_hand.octets
        else:
            limit = fetch_limit(entry.info, TARGETS_LENGTH_MAX)
            octets = yield Fetch(Repository.IMAGE, MetaName(name, entry.info.version), limit)
        if octets is None:
            raise Rejected(Check.DELEGATION_INVALID, name)
        file = check_delegated_targets(self._verifier, octets, asked, trusted, listed=entry.info, utc=self._utc)
        self.files[name], self._authorities[name] = file, authority
        return file


def applies(delegation: Delegation, wanted: Wanted) -> bool:
    """Whether `delegation` is about the image and the hardware: no list means any hardware, bins mean any name."""
    if delegation.hardware and wanted.hardware not in delegation.hardware:
        return False
    if isinstance(delegation.match, Bins):
        return True
    return any(matches(pattern, wanted.filename) for pattern in delegation.match.patterns)


def delegate_name(hasher: Hasher, delegation: Delegation, role: DelegatedRole, filename: Filename) -> RoleName:
    """The name of the role that holds `filename`: the role's own, or that of its bin."""
    if isinstance(delegation.match, Bins):
        return bin_name(hasher, role.name, delegation.match.bits, filename=filename)
    return role.name


def _delegates(
    hasher: Hasher, delegations: Delegations, delegation: Delegation, wanted: Wanted
) -> Iterator[tuple[RoleName, Authority]]:
    """The roles of a delegation, in order, each with who may speak for it: keys of the delegating file, no others."""
    keys = delegations.key_map()
    for role in delegation.roles:
        authority = Authority({each: keys[each] for each in role.key_ids if each in keys}, role.threshold)
        yield delegate_name(hasher, delegation, role, wanted.filename), authority


def _outcome(delegation: Delegation, results: Sequence[Image | Miss], search: _Search) -> Image | Miss:
    """What a delegation comes to, from what its roles came to (multi_role_delegations)."""
    if len(results) == 1:
        return results[0]
    images = [result for result in results if isinstance(result, Image)]
    groups: dict[bytes, list[Image]] = {}
    for image in images:
        groups.setdefault(image.octets, []).append(image)
    for group in groups.values():  # in the order of their earliest role, which decides between several
        if len(group) >= delegation.min_agree:
            return group[0]
    search.disagreed = search.disagreed or bool(images)
    return Miss.STOP if delegation.terminating else Miss.NOT_HERE
