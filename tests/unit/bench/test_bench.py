"""The figures' own arithmetic, and that the peers say the same as we do; the figures themselves are `make bench`'s."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import codec, figures, metadata_ours, metadata_tuf, reference, sizes
from bench.__main__ import MODULES
from bench.carried import delivery
from bench.figures import Peer
from uptane.errors import Rejected
from uptane.link.uds_objects import CheckOption, Object, Place

KEYS = {"name", "unit", "ours", "peer", "peer_name", "ratio", "aim", "met"}


@pytest.mark.parametrize(
    ("ours", "peer", "times", "ratio", "met"),
    [(2.0, 10.0, 5, 5.0, True), (2.0, 9.9, 5, 4.95, False), (1.0, 1.0, 1, 1.0, True), (1.0, 2.0, None, 2.0, None)],
)
def test_an_aim_is_met_or_not(ours: float, peer: float, times: float | None, *, ratio: float, met: bool | None) -> None:
    row = figures.smaller("name", "ms", ours, Peer("peer", peer), times=times)
    assert set(row) == KEYS
    assert (row["ratio"], row["met"]) == (ratio, met)


def test_a_limit_is_met_up_to_its_last_octet() -> None:
    assert figures.at_most("name", "octets", 240, limit=240)["met"] is True
    assert figures.at_most("name", "octets", 241, limit=240)["met"] is False
    assert figures.unmet([figures.at_most("name", "octets", 241, limit=240), figures.plain("other", "ms", 1)]) == [
        "name"
    ]


def test_the_reference_implementation_s_shape_has_the_sizes_of_its_samples() -> None:
    assert len(reference.targets([])) == 136
    assert len(reference.root()) == 631
    assert len(reference.timestamp()) == 195  # its sample names a Snapshot of more than 127 octets: one more


def test_both_sides_verify_and_find_the_same_image() -> None:
    values = codec.images(20)
    ours, theirs = metadata_ours.written(values), metadata_tuf.written(values)
    metadata_ours.find(ours, values[7].filename)
    metadata_tuf.find(theirs, values[7].filename)
    with pytest.raises(Rejected):
        metadata_ours.find(ours.replace(b"1.2.3", b"1.2.4", 1), values[7].filename)
    with pytest.raises(Exception, match="signed by 0/1"):
        metadata_tuf.find(theirs.replace(b"1.2.3", b"1.2.4", 1), values[7].filename)


def test_the_peer_of_the_codec_encodes_the_same_images() -> None:
    values = codec.images(5)
    trees = [codec.as_tree(image) for image in values]
    for write, read in (codec.peer(trees), codec.peer_apart(trees)):
        assert write()
        assert read()
    assert codec.read(codec.write(values)) == 5


def test_a_delivery_counts_both_directions_and_flow_control() -> None:
    place = Place(Object.ORDER)
    # 34 with its 11 octets is two frames and a flow control, its answer one; 36 with 5 octets one, its answer one;
    # 37 and its answer; 31 of 5 octets and its answer of 5.
    assert delivery(b"order", place, CheckOption.ORDER).frames == 3 + 1 + 1 + 1 + 1 + 1 + 1 + 1
    assert delivery(b"order", place, None).frames == 8
    blocks = delivery(bytes(5_000), place, None)
    frames_of_4095, frames_of_909 = 1 + 585 + 10, 1 + 129 + 3
    assert blocks.frames == 3 + 1 + frames_of_4095 + 1 + frames_of_909 + 1 + 2
    assert 0.2 < blocks.bus_ms / blocks.frames < 0.33, "a classic frame takes a quarter of a millisecond"


def test_sizes_are_measured_whole() -> None:
    rows = sizes.rows()
    assert all(set(row) == KEYS for row in rows)
    names = {str(row["name"]).split(":")[0] for row in rows}
    assert {"Director Root", "time attestation", "order", "Image Snapshot", "signed report, voted"} <= names


PROGRAM = "import sys, pathlib, bench.__main__ as it; it.OUTPUT = pathlib.Path(sys.argv.pop()); sys.exit(it.main())"


def test_the_command_writes_its_rows(tmp_path: Path) -> None:
    output = tmp_path / "out" / "bench.json"
    command = [sys.executable, "-c", PROGRAM, "sizes", "--json", str(output)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    written = json.loads(output.read_text(encoding="utf-8"))
    assert json.loads(done.stdout) == written
    assert all(set(row) == KEYS for row in written)


def test_every_module_with_rows_is_gathered() -> None:
    folder = Path(figures.__file__).parent
    with_rows = {path.stem for path in folder.glob("*.py") if "\ndef rows()" in path.read_text(encoding="utf-8")}
    assert with_rows == set(MODULES)


def test_the_command_refuses_what_it_does_not_know() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "nonsense"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "no such figures: nonsense" in done.stderr
