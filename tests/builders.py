"""A valid pair of repositories for one vehicle, in memory; each test breaks one thing of it.

    pair = Pair()                                   # provisioned: factory images, every role at version FIRST
    ecu = Bench(pair, PRIMARY)                      # an ECU's store, filled as provisioned
    pair.update()                                   # new images, published and assigned: every role at FIRST + 1
    pair.director.timestamp(version=1)              # any role issued again, with one thing changed
    outcome = ecu.full()                            # runs the workflow, answering from the pair and the store

Keys are made of their names, so that two runs are alike octet for octet.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from hashlib import sha256
from typing import Any, TypeVar

from uptane.codec.oer import Oer
from uptane.crypto import Ed25519Signer, Sha2, valid
from uptane.model.ids import Bundle, EcuId, Filename, HardwareId, Repository, Role, RoleName, VehicleId
from uptane.model.metadata import (
    Assignment,
    Bins,
    Delegate,
    DelegatedRole,
    Delegation,
    Delegations,
    DirectorTargets,
    FileInfo,
    Fleet,
    ForVehicle,
    Header,
    Image,
    ImageRepository,
    ImageTargets,
    Key,
    Paths,
    RoleKeys,
    Root,
    Snapshot,
    SnapshotFile,
    Speaker,
    Timestamp,
)
from uptane.model.reports import InstalledImage, Phase, TimeAttestation, VehicleOrder
from uptane.model.signed import Signature
from uptane.moments import UtcTime
from uptane.ports import Signer
from uptane.verify import attested
from uptane.verify.chain import root_link, set_time
from uptane.verify.full import Full, full
from uptane.verify.image import bundle_of, installed_image
from uptane.verify.needs import Drop, Fetch, Keep, Stands
from uptane.verify.partial import Partial, partial
from uptane.verify.stored import reload_director, reload_image
from uptane.verify.threshold import Verifier
from uptane.verify.trusted import Ecu, Held, Vehicle, role_file

ResultT = TypeVar("ResultT")
ValueT = TypeVar("ValueT")

CODEC = Oer()
HASHER = Sha2()
VERIFIER = Verifier(CODEC, valid, HASHER)

NOW = UtcTime(1_800_000_000)
DAY = 86_400
FIRST = 5  # versions begin here, so that a test can offer older ones
NONCE = b"n" * 16
BUILT = UtcTime(NOW - 100 * DAY)  # build time of every ECU's software

VEHICLE = VehicleId("vehicle-1")
PRIMARY, BRAKE, BODY, CAMERA = EcuId("primary-1"), EcuId("brake-1"), EcuId("body-1"), EcuId("camera-1")
ECUS = (BODY, BRAKE, CAMERA, PRIMARY)
HARDWARE = {ecu: HardwareId(f"{ecu.removesuffix('-1')}-hw") for ecu in ECUS}
FULL_ECUS = (PRIMARY, CAMERA)
PARTIAL_ECUS = (BODY, BRAKE)
SUPPLIER, DEVELOPMENT, RELEASE, BIN = RoleName("brakes"), RoleName("dev"), RoleName("release"), RoleName("bin")


@cache
def key(name: str) -> Ed25519Signer:
    """The key of that name."""
    return Ed25519Signer.from_seed(sha256(name.encode()).digest())


STRANGER = key("stranger")
COORDINATOR = key("coordinator")
TIME = key("time")


def named(signer: Signer) -> Key:
    """A key as metadata list it."""
    return Key(signer.key_id, signer.public)


def image(name: str, counter: int, hardware: str, **changes: Any) -> Image:
    """An image whose octets are its name and counter."""
    octets = f"{name} {counter}".encode() * 50
    value = Image(
        filename=Filename(name),
        length=len(octets),
        sha256=sha256(octets).digest(),
        sha512=None,
        hardware=(HardwareId(hardware),),
        release_counter=counter,
        octets=b"",
    )
    return CODEC.image(replace(value, **changes))


def sealed(payload: bytes, signers: Sequence[Signer]) -> bytes:
    """An envelope around any octets, well signed."""
    message = CODEC.message(payload)
    return CODEC.seal(payload, [Signature(each.key_id, each.sign(message)) for each in signers]).octets


def same(value: Any) -> Any:
    return value


class Repo:
    """One repository: `offered` is what it answers by the names it is asked for.

    Every method issues one role again, its version one higher, with changes: `version`, `expires`, `issued`, `level`
    and `speaker` of the header; `edit` changes the value before it is encoded, `tamper` the octets before they are
    signed, and `signers` sign instead of the role's own.
    """

    def __init__(self, repository: Repository, speaker: Speaker, root_speaker: Speaker, lasting: int) -> None:
        self.repository, self.speaker, self.root_speaker, self.lasting = repository, speaker, root_speaker, lasting
        word = repository.value
        self.keys: dict[Role, list[Signer]] = {
            Role.ROOT: [key(f"{word} root {each}") for each in "abc"],
            Role.TIMESTAMP: [key(f"{word} timestamp")],
            Role.SNAPSHOT: [key(f"{word} snapshot")],
            Role.TARGETS: [key(f"{word} targets")],
        }
        self.thresholds = {Role.ROOT: 2}
        self.offered: dict[str, bytes] = {}
        self.versions: dict[str, int] = {}
        self.listed: dict[RoleName, FileInfo] = {}
        self._root_signers: list[Signer] = []

    def root(self, *, signers: Sequence[Signer] | None = None, **changes: Any) -> bytes:
        """Issue Root, signed by the keys of the one before and its own."""
        roles = self.keys
        listed = {each.key_id: named(each) for role in roles for each in roles[role]}
        value = Root(
            self._header("root", changes, speaker=self.root_speaker, first=1, lasting=365 * DAY),
            tuple(listed.values()),
            tuple(
                RoleKeys(role, tuple(each.key_id for each in roles[role]), self.thresholds.get(role, 1))
                for role in roles
            ),
        )
        both = {each.key_id: each for each in (*self._root_signers, *roles[Role.ROOT])}
        self._root_signers = list(roles[Role.ROOT])
        return self._issue("root", value, list(both.values()) if signers is None else signers, changes)

    def timestamp(self, *, signers: Sequence[Signer] | None = None, **changes: Any) -> bytes:
        """Issue Timestamp, naming the latest Snapshot."""
        version = self.versions["snapshot"]
        info = self._info(version, self.offered[f"{version}.snapshot"])
        value = Timestamp(self._header("timestamp", changes), info)
        octets = self._issue("timestamp", value, signers or self.keys[Role.TIMESTAMP], changes)
        self.offered["timestamp"] = octets
        return octets

    def snapshot(self, *, signers: Sequence[Signer] | None = None, **changes: Any) -> bytes:
        """Issue Snapshot, listing the latest of every Targets; `files` replaces what is listed."""
        listed = changes.pop("files", self.listed)
        files = CODEC.files([SnapshotFile(name, info) for name, info in listed.items()])
        value = Snapshot(self._header("snapshot", changes), files)
        return self._issue("snapshot", value, signers or self.keys[Role.SNAPSHOT], changes)

    def publish(self) -> None:
        """Issue Snapshot and Timestamp for what has been issued below them."""
        self.snapshot()
        self.timestamp()

    def put(self, name: RoleName, octets: bytes, version: int | None = None) -> None:
        """Offer `octets` as a Targets file, and list them as they are."""
        version = self.versions[name] if version is None else version
        self.offered[f"{version}.{name}"] = octets
        self.listed[name] = self._info(version, octets)

    def _issue(self, name: str, value: Any, signers: Sequence[Signer], changes: dict[str, Any]) -> bytes:
        value = changes.pop("edit", same)(value)
        payload = changes.pop("tamper", same)(CODEC.encode(value))
        assert not changes, f"no such change: {', '.join(changes)}"
        octets = sealed(payload, signers)
        version = value.header.version
        self.versions[name] = version
        self.offered[f"{version}.{name}"] = octets
        return octets

    def _header(
        self,
        name: str,
        changes: dict[str, Any],
        *,
        speaker: Speaker | None = None,
        first: int = FIRST,
        lasting: int = 0,
    ) -> Header:
        version = self.versions.get(name, first - 1) + 1
        expires, issued = UtcTime(NOW + (lasting or self.lasting)), UtcTime(NOW - 3_600)
        header = Header(1, speaker or self.speaker, version, expires, issued)
        taken = {
            each: changes.pop(each) for each in ("version", "expires", "issued", "level", "speaker") if each in changes
        }
        return replace(header, **taken)

    def _info(self, version: int, octets: bytes) -> FileInfo:
        return FileInfo(version, len(octets), sha256(octets).digest())


class DirectorRepo(Repo):
    """The Director's repository for one vehicle."""

    def __init__(self) -> None:
        super().__init__(Repository.DIRECTOR, ForVehicle(VEHICLE), Fleet(), DAY)
        self.keys[Role.TIME] = [TIME]
        self.entries: dict[EcuId, Assignment] = {}
        self.coordinator: Signer | None = COORDINATOR

    def targets(self, *, signers: Sequence[Signer] | None = None, **changes: Any) -> bytes:
        """Issue Targets with the entries as they stand; `delegations` and `refresh` as given."""
        value = DirectorTargets(
            self._header("targets", changes),
            None if self.coordinator is None else self.coordinator.public,
            changes.pop("refresh", False),
            CODEC.assignments(list(self.entries.values())),
            changes.pop("delegations", None),
        )
        octets = self._issue("targets", value, signers or self.keys[Role.TARGETS], changes)
        self.put(RoleName("targets"), octets)
        return octets

    def assign(self, ecu: EcuId, value: Image, **changes: Any) -> None:
        """Set an ECU's entry; to be issued."""
        self.entries[ecu] = replace(Assignment(ecu, value), **changes)

    def issue(self, **changes: Any) -> None:
        """Issue Targets with `changes`, then Snapshot and Timestamp."""
        self.targets(**changes)
        self.publish()


