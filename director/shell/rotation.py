"""New keys for old ones: the next Root, signed where the offline keys are, and handed to the running Director.

What is signed is built on the Director's newest Root only if our own Root keys have signed that: a server that was
broken into must not get people to sign what they did not write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from director.ceremony import ONLINE, next_root
from director.errors import Refused
from director.shell.client import Client
from director.shell.clock import utc_now
from director.shell.folder import KeyRing
from director.shell.messages import key_of
from uptane.codec.oer import Oer
from uptane.crypto import Sha2, key_id_of, valid
from uptane.model.ids import Role
from uptane.model.metadata import Fleet, Key, Root
from uptane.model.signed import Authority, PublicKey
from uptane.verify.root import first_root, role_authority
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier


@dataclass(frozen=True, slots=True)
class Rotation:
    """Which role gets new keys; for `time`, which they are."""

    role: Role
    time_keys: tuple[PublicKey, ...] = ()


def rotate(client: Client, ring: KeyRing, rotation: Rotation) -> int:
    """Rotate the keys of a role; return the new Root's version.

    Raises:
        Refused: the offline keys are not those of the Director's Root, or the Director says no.
    """
    before = _newest(client, ring)
    threshold = next((each.threshold for each in before.roles if each.role is rotation.role), 1)
    fresh: Sequence[PublicKey]
    if rotation.role is Role.ROOT:
        count = len(next(each.key_ids for each in before.roles if each.role is Role.ROOT))
        fresh = [ring.create(Role.ROOT.value).public for _ in range(count)]
    elif rotation.role in ONLINE:
        fresh = [key_of(client.prepare_key(rotation.role.value)) for _ in range(threshold)]
    else:
        fresh = rotation.time_keys
    keys = [Key(key_id_of(public), public) for public in fresh]
    following = next_root(before, rotation.role, keys, threshold=min(threshold, len(keys)), utc=utc_now())
    signers = {signer.public: signer for root in (before, following) for signer in ring.signers(_root_keys(root))}
    return client.submit_root(sign(Oer(), following, list(signers.values())))


def _newest(client: Client, ring: KeyRing) -> Root:
    root = first_root(Verifier(Oer(), valid, Sha2()), client.describe().root, Fleet()).value
    authority = _root_keys(root)
    if len(ring.signers(authority)) < authority.threshold:
        raise Refused(
            f"Root {root.header.version} is not signed by the Root keys at hand: nothing is signed on top of it"
        )
    return root


def _root_keys(root: Root) -> Authority:
    authority = role_authority(root, Role.ROOT)
    assert authority is not None, "first_root has refused a Root without root keys"
    return authority
