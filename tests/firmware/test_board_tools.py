"""The host's half of the emulated board: facts, flash file, slcan lines; no QEMU here (tests/system/test_board.py)."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from can import Message
from can.interfaces.slcan import slcanBus
from hypothesis import given
from hypothesis import strategies as st

from firmware.tools import facts, flash_file
from firmware.tools.flash_file import BoardError
from firmware.tools.slcan import LINE_LENGTH_MAX, Lines, line_of
from secondary.shell.config import load
from secondary.shell.provision import ProvisionError
from tests.peers.secondary_process import SecondaryProcess
from uptane.crypto import Ed25519Signer, key_id_of
from uptane.errors import MarqueError
from uptane.link.can_frame import CAN_ID_MAX, DATA_LENGTHS, CanFrame
from uptane.shell import keys

LAYOUT = flash_file.layout()

frames = st.builds(
    lambda number, octets, kind: CanFrame(number, octets[: 64 if kind else 8], kind > 0, kind > 1),
    st.integers(0, CAN_ID_MAX),
    st.sampled_from(DATA_LENGTHS).flatmap(lambda length: st.binary(min_size=length, max_size=length)),
    st.integers(0, 2),
)


# ------------------------------------------------------------------------------------------------------- slcan


@given(frames)
def test_a_frame_is_written_as_python_can_writes_it(frame: CanFrame) -> None:
    written: list[str] = []

    class Silent(slcanBus):
        def __init__(self) -> None:
            self.serialPortOrig = Port()  # takes the text and sends nothing
            self._is_shutdown = True

    class Port:
        write_timeout = None

        def write(self, octets: bytes) -> None:
            written.append(octets.decode())

        def flush(self) -> None:
            pass

    Silent().send(Message(arbitration_id=frame.can_id, data=frame.data, is_fd=frame.fd, bitrate_switch=frame.brs))
    assert line_of(frame).decode() == "".join(written)


@given(st.lists(frames, max_size=5), st.data())
def test_frames_come_through_in_whatever_pieces(sent: list[CanFrame], data: st.DataObject) -> None:
    octets, lines, heard = b"".join(map(line_of, sent)), Lines(), []
    while octets:
        cut = data.draw(st.integers(1, len(octets)))
        heard += lines.take(octets[:cut])
        octets = octets[cut:]
    assert heard == sent
    assert lines.noise == 0


@given(st.binary(max_size=2 * LINE_LENGTH_MAX), frames)
def test_noise_raises_nothing_and_costs_no_frame_after_it(noise: bytes, frame: CanFrame) -> None:
    lines = Lines()
    lines.take(noise)
    lines.take(b"\r")
    assert lines.take(line_of(frame)) == [frame]


@pytest.mark.parametrize(
    "line",
    [
        b"T1CDA11F0",  # cut
        b"T1CDA11F08000000000000000",  # a digit is missing
        b"T1CDA11F0800000000000000000",  # one too many
        b"T1CDA11F0900000000000000000000000000",  # a length of CAN FD
        b"T2000000001AA",  # an identifier of 30 bits
        b"T1CDA11F01 A",
        b"T1CDA11F01\xff\xff",
        b"X",
        b"B" * (3 * LINE_LENGTH_MAX),
    ],
)
def test_noise_is_counted(line: bytes) -> None:
    lines = Lines()
    assert lines.take(line + b"\r") == []
    assert lines.noise == 1
    assert lines.take(b"V0101\rz\r\x07t1230\r\r") == []
    assert lines.noise == 1


# ------------------------------------------------------------------------------------------------------- facts


def an_image(version: bytes = b"test 1", length: int = 2_000, **changes: int) -> bytes:
    """Octets that look like an image of the board to those who only look at its ends."""
    ram = LAYOUT["IMAGE_RAM"]
    values = {"stack": LAYOUT["HANDOVER"], "entry": ram + 0x141, "magic": LAYOUT["IMAGE_MAGIC"], "length": length}
    values |= changes
    head = struct.pack("<II", values["stack"], values["entry"]).ljust(LAYOUT["IMAGE_MARK"], b"\0")
    mark = struct.pack("<II", values["magic"], values["length"]) + version.ljust(LAYOUT["VERSION_TEXT"], b"\0")
    return (head + mark).ljust(length, b"\x01")


@pytest.fixture
def ecu(tmp_path: Path) -> SecondaryProcess:
    """A provisioned ECU whose factory image is one for the board; it does not run."""
    ecu = SecondaryProcess(tmp_path / "brake")
    octets = an_image()
    (ecu.folder / "initial" / "image.bin").write_bytes(octets)
    text = ecu.config.read_text().replace(f"slot_size = {512 * 1024}", f"slot_size = {LAYOUT['SLOT_SIZE']}")
    before = ecu.pair.factory[ecu.ecu]
    image = flash_file.image(octets, "test")
    text = text.replace(f"length = {before.length}", f"length = {len(octets)}")
    ecu.config.write_text(text.replace(before.sha256.hex(), image.sha256))
    return ecu


def fields(octets: bytes) -> list[Any]:
    """Read the facts by the words of facts.py's first lines, and by nothing else."""
    assert zlib.crc32(octets[:-4]) == int.from_bytes(octets[-4:])
    found: list[Any] = [octets[:4], octets[4], int.from_bytes(octets[5:9])]
    at = 9

    def take(length: int) -> bytes:
        nonlocal at
        at += length
        return octets[at - length : at]

    found += [take(take(1)[0]) for _ in range(4)]
    found += [int.from_bytes(take(length)) for length in (1, 1, 4, 8)]
    found += [take(length) for length in (32, 32, 32, 8)]
    found += [take(take(1)[0]), int.from_bytes(take(4)), int.from_bytes(take(4)), take(32)]
    found.append(take(int.from_bytes(take(4))))
    assert at == len(octets) - 4
    return found


