"""The OER codec: writing and reading an Image repository's Targets, beside asn1tools' OER.

asn1tools is measured in two ways: with the images as one SEQUENCE OF, which is how one would write the schema for it,
and image by image, which spares it the quadratic part but makes no Targets of them (no aim). Ours does more in the same
time: it judges names, puts the images in order, and refuses what is not canonical. 100,000 images are ours alone:
asn1tools' time grows with the square of their number (4,000 take it seconds), so it would take more than an hour.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import asn1tools

import uptane.codec
from bench.figures import SECOND_MS, Peer, Row, at_most, best_in_turn_s, smaller
from uptane.codec.oer import Oer
from uptane.model.ids import Filename, HardwareId
from uptane.model.metadata import Header, Image, ImageRepository, ImageTargets
from uptane.moments import UtcTime

FEW, MANY = 1_000, 100_000
FASTER = 10
GROWTH_MAX = 1.25
PATH_LENGTH = 30
HARDWARE = "hardware-id-20-octet"

OER = Oer()
HEADER = Header(1, ImageRepository(), 1, UtcTime(1_900_000_000), UtcTime(1_800_000_000))
SCHEMA = Path(uptane.codec.__file__).with_name("uptane.asn1")
ENTRIES = "entries           OCTET STRING (SIZE (0..67108864)),"


def images(count: int) -> list[Image]:
    """Images with paths of 30 octets, as fresh values that nothing has been encoded of."""
    return [
        Image(
            filename=Filename(f"supplier/part-{number:07}/1.2.3.bin"[:PATH_LENGTH].ljust(PATH_LENGTH, "x")),
            length=200_000 + number,
            sha256=sha256(number.to_bytes(4)).digest(),
            sha512=None,
            hardware=(HardwareId(HARDWARE),),
            release_counter=number,
            octets=b"",
        )
        for number in range(count)
    ]


def write(values: list[Image]) -> bytes:
    """A whole Targets payload."""
    return OER.encode(ImageTargets(HEADER, OER.images(values)))


def read(payload: bytes) -> int:
    """Every image of a Targets payload."""
    targets = OER.parse(payload)
    assert isinstance(targets, ImageTargets)
    return sum(1 for _ in targets.entries)


def as_tree(image: Image) -> dict[str, Any]:
    """An image as asn1tools takes it."""
    return {
        "filename": image.filename.encode(),
        "length": image.length,
        "sha256": image.sha256,
        "hardware": image.hardware[0].encode(),
        "releaseCounter": image.release_counter,
    }


def peer_tree(trees: list[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A Targets payload as asn1tools takes it."""
    header = {"level": 1, "speaker": ("image", None), "version": 1, "expires": 1_900_000_000, "issued": 1_800_000_000}
    return ("targets", {"header": header, "refreshImageRoot": False, "entries": trees})


def peer(trees: list[dict[str, Any]]) -> tuple[Callable[[], object], Callable[[], object]]:
    """What writes and what reads the images with asn1tools, as one message."""
    text = SCHEMA.read_text(encoding="ascii")
    assert text.count(ENTRIES) == 1
    codec = asn1tools.compile_string(text.replace(ENTRIES, "entries SEQUENCE OF Image,"), "oer")
    tree = peer_tree(trees)
    octets = codec.encode("Payload", tree)
    assert codec.decode("Payload", octets) == tree
    return (lambda: codec.encode("Payload", tree)), (lambda: codec.decode("Payload", octets))


def peer_apart(trees: list[dict[str, Any]]) -> tuple[Callable[[], object], Callable[[], object]]:
    """What writes and what reads the images with asn1tools, each as a message of its own."""
    codec = asn1tools.compile_files(str(SCHEMA), "oer")
    octets = [codec.encode("Image", tree) for tree in trees]
    assert octets == [image.octets for image in OER.images(images(len(trees)))]
    return (
        lambda: [codec.encode("Image", tree) for tree in trees],
        lambda: [codec.decode("Image", each) for each in octets],
    )


def rows() -> list[Row]:
    """All figures of this module, measured now; takes about 20 seconds."""
    few, many = images(FEW), images(MANY)
    trees = [as_tree(image) for image in few]
    few_written, many_written = write(few), write(many)
    ours = (lambda: write(few)), (lambda: read(few_written))
    best = best_in_turn_s(*ours, *peer(trees), *peer_apart(trees))
    table: list[Row] = []
    for verb, mine, theirs, apart in zip(("encode", "decode"), best[:2], best[2:4], best[4:], strict=True):
        name, figure = f"{verb} {FEW:,} images", mine * SECOND_MS
        table.append(smaller(name, "ms", figure, Peer("asn1tools OER", theirs * SECOND_MS), times=FASTER))
        table.append(smaller(name, "ms", figure, Peer("asn1tools OER, image by image", apart * SECOND_MS)))
    grown = best_in_turn_s(*ours, lambda: write(many), lambda: read(many_written))
    for verb, small, large in zip(("encode", "decode"), grown[:2], grown[2:], strict=True):
        growth = (large / MANY) / (small / FEW)
        table.append(at_most(f"{verb}, time per image at {MANY:,} against {FEW:,}", "x", growth, limit=GROWTH_MAX))
    return table
