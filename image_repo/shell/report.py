"""Status: what is published, until when it is valid, and what lies about unpublished."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from image_repo.shell.keeper import Keeper
from image_repo.standing import Standing
from uptane.model.ids import TOP_TARGETS, Role
from uptane.model.metadata import ImageTargets, Root, Snapshot, Timestamp
from uptane.model.signed import Authority, Verified
from uptane.rpc.gen import image_repo_pb2 as pb
from uptane.verify.roles import top_authority

SHOWN_MAX = 100  # blobs named in one answer; all are counted


def status_of(keeper: Keeper) -> pb.StatusReply:
    """The repository at this moment."""
    images, octets = keeper.database.images_total()
    unpublished = [blob for blob in keeper.blobs.whole() if keeper.database.published(blob[0]) is None]
    unfinished = list(keeper.blobs.unfinished())
    return pb.StatusReply(
        roles=_roles(keeper.standing),
        images=images,
        image_octets=octets,
        unpublished=_blobs(unpublished),
        unpublished_total=len(unpublished),
        unfinished=_blobs(unfinished),
        unfinished_total=len(unfinished),
    )


def _roles(standing: Standing) -> Iterator[pb.RoleStatus]:
    root = standing.root.value
    yield _role("root", standing.root, top_authority(root, Role.ROOT))
    yield _role("timestamp", standing.timestamp, top_authority(root, Role.TIMESTAMP))
    yield _role("snapshot", standing.snapshot, top_authority(root, Role.SNAPSHOT))
    yield _role(TOP_TARGETS, standing.targets, top_authority(root, Role.TARGETS))
    for name in sorted(standing.delegated):
        yield _role(name, standing.delegated[name], standing.authorities[name][0])


def _role(
    name: str,
    file: Verified[Root] | Verified[Timestamp] | Verified[Snapshot] | Verified[ImageTargets],
    authority: Authority,
) -> pb.RoleStatus:
    value = file.value
    return pb.RoleStatus(
        role=name,
        version=value.header.version,
        expires=value.header.expires,
        length=len(file.octets),
        images=len(value.entries) if isinstance(value, ImageTargets) else 0,
        threshold=authority.threshold,
        keys=len(authority.keys),
    )


def _blobs(blobs: list[tuple[bytes, int]]) -> Iterator[pb.Blob]:
    return (pb.Blob(sha256=sha256, held=held) for sha256, held in islice(blobs, SHOWN_MAX))
