"""What a row of the attack table is, and the small changes that several rows share."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from tests.builders import BRAKE, CAMERA, CODEC, NOW, PRIMARY, VEHICLE, Bench, Repo, sealed
from uptane.errors import Check
from uptane.model.ids import Bundle, EcuId, Repository, Role, RoleName
from uptane.model.metadata import FileInfo, RoleKeys, Root
from uptane.model.reports import Phase, VehicleOrder
from uptane.ports import Signer

FULL = (PRIMARY, CAMERA)
PARTIAL = (BRAKE,)
BOTH = (*FULL, *PARTIAL)
OTHER_KIND = CODEC.encode(VehicleOrder(1, VEHICLE, Bundle(bytes(32)), 1, Phase.COMMIT))
TARGETS = RoleName("targets")


@dataclass(frozen=True)
class Row:
    """`tamper` breaks one thing of a pair that offers an update; `run` on each ECU of `on` must be refused by `check`.

    `moves` are the files that may have moved all the same; the time may, since it is attested before.
    """

    name: str
    tamper: Callable[[Bench], object]
    check: Check
    on: tuple[EcuId, ...] = FULL
    run: Callable[[Bench], object] = Bench.verify
    moves: frozenset[str] = frozenset()


def in_director(change: Callable[[Any], object]) -> Callable[[Bench], object]:
    return lambda bench: change(bench.pair.director)


def in_image(change: Callable[[Any], object]) -> Callable[[Bench], object]:
    return lambda bench: change(bench.pair.image)


def cut(octets: bytes) -> bytes:
    return octets[:-1]


def trailed(octets: bytes) -> bytes:
    return octets + b"\0"


def instead(repo: Repo, name: str, change: Callable[[bytes], bytes]) -> None:
    """Offer a file changed after it was signed; "timestamp", or the latest version of a role."""
    name = name if name == "timestamp" else f"{repo.versions[name]}.{name}"
    repo.offered[name] = change(repo.offered[name])


def other_kind(signers: list[Signer]) -> bytes:
    """A message of another kind, well signed."""
    return sealed(OTHER_KIND, signers)


def with_role(root: Root, role: Role, **changes: Any) -> Root:
    """A Root in which one role is changed."""
    roles = [replace(each, **changes) if each.role is role else each for each in root.roles]
    return replace(root, roles=tuple(roles))


def without_role(root: Root, role: Role) -> Root:
    return replace(root, roles=tuple(each for each in root.roles if each.role is not role))


def twice_role(root: Root, role: Role) -> Root:
    extra = next(each for each in root.roles if each.role is role)
    return replace(root, roles=(*root.roles, RoleKeys(role, extra.key_ids, extra.threshold)))


def forget(bench: Bench, repository: Repository, *files: str) -> None:
    """Let an ECU have lost files, so that what stands behind them is put to the test."""
    for file in files:
        bench.store.pop((repository, file), None)


def info_of(octets: bytes, version: int, **changes: Any) -> FileInfo:
    return replace(FileInfo(version, len(octets), sha256(octets).digest()), **changes)


EXPIRED = {"expires": NOW}  # a file that expires at this second has expired