def test_facts_are_what_was_provisioned(ecu: SecondaryProcess) -> None:
    config = load(ecu.config)
    told = facts.facts_of(config)
    octets = facts.encode(told)
    private = keys.load(ecu.folder / "keys" / "ecu.pem", None)
    assert Ed25519Signer.from_seed(told.seed).public == private.public == ecu.key
    assert fields(octets) == [
        b"MQF1",
        1,
        len(octets),
        *(text.encode() for text in (config.vehicle, config.ecu, config.hardware, config.filename)),
        *(config.address, 1, config.slow_floor, told.floor),
        *(told.secret, told.seed, ecu.key.octets, key_id_of(ecu.key)),
        config.factory.filename.encode(),
        *(config.factory.length, config.factory.release_counter, config.factory.sha256),
        (ecu.folder / "initial" / "director" / "root").read_bytes(),
    ]
    assert facts.facts_of(config).secret != told.secret


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("verification = full", "verifies partially"),
        ("no root", "no Root of the Director"),
        ("filename = long", "at most 128 characters"),
    ],
)
def test_an_ecu_that_cannot_be_a_board(ecu: SecondaryProcess, what: str, text: str) -> None:
    if what == "no root":
        (ecu.folder / "initial" / "director" / "root").unlink()
    words = ecu.config.read_text()
    words = words.replace('"partial"', '"full"') if "full" in what else words
    words = words.replace('"*/*"', f'"{"x" * 129}"') if "long" in what else words
    ecu.config.write_text(words)
    with pytest.raises(ProvisionError, match=text):
        facts.facts_of(load(ecu.config))


# -------------------------------------------------------------------------------------------------- flash file


def test_a_board_as_it_leaves_the_factory(ecu: SecondaryProcess, tmp_path: Path) -> None:
    board = tmp_path / "board"
    made = flash_file.make(board, load(ecu.config))
    assert made.version == "test 1"
    flash = (board / LAYOUT.flash_file).read_bytes()
    assert flash == an_image().ljust(LAYOUT["FLASH_SIZE"], b"\xff")
    assert flash_file.slot(board, 0)[:2_000] == an_image()
    assert set(flash_file.slot(board, 1)) == {0xFF}
    assert (board / flash_file.FACTS_FILE).stat().st_mode & 0o777 == keys.MODE
    (ecu.folder / "interlock").write_text("moving\n")
    assert (board / LAYOUT.interlock_file).read_text() == "moving\n"


def test_what_lies_where_does_not_overlap() -> None:
    pages = [(LAYOUT[f"SLOT_{n}"], LAYOUT["SLOT_SIZE"]) for n in (0, 1)] + [(LAYOUT["STATE"], LAYOUT["STATE_SIZE"])]
    end = 0
    for start, length in pages:
        assert start == end
        assert length % (2 * LAYOUT["FLASH_PAGE"]) == 0
        end = start + length
    assert end == LAYOUT["FLASH_SIZE"]
    assert LAYOUT["STATE_SIZE"] // 2 >= 8 * 1024
    assert LAYOUT["STUB"] + LAYOUT["STUB_SIZE"] == LAYOUT["FACTS"]
    assert LAYOUT["FACTS"] + LAYOUT["FACTS_SIZE"] == 256 * 1024
    assert LAYOUT["IMAGE_RAM"] + LAYOUT["SLOT_SIZE"] == LAYOUT["DATA_RAM"]
    assert LAYOUT["HANDOVER"] + 8 == flash_file.RAM_MAX == LAYOUT["IMAGE_RAM"] + 64 * 1024


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"", "0 octets"),
        (an_image(length=LAYOUT["SLOT_SIZE"] + 1), "octets; an image for this board has"),
        (an_image(magic=0), "no mark of an image"),
        (an_image() + b"\0", "no mark of an image"),
        (an_image(b""), "no mark of an image"),
        (an_image(entry=0x141), "its vectors"),
        (an_image(stack=0x2001_0004), "its vectors"),
    ],
)
def test_what_is_no_image(octets: bytes, text: str) -> None:
    with pytest.raises(BoardError, match=f"^file.bin: .*{text}"):
        flash_file.image(octets, "file.bin")


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("slots", "the slots of this board have"),
        ("other image", r"not the image that \[image\] describes"),
        ("no image", "No such file"),
    ],
)
def test_a_board_that_cannot_be_made(ecu: SecondaryProcess, tmp_path: Path, what: str, text: str) -> None:
    config = load(ecu.config)
    path = ecu.folder / "initial" / "image.bin"
    if what == "slots":
        config = replace(config, slot_size=config.slot_size + 1)
    elif what == "other image":
        path.write_bytes(an_image(b"test 2"))
    else:
        path.unlink()
    with pytest.raises(MarqueError, match=text):
        flash_file.make(tmp_path / "board", config)
    assert not (tmp_path / "board").exists()
