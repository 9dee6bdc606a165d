"""Targets of both repositories, their images, assignments and delegations, between values and rows.

Rules that the notation cannot say, in both directions: the alphabets of names, the order of an image's alternative
hardware, what an Image repository's Targets may not carry, and that an image's octets say what its fields say.
"""

from __future__ import annotations

from itertools import pairwise
from typing import assert_never

from uptane.codec.alphabet import read_name, read_pattern, read_url, write_name, write_pattern, write_url
from uptane.codec.metadata_rows import header_of, header_row, key_of, key_row, public_of, public_row
from uptane.codec.oer_lists import Kind, OerListing, octets_as
from uptane.codec.oer_types import Row, decode, encode, shortest
from uptane.codec.schema import ASSIGNMENT, DELEGATIONS, IMAGE
from uptane.codec.schema_table import TYPES
from uptane.errors import Malformed
from uptane.model.ids import FILENAME_LENGTH_MAX, ID_LENGTH_MAX, EcuId, Filename, HardwareId, RoleName
from uptane.model.metadata import (
    Assignment,
    Bins,
    Cipher,
    DelegatedRole,
    Delegation,
    Delegations,
    Delta,
    DeltaAlgorithm,
    DirectorTargets,
    Encrypted,
    ForVehicle,
    Image,
    ImageTargets,
    Paths,
)

CIPHERS = tuple(Cipher)
ALGORITHMS = tuple(DeltaAlgorithm)


# Images and assignments


def image_of(octets: bytes) -> Image:
    """The image that `octets` encode, which it keeps."""
    filename, length, sha256, sha512, hardware, alternatives, counter, _additions = decode(IMAGE, octets)
    hardware_ids: tuple[HardwareId, ...] = (HardwareId(read_name(hardware)),)
    if alternatives is not None:
        hardware_ids += tuple(HardwareId(read_name(alternative)) for alternative in alternatives)
        _judge_alternatives(hardware_ids)
    name = Filename(read_name(filename, FILENAME_LENGTH_MAX))
    return Image(name, length, sha256, sha512, hardware_ids, counter, octets)


def image_octets(image: Image) -> bytes:
    """The encoding of an image's fields; its `octets` are not looked at."""
    if not image.hardware:
        raise Malformed("an image for no hardware")
    hardware = tuple(write_name(hardware) for hardware in image.hardware)
    if len(hardware) > 1:
        _judge_alternatives(image.hardware)
    filename, alternatives = write_name(image.filename, FILENAME_LENGTH_MAX), hardware[1:] or None
    return encode(
        IMAGE,
        (filename, image.length, image.sha256, image.sha512, hardware[0], alternatives, image.release_counter, ()),
    )


def _judge_alternatives(hardware: tuple[HardwareId, ...]) -> None:
    """One value, one encoding: the alternatives ascend strictly, and none repeats the first id."""
    others = hardware[1:]
    if hardware[0] in others or any(left >= right for left, right in pairwise(others)):
        raise Malformed("alternative hardware is repeated or out of order")


def listed_image_octets(image: Image) -> bytes:
    """The octets to list for an image: as it stood, or made now if it has none.

    What it stood as may carry additions of a newer schema, which are kept; but it must say what the fields say, or
    one thing would be shown and another signed.
    """
    if not image.octets:
        return image_octets(image)
    if image_of(image.octets) != image:
        raise Malformed(f"the octets of {image.filename!r} say other than its fields")
    return image.octets


def assignment_of(octets: bytes) -> Assignment:
    """The assignment that `octets` encode; its image is read from the octets that the Director copied."""
    ecu, image, url, encrypted, delta, _additions = decode(ASSIGNMENT, octets)
    return Assignment(
        EcuId(read_name(ecu)),
        image_of(image),
        None if url is None else read_url(url),
        None if encrypted is None else _encrypted_of(encrypted),
        None if delta is None else _delta_of(delta),
    )


def assignment_octets(assignment: Assignment) -> bytes:
    """The encoding of one entry of a Director's Targets."""
    url, encrypted, delta = assignment.url, assignment.encrypted, assignment.delta
    return encode(
        ASSIGNMENT,
        (
            write_name(assignment.ecu),
            listed_image_octets(assignment.image),
            None if url is None else write_url(url),
            None if encrypted is None else _encrypted_row(encrypted),
            None if delta is None else _delta_row(delta),
            (),
        ),
    )


