"""The rig's own Director, Image repository and time service: keys that exist on one bench only, and what they sign.

An ECU under test is provisioned with these roots (`marque-rig provision`), so that the rig may assign it anything,
correctly or not. Versions follow from what the ECU says it holds: nothing but keys and Roots is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from uptane.codec.oer import Oer
from uptane.crypto import LocalSigner, Sha2, generate
from uptane.errors import StorageFailure
from uptane.model.ids import Bundle, EcuId, Filename, HardwareId, Repository, Role, RoleName, VehicleId
from uptane.model.metadata import (
    LEVEL,
    Assignment,
    DirectorTargets,
    FileInfo,
    Fleet,
    ForVehicle,
    Header,
    Image,
    ImageRepository,
    ImageTargets,
    Key,
    RoleKeys,
    Root,
    Snapshot,
    SnapshotFile,
    Speaker,
    Timestamp,
)
from uptane.model.reports import Phase, TimeAttestation, VehicleOrder
from uptane.model.signed import Scheme, Signature
from uptane.moments import UtcTime
from uptane.ports import Payload, Signer
from uptane.shell import keys
from uptane.shell.files import sync
from uptane.verify.image import bundle_of

DAY_S: Final = 86_400
ROOT_LASTS_S: Final = 3_650 * DAY_S  # a bench's Root outlives the bench
LASTS_S: Final = DAY_S
ISSUED_BEFORE_S: Final = 1  # an attestation of the same second is not earlier than the Root
ValueT = TypeVar("ValueT")

ROOT_THRESHOLD: Final = 2
CODEC: Final = Oer()

ROLES: Final = {
    Repository.DIRECTOR: {Role.ROOT: 2, Role.TIMESTAMP: 1, Role.SNAPSHOT: 1, Role.TARGETS: 1, Role.TIME: 1},
    Repository.IMAGE: {Role.ROOT: 2, Role.TIMESTAMP: 1, Role.SNAPSHOT: 1, Role.TARGETS: 1},
}
"""How many keys each role has."""


class NoBackend(StorageFailure):
    """The bench has no keys, or not all of them; the text says what to do."""


def names() -> Iterator[str]:
    """The name of every key, also of its file."""
    for repository, roles in ROLES.items():
        for role, count in roles.items():
            yield from (_name(repository, role, number) for number in range(count))
    yield "coordinator"


def _name(repository: Repository, role: Role, number: int) -> str:
    return f"{repository.value}-{role.value}{'' if number == 0 else f'-{number + 1}'}"


def sealed(payload: bytes, signers: Sequence[Signer]) -> bytes:
    """An envelope around any octets, signed by all of `signers`."""
    message = CODEC.message(payload)
    return CODEC.seal(payload, [Signature(each.key_id, each.sign(message)) for each in signers]).octets


def same(value: ValueT) -> ValueT:
    """No change."""
    return value


def signed(value: Payload, signers: Sequence[Signer], tamper: Callable[[bytes], bytes] = same) -> bytes:
    """The envelope of `value`; `tamper` changes its payload before it is signed."""
    return sealed(tamper(CODEC.encode(value)), signers)


@dataclass(frozen=True, slots=True)
class Assigned:
    """One image for one ECU, the octets with it."""

    ecu: EcuId
    image: Image
    octets: bytes

    @property
    def entry(self) -> Assignment:
        """As Director Targets list it."""
        return Assignment(self.ecu, self.image)

    @property
    def digest(self) -> bytes:
        """The entry's digest, which the ECU's status names the download by."""
        octets = CODEC.assignments([self.entry]).find_octets(self.ecu)
        assert octets is not None
        return sha256(octets).digest()


def image_of(octets: bytes, filename: str, counter: int, hardware: HardwareId) -> Image:
    """The image as both repositories list it."""
    digest = sha256(octets).digest()
    return CODEC.image(Image(Filename(filename), len(octets), digest, None, (hardware,), counter, b""))


@dataclass
class Backend:
    """The keys below `folder`, and what is signed with them. `utc` is the time, asked when something is issued."""

    folder: Path
    vehicle: VehicleId
    utc: Callable[[], UtcTime]
    signers: Mapping[str, LocalSigner]
    stranger: LocalSigner = field(default_factory=lambda: generate(Scheme.ED25519))
    """Somebody's key that no Root knows."""

    def root_file(self, repository: Repository, version: int) -> Path:
        """Where a Root lies."""
        return self.folder / repository.value / f"{version}.root"

    def of(self, repository: Repository, role: Role) -> list[LocalSigner]:
        """The keys of a role."""
        return [self.signers[_name(repository, role, number)] for number in range(ROLES[repository][role])]

    # ---------------------------------------------------------------------------------------------------- Roots

    def latest_root(self, repository: Repository = Repository.DIRECTOR) -> int:
        """The newest Root's version; 0 when there is none yet."""
        version = 0
        while self.root_file(repository, version + 1).exists():
            version += 1
        return version

    def root(self, repository: Repository, version: int) -> bytes:
        """A Root that was issued."""
        return self.root_file(repository, version).read_bytes()

    def root_value(self, repository: Repository, version: int) -> Root:
        """The Root with today's keys."""
        speaker: Speaker = Fleet() if repository is Repository.DIRECTOR else ImageRepository()
        listed, roles = [], []
        for role, count in ROLES[repository].items():
            signers = self.of(repository, role)
            listed += [Key(signer.key_id, signer.public) for signer in signers]
            threshold = ROOT_THRESHOLD if role is Role.ROOT else count
            roles.append(RoleKeys(role, tuple(signer.key_id for signer in signers), threshold))
        return Root(self._header(speaker, version, ROOT_LASTS_S), tuple(listed), tuple(roles))

    def new_root(self, repository: Repository = Repository.DIRECTOR, edit: Callable[[Root], Root] = same) -> bytes:
        """Issue the next Root, and keep it."""
        version = self.latest_root(repository) + 1
        octets = signed(edit(self.root_value(repository, version)), self.of(repository, Role.ROOT))
        path = self.root_file(repository, version)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)
        sync(path.parent)
        return octets

    # --------------------------------------------------------------------------------------------------- others

    def targets(
        self,
        entries: Sequence[Assignment],
        version: int,
        *,
        coordinated: bool = False,
        signers: Sequence[Signer] | None = None,
        edit: Callable[[DirectorTargets], DirectorTargets] = same,
        tamper: Callable[[bytes], bytes] = same,
    ) -> bytes:
        """Director Targets with these entries; whoever `coordinated` is waits for orders."""
        coordinator = self.signers["coordinator"].public if coordinated else None
        listing = CODEC.assignments(list(entries))
        value = DirectorTargets(self._header(ForVehicle(self.vehicle), version, LASTS_S), coordinator, False, listing)
        own = self.of(Repository.DIRECTOR, Role.TARGETS)
        return signed(edit(value), own if signers is None else signers, tamper)

    def image_targets(
        self,
        images: Sequence[Image],
        version: int,
        *,
        signers: Sequence[Signer] | None = None,
        edit: Callable[[ImageTargets], ImageTargets] = same,
    ) -> bytes:
        """The Image repository's Targets."""
        header = self._header(ImageRepository(), version, LASTS_S)
        own = self.of(Repository.IMAGE, Role.TARGETS)
        return signed(edit(ImageTargets(header, CODEC.images(list(images)))), own if signers is None else signers)

    def snapshot(
        self,
        repository: Repository,
        targets: bytes,
        version: int,
        *,
        signers: Sequence[Signer] | None = None,
        edit: Callable[[Snapshot], Snapshot] = same,
    ) -> bytes:
        """A Snapshot that lists a Targets of the same version."""
        files = CODEC.files([SnapshotFile(RoleName("targets"), file_info(version, targets))])
        own = self.of(repository, Role.SNAPSHOT)
        value = edit(Snapshot(self._header(self._speaker(repository), version, LASTS_S), files))
        return signed(value, own if signers is None else signers)

    def timestamp(
        self,
        repository: Repository,
        snapshot: bytes,
        version: int,
        *,
        signers: Sequence[Signer] | None = None,
        edit: Callable[[Timestamp], Timestamp] = same,
    ) -> bytes:
        """A Timestamp that names a Snapshot of the same version."""
        own = self.of(repository, Role.TIMESTAMP)
        header = self._header(self._speaker(repository), version, LASTS_S)
        value = edit(Timestamp(header, file_info(version, snapshot)))
        return signed(value, own if signers is None else signers)

    def _speaker(self, repository: Repository) -> Speaker:
        return ImageRepository() if repository is Repository.IMAGE else ForVehicle(self.vehicle)

    def attestation(
        self,
        nonce: bytes,
        *,
        signers: Sequence[Signer] | None = None,
        edit: Callable[[TimeAttestation], TimeAttestation] = same,
    ) -> bytes:
        """The time, for whoever drew this nonce."""
        value = edit(TimeAttestation(LEVEL, self.utc(), nonce))
        return signed(value, self.of(Repository.DIRECTOR, Role.TIME) if signers is None else signers)

    def bundle(self, entries: Sequence[Assignment]) -> Bundle:
        """The bundle that these entries are."""
        header = Header(LEVEL, ForVehicle(self.vehicle), 1, UtcTime(0), UtcTime(0))
        return bundle_of(Sha2(), DirectorTargets(header, None, False, CODEC.assignments(list(entries))))

    def order(
        self,
        phase: Phase,
        bundle: Bundle,
        version: int,
        *,
        signers: Sequence[Signer] | None = None,
        edit: Callable[[VehicleOrder], VehicleOrder] = same,
    ) -> bytes:
        """An order of the coordinator."""
        value = edit(VehicleOrder(LEVEL, self.vehicle, bundle, version, phase))
        return signed(value, [self.signers["coordinator"]] if signers is None else signers)

    def _header(self, speaker: Speaker, version: int, lasts_s: int) -> Header:
        now = self.utc()
        return Header(LEVEL, speaker, version, UtcTime(now + lasts_s), UtcTime(now - ISSUED_BEFORE_S))