class ImageRepo(Repo):
    """The Image repository: top-level images, a supplier, two roles that must agree, four hash bins."""

    def __init__(self) -> None:
        super().__init__(Repository.IMAGE, ImageRepository(), ImageRepository(), 30 * DAY)
        self.keys[Role.TARGETS] = [key(f"image targets {each}") for each in "abc"]
        self.thresholds[Role.TARGETS] = 2
        self.role_keys: dict[RoleName, list[Signer]] = {}
        self.role_thresholds: dict[RoleName, int] = {}
        self.images: dict[RoleName, dict[str, Image]] = {}
        self.delegated: dict[RoleName, list[Delegation]] = {}
        top = RoleName("targets")
        self.delegate(top, Paths(("brakes/*",)), SUPPLIER, hardware=(HARDWARE[BRAKE],))
        self.delegate(top, Paths(("camera/*",)), DEVELOPMENT, RELEASE, min_agree=2, terminating=True)
        self.delegate(top, Bins(2), BIN)

    def delegate(
        self,
        by: RoleName,
        match: Paths | Bins,
        *roles: RoleName,
        hardware: Iterable[str] = (),
        terminating: bool = False,
        min_agree: int = 1,
        first: bool = False,
    ) -> None:
        """Add a delegation of `by`; each role has a key of its own name, and files that have none yet are begun."""
        for name in roles:
            self.role_keys.setdefault(name, [key(f"role {name}")])
            bits = match.bits if isinstance(match, Bins) else 0
            for each in [RoleName(f"{name}-{number:x}") for number in range(2**bits)] if bits else [name]:
                self.images.setdefault(each, {})
                self.role_keys.setdefault(each, self.role_keys[name])
        listed = self.delegated.setdefault(by, [])
        delegated = tuple(self._delegated_role(name) for name in roles)
        ids = tuple(HardwareId(each) for each in hardware)
        listed.insert(0 if first else len(listed), Delegation(ids, terminating, match, delegated, min_agree))

    def delegations(self, by: RoleName) -> Delegations | None:
        """The delegations of a role, with the keys they name."""
        listed = self.delegated.get(by)
        if listed is None:
            return None
        names = [role.name for delegation in listed for role in delegation.roles]
        keys = {each.key_id: named(each) for name in names for each in self.role_keys[name]}
        renewed = [
            replace(each, roles=tuple(self._delegated_role(role.name) for role in each.roles)) for each in listed
        ]
        return Delegations(tuple(keys.values()), tuple(renewed))

    def targets(self, name: str = "targets", *, signers: Sequence[Signer] | None = None, **changes: Any) -> bytes:
        """Issue a role's Targets with its images as they stand."""
        role = RoleName(name)
        top = role == "targets"
        own = self.keys[Role.TARGETS] if top else self.role_keys[role]
        value = ImageTargets(
            self._header(role, changes, speaker=self.speaker if top else Delegate(role)),
            CODEC.images(list(self.images.get(role, {}).values())),
            changes.pop("delegations", self.delegations(role)),
        )
        octets = self._issue(role, value, own if signers is None else signers, changes)
        self.put(role, octets)
        return octets

    def add(self, value: Image, *roles: RoleName) -> None:
        """Let `roles` vouch for an image; to be issued."""
        for role in roles:
            self.images.setdefault(role, {})[value.filename] = value

    def issue(self) -> None:
        """Issue every Targets, then Snapshot and Timestamp."""
        for role in ("targets", *(each for each in self.images if each != "targets")):
            self.targets(role)
        self.publish()

    def _delegated_role(self, name: RoleName) -> DelegatedRole:
        ids = tuple(each.key_id for each in self.role_keys[name])
        return DelegatedRole(name, ids, self.role_thresholds.get(name, 1))


