"""Changes of who may sign: delegations to suppliers, and rotation of keys under the Root's threshold."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from image_repo.ceremony import Holders, holders_of, progress, rotated
from image_repo.delegate import pattern, role_name, with_delegation, without_role
from image_repo.publish import ROOT, first_targets, renewed
from image_repo.shell.client import Client, Refused
from image_repo.shell.folder import ONLINE, Folder, KeyRing, write_whole
from image_repo.shell.publishing import Desk, Done, Draft, draft, drafted, read_envelope, submit_drafts, targets_of
from image_repo.standing import Standing
from uptane.codec.oer import Oer
from uptane.crypto import LocalSigner, key_id_of, valid
from uptane.errors import Malformed
from uptane.model.ids import HardwareId, KeyId, Role, RoleName, name
from uptane.model.limits import ROOT_LENGTH_MAX
from uptane.model.metadata import DelegatedRole, Delegation, ImageTargets, Key, Paths, Root
from uptane.model.signed import Authority, PublicKey, Scheme
from uptane.shell import tls
from uptane.verify.roles import top_authority

# ---------------------------------------------------------------------------------------------------- delegations


@dataclass(frozen=True, slots=True)
class Order:
    """A delegation as an operator asks for it.

    `public` gives the keys of suppliers who keep their own; for any other new role a key is made. `firsts` gives the
    first Targets that such a supplier has signed (`marque-repo begin`).
    """

    roles: tuple[str, ...]
    paths: tuple[str, ...]
    hardware: tuple[str, ...] = ()
    terminating: bool = False
    first: bool = False
    threshold: int = 1
    min_agree: int = 1
    public: Mapping[str, tuple[PublicKey, ...]] = field(default_factory=dict)
    firsts: Mapping[str, bytes] = field(default_factory=dict)


def delegate(desk: Desk, order: Order, ring: KeyRing, scheme: Scheme) -> Done:
    """Let roles sign what matches, and publish the first Targets of those that have none.

    Raises:
        Refused, Rejected, Malformed, LinkFailure, StorageFailure.
    """
    standing = desk.client.standing()
    parent = targets_of(standing, desk.role)
    keys: dict[RoleName, tuple[Key, ...]] = {}
    made: dict[RoleName, LocalSigner] = {}
    for role in map(role_name, order.roles):
        held = _keys_in(parent, role)
        if role in order.public:
            keys[role] = tuple(Key(key_id_of(public), public) for public in order.public[role])
        elif held:
            keys[role] = held
        else:
            made[role] = ring.create(role, scheme)
            keys[role] = (Key(made[role].key_id, made[role].public),)
    fresh = with_delegation(
        parent,
        _delegation(order, keys),
        [key for role in keys for key in keys[role]],
        desk.occasion(),
        first=order.first,
    )
    drafts = [draft(desk, standing, fresh), *_firsts(desk, standing, order, made=made)]
    done = submit_drafts(desk, drafts, also=order.firsts)
    notes = tuple(f"{role}: key {signer.key_id.hex()} made, in {ring.folder}" for role, signer in made.items())
    return Done(done.published, pending=done.pending, notes=(*done.notes, *notes))


def undelegate(desk: Desk, role: str) -> Done:
    """Take a role's right to sign back.

    Raises: as `delegate`.
    """
    standing = desk.client.standing()
    fresh = without_role(targets_of(standing, desk.role), role_name(role), desk.occasion())
    return submit_drafts(desk, [draft(desk, standing, fresh)])


def _keys_in(parent: ImageTargets, role: RoleName) -> tuple[Key, ...]:
    """The keys a role has by now, if it is delegated to."""
    if parent.delegations is None:
        return ()
    by_id = {key.key_id: key for key in parent.delegations.keys}
    for delegation in parent.delegations.delegations:
        for each in delegation.roles:
            if each.name == role:
                return tuple(by_id[key_id] for key_id in each.key_ids)
    return ()


def _delegation(order: Order, keys: Mapping[RoleName, tuple[Key, ...]]) -> Delegation:
    roles = tuple(
        DelegatedRole(role, tuple(key.key_id for key in held), order.threshold) for role, held in keys.items()
    )
    hardware = tuple(sorted({HardwareId(name(each)) for each in order.hardware}))
    paths = Paths(tuple(pattern(each) for each in order.paths))
    return Delegation(hardware, order.terminating, paths, roles, order.min_agree)


def _firsts(desk: Desk, standing: Standing, order: Order, *, made: Mapping[RoleName, LocalSigner]) -> Sequence[Draft]:
    """The first Targets of roles for which a key was made; other new roles must bring theirs."""
    drafts = []
    for role in map(role_name, order.roles):
        if role in made:
            drafts.append(Draft(first_targets(role, Oer(), desk.occasion()), [made[role]]))
        elif standing.role(role) is None and role not in order.firsts:
            raise Refused(f"{role} keeps its own key: it also signs its first Targets (marque-repo begin {role})")
    return drafts


# ------------------------------------------------------------------------------------------------------- rotation


def rotate(desk: Desk, role: Role, rings: Mapping[Role, KeyRing], scheme: Scheme) -> Done:
    """Give a role as many new keys as it has, under the Root's threshold; the old ones are revoked.

    The new keys of an online role lie where the server finds them before it is asked to sign with them.

    Raises:
        Refused, Rejected, Malformed, LinkFailure, StorageFailure.
    """
    standing = desk.client.standing()
    root, occasion = standing.root.value, desk.occasion()
    old = holders_of(root, role)
    made = [rings[role].create(role.value, scheme) for _ in old.keys]
    holders = Holders(tuple(Key(each.key_id, each.public) for each in made), old.threshold)
    fresh = rotated(root, role, holders, occasion)
    draft_of_root = drafted(fresh, rings[Role.ROOT].signers(top_authority(root, Role.ROOT)), _root_authority(standing))
    if role is Role.ROOT:
        draft_of_root = Draft(fresh, [*draft_of_root.signers, *made], draft_of_root.lacking)
    drafts = [draft_of_root]
    if role is Role.TARGETS:
        drafts.append(Draft(renewed(standing.targets.value, replace(occasion, afresh=True)), made))
    done = submit_drafts(desk, drafts)
    names = ", ".join(each.key_id.hex() for each in made)
    where = "the server" if role in ONLINE else "the offline folder"
    return Done(done.published, pending=done.pending, notes=(*done.notes, f"{role.value}: new keys {names} of {where}"))


def renew_root(desk: Desk, ring: KeyRing) -> Done:
    """Sign the Root again with the same keys, valid anew.

    Raises: as `rotate`.
    """
    standing = desk.client.standing()
    root = standing.root.value
    fresh = rotated(root, Role.ROOT, holders_of(root, Role.ROOT), desk.occasion())
    authority = _root_authority(standing)
    return submit_drafts(desk, [drafted(fresh, ring.signers(authority), authority)])


def missing_signatures(pending: Path, before: Path) -> Sequence[KeyId]:
    """The keys that have not signed a pending Root yet, as long as it lacks any; `before` is the Root it follows.

    Raises:
        Refused: one of them is no Root.
        Malformed, StorageFailure: one of them cannot be read.
    """
    envelope = Oer().open(read_envelope(pending), ROOT_LENGTH_MAX)
    old = Oer().parse(Oer().open(read_envelope(before), ROOT_LENGTH_MAX).payload)
    new = Oer().parse(envelope.payload)
    if not isinstance(old, Root) or not isinstance(new, Root):
        raise Refused(f"{pending} and {before} are not both Roots")
    state = progress(Oer(), valid, envelope, before=old, new=new)
    return () if state.complete else state.missing


def keep_root(folder: Folder, client: Client) -> None:
    """Put the newest Root where the Director and integrators take it from.

    Raises:
        LinkFailure, Rejected: it cannot be had.
        StorageFailure: it cannot be written.
    """
    root = client.standing().root
    version = f"{root.value.header.version}.{ROOT}"
    for path in (folder.public / version, folder.public / ROOT, folder.operator / ROOT):
        write_whole(path, root.octets)


def _root_authority(standing: Standing) -> Authority:
    return top_authority(standing.root.value, Role.ROOT)


# ------------------------------------------------------------------------------------------------ public key files


def public_text(public: PublicKey) -> str:
    """A public key as one line: scheme and base64."""
    return f"{public.scheme.value} {b64encode(public.octets).decode()}\n"


def read_public_key(path: Path) -> PublicKey:
    """A public key from a file of one line.

    Raises:
        StorageFailure: it cannot be read.
        Malformed: it is none.
    """
    words = tls.read_public(path).decode("ascii", "replace").split()
    try:
        scheme, octets = words
        return PublicKey(Scheme(scheme), b64decode(octets, validate=True))
    except (ValueError, binascii.Error) as error:
        raise Malformed(f"{path} holds no public key: one line, scheme and base64") from error