def file_info(version: int, octets: bytes) -> FileInfo:
    """What another role says of a file."""
    return FileInfo(version, len(octets), sha256(octets).digest())


def load(folder: Path, vehicle: VehicleId, utc: Callable[[], UtcTime]) -> Backend:
    """The backend whose keys lie in `folder`. Raises NoBackend, KeyFailure."""
    for name in names():
        if not _key_file(folder, name).exists():
            path = _key_file(folder, name)
            raise NoBackend(f"{path}: the bench has no such key; make all of them with `marque-rig keys RIG.toml`")
    backend = Backend(folder, vehicle, utc, {name: keys.load(_key_file(folder, name), None) for name in names()})
    if not backend.latest_root():
        raise NoBackend(f"{folder}: keys without a Root; make it with `marque-rig keys RIG.toml`")
    return backend


def create(folder: Path, vehicle: VehicleId, utc: Callable[[], UtcTime], scheme: Scheme = Scheme.ED25519) -> Backend:
    """Make every key that is missing, the Roots' of `scheme`, and the first Roots."""
    (folder / "keys").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    for name in names():
        if not _key_file(folder, name).exists():
            root = name.split("-")[1:2] == [Role.ROOT.value]
            keys.create(_key_file(folder, name), None, scheme if root else Scheme.ED25519)
    backend = Backend(folder, vehicle, utc, {name: keys.load(_key_file(folder, name), None) for name in names()})
    for repository in Repository:
        if not backend.latest_root(repository):
            backend.new_root(repository)
    return backend


def _key_file(folder: Path, name: str) -> Path:
    return folder / "keys" / f"{name}.pem"