class Pair:
    """Both repositories, and what they say to VEHICLE."""

    def __init__(self) -> None:
        self.director = DirectorRepo()
        self.image = ImageRepo()
        self.now = NOW
        self.set_images(counter=1)
        for repo in (self.director, self.image):
            repo.root()
            repo.issue()
        self.factory = {ecu: installed_image(entry.image) for ecu, entry in self.director.entries.items()}

    def set_images(self, counter: int) -> None:
        """Publish and assign images with that counter for every ECU; to be issued."""
        for ecu, value, roles in (
            (PRIMARY, image(f"primary/app-{counter}", counter, HARDWARE[PRIMARY]), ["targets"]),
            (BRAKE, image(f"brakes/app-{counter}", counter, HARDWARE[BRAKE]), [SUPPLIER]),
            (CAMERA, image(f"camera/app-{counter}", counter, HARDWARE[CAMERA]), [DEVELOPMENT, RELEASE]),
        ):
            self.offer(ecu, value, *roles)
        body = image(f"body/app-{counter}", counter, HARDWARE[BODY])
        self.offer(BODY, body, self.bin_of(body))

    def offer(self, ecu: EcuId, value: Image, *roles: str, **changes: Any) -> None:
        """Publish an image in `roles` and assign it to `ecu`; to be issued."""
        self.image.add(value, *map(RoleName, roles))
        self.director.assign(ecu, value, **changes)

    def bin_of(self, value: Image) -> RoleName:
        """The hash bin (of four) that holds an image."""
        return RoleName(f"{BIN}-{sha256(value.filename.encode()).digest()[0] >> 6:x}")

    def update(self, counter: int = 2) -> None:
        """Issue new images for every ECU, in both repositories."""
        self.set_images(counter)
        self.image.issue()
        self.director.issue()

    def repo(self, repository: Repository) -> Repo:
        return self.director if repository is Repository.DIRECTOR else self.image

    def attestation(self, **changes: Any) -> bytes:
        """The time service's answer to NONCE: NOW; `signers` and fields as given."""
        signers = changes.pop("signers", [TIME])
        return sealed(CODEC.encode(replace(TimeAttestation(1, self.now, NONCE), **changes)), signers)

    def bundle(self) -> Bundle:
        """The bundle of the entries as they stand."""
        entries = CODEC.assignments(list(self.director.entries.values()))
        header = Header(1, ForVehicle(VEHICLE), 1, NOW, NOW)
        return bundle_of(HASHER, DirectorTargets(header, None, False, entries))

    def order(self, phase: Phase, *, signers: Sequence[Signer] = (COORDINATOR,), **changes: Any) -> bytes:
        """An order for the entries as they stand, under the latest Director Targets."""
        order = VehicleOrder(1, VEHICLE, self.bundle(), self.director.versions["targets"], phase)
        return sealed(CODEC.encode(replace(order, **changes)), signers)


