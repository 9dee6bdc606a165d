"""An Image repository in memory, from which each test breaks one thing. Keys are made when it is; nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256, sha512

from image_repo.accept import Release
from image_repo.ceremony import Holders, first_root
from image_repo.delegate import with_delegation
from image_repo.publish import Occasion, Publication, Terms, first_targets, with_images
from image_repo.service import Bench, first_publication, judge
from uptane.codec.oer import Oer
from uptane.crypto import LocalSigner, Sha2, generate, valid
from uptane.model.ids import TOP_TARGETS, Filename, HardwareId, Role, RoleName
from uptane.model.metadata import DelegatedRole, Delegation, Image, ImageTargets, Key, Paths
from uptane.model.signed import Authority, Scheme
from uptane.moments import UtcTime
from uptane.ports import Payload
from uptane.verify.signing import sign
from uptane.verify.threshold import Verifier

UTC = UtcTime(1_800_000_000)
HARDWARE = HardwareId("hw-1")
CODEC = Oer()


@cache
def key(name: str) -> LocalSigner:
    """The key of that name: the same all through a test run."""
    return generate(Scheme.ED25519)


def public(name: str) -> Key:
    return Key(key(name).key_id, key(name).public)


@dataclass
class Memory:
    """Records and octets in memory, with the rules of the database."""

    released: dict[Filename, Release] = field(default_factory=dict)
    floors: dict[RoleName, dict[HardwareId, int]] = field(default_factory=dict)
    blobs: dict[bytes, bytes] = field(default_factory=dict)
    online: list[LocalSigner] = field(default_factory=list)

    def releases(self, filenames: Sequence[Filename]) -> Mapping[Filename, Release]:
        return {filename: self.released[filename] for filename in filenames if filename in self.released}

    def counters(self, role: RoleName) -> Mapping[HardwareId, int]:
        return self.floors.get(role, {})

    def length(self, digest: bytes) -> int | None:
        return len(self.blobs[digest]) if digest in self.blobs else None

    def sha512(self, digest: bytes) -> bytes:
        return sha512(self.blobs[digest]).digest()

    def signers(self, authority: Authority) -> Sequence[LocalSigner]:
        return [signer for signer in self.online if signer.public in authority.keys.values()]

    def publish(self, publication: Publication) -> None:
        for vouched in publication.images:
            image = vouched.image
            self.released[image.filename] = Release(image.sha256, image.release_counter)
            floors = self.floors.setdefault(vouched.role, {})
            for hardware in image.hardware:
                floors[hardware] = max(floors.get(hardware, 0), image.release_counter)


class Desk:
    """A repository with an empty Targets, on the day it was founded."""

    def __init__(self) -> None:
        self.memory = Memory(online=[key("timestamp"), key("snapshot")])
        self.occasion = Occasion(UTC, Terms())
        self.verifier = Verifier(CODEC, valid, Sha2())
        self.bench = Bench(self.verifier, CODEC, self.memory, self.memory, self.memory)
        holders = {role: Holders((public(role.value),), 1) for role in Role if role in FOUNDED}
        root = sign(CODEC, first_root(holders, self.occasion), [key("root")])
        targets = sign(CODEC, first_targets(TOP_TARGETS, CODEC, self.occasion), [key("targets")])
        self.publication, self.standing = first_publication(self.bench, root, targets, self.occasion)

    def at(self, seconds: int) -> Desk:
        """Let time pass."""
        self.occasion = replace(self.occasion, utc=UtcTime(self.occasion.utc + seconds))
        return self

    def image(self, filename: str, content: bytes = b"image", *, counter: int = 1, held: bool = True) -> Image:
        """An image of that content, uploaded unless said otherwise."""
        digest = sha256(content).digest()
        if held:
            self.memory.blobs[digest] = content
        return CODEC.image(Image(Filename(filename), len(content), digest, None, (HARDWARE,), counter, b""))

    def newest(self, role: str = TOP_TARGETS) -> ImageTargets:
        """The newest Targets of a role; an unwritten first one if it has none."""
        file = self.standing.role(RoleName(role))
        return first_targets(RoleName(role), CODEC, self.occasion) if file is None else file.value

    def with_images(self, *images: Image, role: str = TOP_TARGETS, signer: str | None = None) -> dict[str, bytes]:
        """What a publisher would submit."""
        file = self.standing.role(RoleName(role))
        fresh = with_images(self.newest(role), images, CODEC, self.occasion)
        if file is None:
            fresh = replace(fresh, header=replace(fresh.header, version=1))
        return {role: signed(fresh, signer or role)}

    def delegating(self, *names: str, paths: Sequence[str] = ("acme/*",), **how: object) -> dict[str, bytes]:
        """What delegates `paths` to these roles: the new Targets, and the first Targets of roles that have none."""
        roles = tuple(DelegatedRole(RoleName(name), (key(name).key_id,), 1) for name in names)
        standard = Delegation((), terminating=False, match=Paths(tuple(paths)), roles=roles, min_agree=1)
        delegation = replace(standard, **how)  # type: ignore[arg-type]
        targets = with_delegation(self.newest(), delegation, [public(name) for name in names], self.occasion)
        firsts = {name: self.newest(name) for name in names if self.standing.role(RoleName(name)) is None}
        return {TOP_TARGETS: signed(targets, "targets"), **{name: signed(new, name) for name, new in firsts.items()}}

    def submit(self, submitted: Mapping[str, bytes]) -> Publication:
        """Judge it, and take the new standing."""
        publication, self.standing = judge(self.bench, self.standing, submitted, self.occasion)
        self.memory.publish(publication)
        return publication


FOUNDED = (Role.ROOT, Role.TIMESTAMP, Role.SNAPSHOT, Role.TARGETS)


def signed(value: Payload, *names: str) -> bytes:
    """An envelope signed with the keys of these names."""
    return sign(CODEC, value, [key(name) for name in names])
