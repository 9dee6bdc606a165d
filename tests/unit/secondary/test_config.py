"""A Secondary's config.toml: what provisioning writes is read, what is wrong is refused with its place."""

from pathlib import Path

import pytest

from secondary.shell.board import read_interlock
from secondary.shell.config import Verification, load
from uptane.link.uds_tasks import Interlock
from uptane.shell.settings import SettingsError

GOOD = """
vehicle = "vehicle-1"
ecu = "brake-1"
hardware = "brake-hw"
verification = "partial"
address = 17
slot_size = 65536
[can]
interface = "udp_multicast"
channel = "239.1.2.3"
port = 40000
fd = true
bitrate = 500000
data_bitrate = 2000000
[image]
filename = "brake/app-1"
length = 100
sha256 = "0000000000000000000000000000000000000000000000000000000000000001"
release_counter = 1
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def test_what_provisioning_writes_is_read_with_safe_defaults(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert (config.vehicle, config.ecu, config.address) == ("vehicle-1", "brake-1", 17)
    assert config.verification is Verification.PARTIAL
    assert config.filename == "**"
    assert config.interlock is None
    assert config.self_test == ()
    assert (config.can.interface, config.can.options, config.can.fd) == ("udp_multicast", {"port": 40_000}, True)
    assert config.can.paced
    assert (config.factory.length, config.factory.release_counter) == (100, 1)
    assert config.key == tmp_path / "keys" / "ecu.pem"
    assert (config.state, config.slots, config.initial) == tuple(
        tmp_path / name for name in ("state", "slots", "initial")
    )


def test_the_rest_can_be_set(tmp_path: Path) -> None:
    more = (
        'filename = "brake/*"\nslow_floor = 0\n'
        + GOOD
        + '[interlock]\nkind = "file"\npath = "lock"\n[self_test]\ncommand = ["true"]\ntimeout_s = 5\n'
        + '[paths]\nstate = "/s"\nslots = "x/slots"\n'
    )
    config = load(written(tmp_path, more))
    assert config.interlock == tmp_path / "lock"
    assert (config.self_test, config.self_test_s, config.slow_floor) == (("true",), 5, 0)
    assert (config.state, config.slots) == (Path("/s"), tmp_path / "x" / "slots")


BAD = [
    ("address = 17", "address = 240", "address is 240; expected an integer from 1 to 239"),
    ("address = 17", "address = 0", "address is 0"),
    ("address = 17", "", "address is missing"),
    ('ecu = "brake-1"', 'ecu = "brake 1"', "ecu is 'brake 1'"),
    ('"partial"', '"some"', 'expected one of "partial", "full"'),
    ("slot_size = 65536", "slot_size = 0", "slot_size is 0"),
    ("length = 100", "length = 65537", "image.length is 65537"),
    ('sha256 = "00', 'sha256 = "0', "image.sha256"),
    ('"brake/app-1"', '"../app"', "image.filename is '../app'"),
    ("port = 40000", "port = 0", "can.port is 0"),
    ("data_bitrate = 2000000", "data_bitrate = 100000", "can.data_bitrate is 100000"),
    ("bitrate = 500000\n", 'bitrate = "fast"\n', "can.bitrate is 'fast'"),
    ("fd = true", "fdd = true", "can.fdd: unknown key"),
    ("[can]", "[cann]", "can.interface is missing"),
    ("[image]", 'colour = "red"\n[image]', "can.colour: unknown key"),
    ("release_counter = 1", 'release_counter = 1\n[interlock]\nkind = "file"', "interlock.path is missing"),
    ("release_counter = 1", 'release_counter = 1\n[interlock]\npath = "x"', "interlock.path: unknown key"),
    ("release_counter = 1", "release_counter = 1\n[self_test]\ncommand = 'true'", "self_test.command is 'true'"),
    ("release_counter = 1", "release_counter = 1\n[other]\nx = 1", "other: unknown key"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD)
def test_what_is_wrong_is_refused_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, GOOD.replace(old, new, 1)))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("safe", Interlock.SAFE),
        (" safe parked\n", Interlock.SAFE),
        ("moving", Interlock.MOVING),
        ("unsafe", Interlock.UNSAFE),
        ("SAFE", Interlock.UNSAFE),
        ("", Interlock.UNSAFE),
        ("safely", Interlock.UNSAFE),
    ],
)
def test_the_interlock_says_safe_only_when_it_says_so(tmp_path: Path, text: str, word: Interlock) -> None:
    file = tmp_path / "interlock"
    assert read_interlock(file) is Interlock.UNSAFE
    file.write_text(text)
    assert read_interlock(file) is word