class PowerLost(Exception):
    """The power failed before an effect was carried out."""


@dataclass
class Bench:
    """One ECU at the pair: its durable store, and what it knows of the vehicle. Each run starts from the store."""

    pair: Pair
    ecu: EcuId
    store: dict[tuple[Repository, str], bytes] = field(default_factory=dict)
    effects: list[Any] = field(default_factory=list)
    fuse: int | None = None
    attested: bool = False

    def __post_init__(self) -> None:
        """Fill the store as the Director's provisioning does."""
        self.installed: dict[EcuId, InstalledImage] = dict(self.pair.factory)
        self.released = dict.fromkeys(ECUS, 1)
        self.own = Ecu(VEHICLE, self.ecu, HARDWARE[self.ecu], "*/*", 100_000)
        repos: list[Repo] = [self.pair.director]
        if self.ecu in FULL_ECUS:
            repos.append(self.pair.image)
        for repo in repos:
            versions = repo.versions
            self.store[repo.repository, "root"] = repo.offered[f"{versions['root']}.root"]
            self.store[repo.repository, "targets"] = repo.offered[f"{versions['targets']}.targets"]
            if self.ecu in FULL_ECUS:
                self.store[repo.repository, "timestamp"] = repo.offered["timestamp"]
                self.store[repo.repository, "snapshot"] = repo.offered[f"{versions['snapshot']}.snapshot"]

    @property
    def vehicle(self) -> Vehicle:
        own = {self.ecu}
        known = set(ECUS) if self.ecu == PRIMARY else own
        return Vehicle(
            own=self.own,
            hardware=HARDWARE if self.ecu == PRIMARY else None,
            installed={ecu: each for ecu, each in self.installed.items() if ecu in known},
            released={ecu: each for ecu, each in self.released.items() if ecu in known},
        )

    @property
    def held(self) -> Held:
        """What a start makes of the store; files that no longer hold are deleted, as a start does."""
        stored = {repo: self.files(repo) for repo in Repository}
        director = reload_director(VERIFIER, stored[Repository.DIRECTOR], VEHICLE)
        image = reload_image(VERIFIER, stored[Repository.IMAGE]) if stored[Repository.IMAGE] else None
        for name in director.dropped:
            del self.store[Repository.DIRECTOR, name]
        for name in () if image is None else image.dropped:
            del self.store[Repository.IMAGE, name]
        clock = attested.load(stored[Repository.DIRECTOR].get("time"), director.trusted.root, BUILT)
        clock = replace(clock, attested=self.attested)
        return Held(director.trusted, None if image is None else image.trusted, clock)

    def files(self, repository: Repository) -> dict[str, bytes]:
        return {file: octets for (repo, file), octets in self.store.items() if repo is repository}

    def run(self, workflow: Generator[Any, Any, ResultT]) -> ResultT:
        """Run a workflow against the pair and the store; the power fails before effect number `fuse`."""
        answer = None
        self.effects = []
        try:
            while True:
                need = workflow.send(answer)
                if self.fuse is not None and len(self.effects) == self.fuse:
                    raise PowerLost
                self.effects.append(need)
                answer = self._answer(need)
        except StopIteration as ended:
            result: ResultT = ended.value
            return result

    def _answer(self, need: Any) -> bytes | None:
        match need:
            case Fetch(repository=repository, name=name, length_max=length_max):
                octets = self.pair.repo(repository).offered.get(str(name))
                return None if octets is None else octets[: length_max + 1]
            case Keep(repository=repository, file=file, octets=octets):
                self.store[repository, file] = octets
            case Drop(repository=repository, file=file):
                self.store.pop((repository, file), None)
            case Stands():
                pass
            case _:
                raise AssertionError(need)
        return None

    def full(self, *, attestation: bytes | None = None, nonce: bytes = NONCE) -> Full:
        """One cycle of full verification; with the time of the pair, if no other is given."""
        octets = self.pair.attestation() if attestation is None else attestation
        return self.run(full(VERIFIER, self.held, self.vehicle, attestation=octets, nonce=nonce))

    def partial(self, *, attestation: bytes | None = None, nonce: bytes = NONCE) -> Partial:
        """What a Primary delivers to a partial ECU: Root links, the time, the Director's Targets."""
        held = self.held
        while octets := self._next_root(held):
            held = self.run(root_link(VERIFIER, held, Repository.DIRECTOR, octets=octets))
        octets = self.pair.attestation() if attestation is None else attestation
        held = self.run(set_time(VERIFIER, held, attestation=octets, nonce=nonce))
        director = self.pair.director
        targets = director.offered[f"{director.versions['targets']}.targets"]
        return self.run(partial(VERIFIER, held, self.vehicle, octets=targets))

    def verify(self) -> Full | Partial:
        """The verification this ECU does."""
        return self.full() if self.ecu in FULL_ECUS else self.partial()

    def install(self, *ecus: EcuId) -> None:
        """From now on `ecus` (all, if none is named) run what is assigned to them."""
        for ecu in ecus or ECUS:
            self.installed[ecu] = installed_image(self.pair.director.entries[ecu].image)

    def _next_root(self, held: Held) -> bytes | None:
        return self.pair.director.offered.get(f"{held.director.root.value.header.version + 1}.root")


def role_files(bench: Bench) -> set[str]:
    """The delegated Targets in an ECU's store."""
    return {file for file in bench.files(Repository.IMAGE) if file.startswith(role_file(RoleName("")))}


Change = Callable[[Pair], object]
