"""Verifying one Targets file and finding one image in it, beside python-tuf with the same images as TUF JSON.

Each side runs in a process of its own for each size. The file has been read before the clock starts; the clock covers
parsing, checking the one Ed25519 signature under a trusted key, and finding one image with its hardware id. Memory is
the peak of a first run above the state after the imports, the file's octets included.
"""

from __future__ import annotations

from bench import metadata_ours, metadata_tuf
from bench.codec import images
from bench.figures import SECOND_MS, Peer, Row, smaller
from bench.measured import FOLDER, in_turn

SIZES = (10, 1_000, 100_000)
FASTER, LEANER = 20, 3  # aimed at for the largest; the others are to be no slower
PEER = "python-tuf"
MEGABYTE = 1e6


def rows() -> list[Row]:
    """All figures of this module, measured now; takes about a minute."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    table: list[Row] = []
    for count in SIZES:
        values = images(count)
        path = values[count // 2].filename
        ours_file, peer_file = FOLDER / f"{count}.targets", FOLDER / f"{count}.targets.json"
        ours_file.write_bytes(metadata_ours.written(values))
        peer_file.write_bytes(metadata_tuf.written(values))
        ours, peer = in_turn(
            ("bench.metadata_ours", str(ours_file), path), ("bench.metadata_tuf", str(peer_file), path)
        )
        faster, leaner = (FASTER, LEANER) if count == SIZES[-1] else (1, None)
        time = Peer(PEER, peer.seconds * SECOND_MS)
        memory = Peer(PEER, peer.peak_octets / MEGABYTE)
        what = f"Targets of {count:,} images"
        table.append(smaller(f"verify {what}, find one", "ms", ours.seconds * SECOND_MS, time, times=faster))
        table.append(smaller(f"peak memory, {what}", "MB", ours.peak_octets / MEGABYTE, memory, times=leaner))
    return table
