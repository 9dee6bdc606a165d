"""The Image repository and the people around it: publishers, suppliers, the holders of the Root keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from image_repo.ceremony import Holders, holders_of, rotated
from image_repo.delegate import with_delegation
from image_repo.publish import (
    ROOT,
    ClockBehind,
    Conflict,
    Occasion,
    Terms,
    first_targets,
    renewed,
    with_images,
    without_images,
)
from image_repo.service import FILES_MAX
from image_repo.standing import delegatees
from sim.image_records import Records
from sim.image_server import TERMS, ImageServer
from sim.keys import Ring, listed
from sim.server import Caretakers, Site, is_due
from sim.signatures import CODEC
from sim.verbs import Verb
from uptane.errors import LinkFailure, Malformed, Rejected
from uptane.model.ids import TOP_TARGETS, Filename, HardwareId, Role, RoleName
from uptane.model.metadata import Delegate, DelegatedRole, Delegation, Image, ImageTargets, Paths, Root
from uptane.model.signed import Authority
from uptane.verify.roles import top_authority
from uptane.verify.signing import sign

ONLINE: Final = frozenset({Role.SNAPSHOT, Role.TIMESTAMP})


class Wish(NamedTuple):
    """An image to be published, and by which role."""

    octets: bytes
    hardware: HardwareId
    counter: int
    role: RoleName = TOP_TARGETS


class ImageNode(ImageServer):
    """See the module. `offline` holds the keys of Root, Targets and delegated roles."""

    def __init__(self, records: Records, rings: tuple[Ring, Ring], site: Site, *, terms: Terms = TERMS) -> None:
        """`rings` are the online keys and the offline ones."""
        super().__init__(records, rings[0], site, terms=terms)
        self.offline: Final = rings[1]
        self.caretakers: Final = Caretakers(site.clock)

    def reload(self) -> None:
        """As ImageServer.reload; while it was down, nobody could do anything."""
        super().reload()
        self.caretakers.looked()

    def metadata(self, name: str, length_max: int) -> bytes | None:
        """As ImageServer.metadata; people have looked after their files before."""
        self._tend()
        return super().metadata(name, length_max)

    # -------------------------------------------------------------------------------------------------- publishers

    def publish(self, wishes: Mapping[Filename, Wish]) -> None:
        """Upload images, then let their roles vouch for them, all at once; what stands already is left as it is.

        Raises:
            Rejected, Malformed, Conflict, ClockBehind: nothing is published.
            LinkFailure: the repository died; it is published as a whole or not at all.
        """
        self._tend()
        images: dict[RoleName, list[Image]] = {}
        for filename, wish in wishes.items():
            digest = self.upload(wish.octets)
            image = Image(filename, len(wish.octets), digest, None, (wish.hardware,), wish.counter, b"")
            images.setdefault(wish.role, []).append(CODEC.image(image))
        occasion = self._by_people()
        drafts = [with_images(self._targets(role), each, CODEC, occasion) for role, each in images.items()]
        changed = [each for each in drafts if each.entries != self._targets(RoleName(_role_of(each))).entries]
        if changed:
            self._submit(*changed)

    def withdraw(self, filenames: Sequence[Filename]) -> None:
        """Take images back, from whichever roles vouch for them. Their octets stay.

        Raises:
            As publish.
        """
        self._tend()
        occasion = self._by_people()
        roles = [TOP_TARGETS, *sorted(self.standing.delegated)]
        drafts = [
            without_images(self._targets(role), filenames, CODEC, occasion)
            for role in roles
            if any(self._targets(role).entries.find(filename) is not None for filename in filenames)
        ]
        self._submit(*drafts)
        self.say(Verb.WITHDRAWN, " ".join(filenames))

    # --------------------------------------------------------------------------------------------- holders of keys

    def delegate(self, role: RoleName, paths: Sequence[str], *, terminating: bool = False, keys: int = 1) -> None:
        """Let a new role, with `keys` keys of which all must sign, vouch for what these patterns match.

        Raises:
            As publish; keys that were made stay, and are used by nobody.
        """
        self._tend()
        occasion = self._by_people()
        made = self.offline.create(role, keys)
        named = DelegatedRole(role, tuple(each.key_id for each in made), keys)
        delegation = Delegation((), terminating, Paths(tuple(paths)), (named,), 1)
        top = with_delegation(self.standing.targets.value, delegation, listed(made), occasion)
        self._submit(top, first_targets(role, CODEC, occasion))

    def rotate(self, role: Role) -> None:
        """Give a top-level role as many new keys as it has; the old ones are revoked.

        Raises:
            As publish; keys that were made stay, and are used by nobody.
        """
        self._tend()
        root, occasion = self.standing.root.value, self._by_people()
        old = holders_of(root, role)
        made = (self.online if role in ONLINE else self.offline).create(role.value, len(old.keys))
        fresh = rotated(root, role, Holders(tuple(listed(made)), old.threshold), occasion)
        self._submit(fresh, *([renewed(self.standing.targets.value, occasion)] if role is Role.TARGETS else []))
        self.say(Verb.ROTATED, role.value)

    @property
    def was_ahead(self) -> bool:
        """Whether the server's clock signed, or saw, a time that has not come yet: nothing else can be published."""
        return self.standing.timestamp.value.header.issued > self.true_utc

    def rotate_root(self) -> None:
        """Give the Root other keys. Raises: as rotate."""
        self.rotate(Role.ROOT)

    def rotate_delegate(self, role: RoleName) -> None:
        """Give a role that the top-level Targets delegate to other keys; what it vouches for is signed anew.

        Raises:
            As rotate.
        """
        self._tend()
        top, occasion = self.standing.targets.value, self._by_people()
        delegation = delegation_to(top, role)
        made = self.offline.create(role, max(len(each.key_ids) for each in delegation.roles if each.name == role))
        ids = tuple(each.key_id for each in made)
        roles = tuple(replace(each, key_ids=ids) if each.name == role else each for each in delegation.roles)
        changed = with_delegation(top, replace(delegation, roles=roles), listed(made), occasion)
        self._submit(changed, renewed(self._targets(role), occasion))
        self.say(Verb.ROTATED, role)

    def renew_root(self) -> None:
        """Sign the Root again with the same keys, valid anew. Raises: as publish."""
        root = self.standing.root.value
        self._submit(rotated(root, Role.ROOT, holders_of(root, Role.ROOT), self._by_people()))

    # ------------------------------------------------------------------------------------------------------ details

    def _by_people(self) -> Occasion:
        """When people sign: their clocks are right, whatever the server's shows."""
        return Occasion(self.true_utc, self.terms)

    def _targets(self, role: RoleName) -> ImageTargets:
        file = self.standing.role(role)
        assert file is not None, f"{role} is delegated to"
        return file.value

    def _submit(self, *values: ImageTargets | Root) -> None:
        """Sign each file by whoever speaks for it once all of them stand, and a Root by the one before as well."""
        root = next((each for each in values if isinstance(each, Root)), self.standing.root.value)
        top = next((each for each in values if _role_of(each) == TOP_TARGETS), self.standing.targets.value)
        assert isinstance(top, ImageTargets)
        signed: dict[str, bytes] = {}
        for value in values:
            authorities = self._authorities(value, root, top)
            signers = {signer.public: signer for each in authorities for signer in self.offline.signers(each)}
            signed[_role_of(value)] = sign(CODEC, value, list(signers.values()))
        self.submit(signed)

    def _authorities(self, value: ImageTargets | Root, root: Root, top: ImageTargets) -> list[Authority]:
        if isinstance(value, Root):
            return [top_authority(each, Role.ROOT) for each in (self.standing.root.value, root)]
        role = RoleName(_role_of(value))
        if role == TOP_TARGETS:
            return [top_authority(root, Role.TARGETS)]
        direct = dict(delegatees(top)).get(role)
        return [direct] if direct is not None else list(self.standing.authorities[role])

    def _tend(self) -> None:
        """Sign what was due since somebody looked last, each at its time; what fails now is tried again later."""
        while self.up and (due := self.caretakers.due(each.header for each in self._signed_by_people())) is not None:
            try:
                with self.back_then(due):
                    self._renew_by_people()
            except (Rejected, Malformed, Conflict, ClockBehind, LinkFailure) as failure:
                self.say(Verb.TROUBLE, f"cannot be renewed: {failure}")
                break
        self.caretakers.looked()

    def _renew_by_people(self) -> None:
        occasion = self._by_people()
        files = [each for each in self._signed_by_people() if is_due(each.header, occasion.utc)][:FILES_MAX]
        renewal = [
            rotated(each, Role.ROOT, holders_of(each, Role.ROOT), occasion)
            if isinstance(each, Root)
            else renewed(each, occasion)
            for each in files
        ]
        self._submit(*renewal)
        self.say(Verb.RENEWED, " ".join(map(_role_of, files)))

    def _signed_by_people(self) -> list[ImageTargets | Root]:
        roles = (TOP_TARGETS, *sorted(self.standing.delegated))
        return [self.standing.root.value, *map(self._targets, roles)]


def delegation_to(targets: ImageTargets, role: RoleName) -> Delegation:
    """The delegation of `targets` that names `role`, which there is."""
    assert targets.delegations is not None
    return next(each for each in targets.delegations.delegations if any(one.name == role for one in each.roles))


def _role_of(value: ImageTargets | Root) -> str:
    if isinstance(value, Root):
        return ROOT
    speaker = value.header.speaker
    return speaker.role if isinstance(speaker, Delegate) else TOP_TARGETS