def _encrypted_of(row: Row) -> Encrypted:
    length, sha256, method, wrapped_key, _additions = row
    return Encrypted(length, sha256, CIPHERS[method] if method < len(CIPHERS) else None, wrapped_key)


def _encrypted_row(encrypted: Encrypted) -> Row:
    if encrypted.method is None:
        raise Malformed("encrypted by an unknown method")
    return (encrypted.length, encrypted.sha256, CIPHERS.index(encrypted.method), encrypted.wrapped_key, ())


def _delta_of(row: Row) -> Delta:
    algorithm, from_sha256, length, sha256, _additions = row
    return Delta(ALGORITHMS[algorithm] if algorithm < len(ALGORITHMS) else None, from_sha256, length, sha256)


def _delta_row(delta: Delta) -> Row:
    if delta.algorithm is None:
        raise Malformed("a delta of an unknown algorithm")
    return (ALGORITHMS.index(delta.algorithm), delta.from_sha256, delta.length, delta.sha256, ())


IMAGES: Kind[Image] = Kind(image_of, shortest(TYPES["Image"]), FILENAME_LENGTH_MAX)
ASSIGNMENTS: Kind[Assignment] = Kind(assignment_of, shortest(TYPES["Assignment"]), ID_LENGTH_MAX)


# Targets


def targets_of(row: Row) -> DirectorTargets | ImageTargets:
    """A Director's Targets if it speaks for a vehicle, an Image repository's or a delegate's otherwise."""
    header_values, coordinator, refresh_image_root, entries, delegations, _additions = row
    header = header_of(header_values)
    below = None if delegations is None else _delegations_of(delegations)
    if isinstance(header.speaker, ForVehicle):
        key = None if coordinator is None else public_of(coordinator)
        return DirectorTargets(header, key, refresh_image_root, OerListing(entries, ASSIGNMENTS), below)
    if coordinator is not None or refresh_image_root:
        raise Malformed("a coordinator, or an order to refresh, in a Targets that is no vehicle's")
    return ImageTargets(header, OerListing(entries, IMAGES), below)


def targets_row(targets: DirectorTargets | ImageTargets) -> Row:
    """The row of a Targets of either repository."""
    delegations = None if targets.delegations is None else encode(DELEGATIONS, _delegations_row(targets.delegations))
    header = header_row(targets.header)
    match targets:
        case DirectorTargets():
            if not isinstance(targets.header.speaker, ForVehicle):
                raise Malformed("a Director's Targets that speaks for no vehicle")
            coordinator = None if targets.coordinator is None else public_row(targets.coordinator)
            entries = octets_as(ASSIGNMENTS, targets.entries)
            return (header, coordinator, targets.refresh_image_root, entries, delegations, ())
        case ImageTargets():
            if isinstance(targets.header.speaker, ForVehicle):
                raise Malformed("an Image repository's Targets that speaks for a vehicle")
            return (header, None, False, octets_as(IMAGES, targets.entries), delegations, ())
        case _:
            assert_never(targets)


# Delegations


def _delegations_of(octets: bytes) -> Delegations:
    keys, delegations = decode(DELEGATIONS, octets)
    return Delegations(tuple(key_of(key) for key in keys), tuple(_delegation_of(row) for row in delegations))


def _delegations_row(delegations: Delegations) -> Row:
    return (
        tuple(key_row(key) for key in delegations.keys),
        tuple(_delegation_row(delegation) for delegation in delegations.delegations),
    )


def _delegation_of(row: Row) -> Delegation:
    hardware, terminating, (tag, match), roles, min_agree, _additions = row
    return Delegation(
        tuple(HardwareId(read_name(octets)) for octets in hardware),
        terminating,
        Bins(match) if tag == 1 else Paths(tuple(read_pattern(octets) for octets in match)),
        tuple(DelegatedRole(RoleName(read_name(name)), key_ids, threshold) for name, key_ids, threshold in roles),
        min_agree,
    )


def _delegation_row(delegation: Delegation) -> Row:
    return (
        tuple(write_name(hardware) for hardware in delegation.hardware),
        delegation.terminating,
        _match_row(delegation.match),
        tuple((write_name(role.name), role.key_ids, role.threshold) for role in delegation.roles),
        delegation.min_agree,
        (),
    )


def _match_row(match: Paths | Bins) -> Row:
    match match:
        case Paths(patterns=patterns):
            return (0, tuple(write_pattern(pattern) for pattern in patterns))
        case Bins(bits=bits):
            return (1, bits)
        case _:
            assert_never(match)
