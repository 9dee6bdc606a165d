"""config.toml of a Primary: what it takes, and each mistake named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from primary.layout import Verification
from primary.shell.config import load
from tests.builders import key
from uptane.shell.key_text import as_text
from uptane.shell.settings import SettingsError

CONFIG = f"""
vehicle = "VIN1"
ecu = "tcu"
hardware = "tcu-4"
slot_size = 1000
[image]
filename = "oem/tcu-1"
length = 10
sha256 = "{"ab" * 32}"
release_counter = 1
[director]
address = "director.example:443"
[time]
address = "[::1]:444"
server_name = "time.example"
[image_repository]
address = "10.0.0.1:445"
[[bus]]
name = "chassis"
interface = "udp_multicast"
channel = "239.1.2.3"
[[bus]]
name = "backbone"
interface = "socketcan"
channel = "can1"
fd = true
[[secondary]]
ecu = "brake"
hardware = "esc"
verification = "partial"
bus = "chassis"
address = 0x11
public_key = "{as_text(key("ecu brake").public)}"
[[secondary]]
ecu = "camera"
hardware = "adas"
verification = "full"
bus = "backbone"
address = 0x11
slots = 1
public_key = "{as_text(key("ecu camera").public)}"
"""
MAPPING = '[[mapping]]\npaths = ["**"]\nrepositories = ["director", "image"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "mapping.toml").write_text(MAPPING)
    return tmp_path


def test_all_of_it(folder: Path) -> None:
    config = load(folder / "config.toml")
    brake, camera = config.layout.secondaries
    assert (brake.verification, brake.bus, brake.address, brake.slots) == (Verification.PARTIAL, "chassis", 0x11, 2)
    assert (camera.verification, camera.bus, camera.slots) == (Verification.FULL, "backbone", 1)
    assert (brake.key, camera.key) == (key("ecu brake").public, key("ecu camera").public)
    assert config.buses["backbone"].fd
    assert (config.director.address, config.director.name) == ("director.example:443", None)
    assert (config.time.address, config.time.name) == ("[::1]:444", "time.example")
    assert config.director.authority == config.time.authority == folder / "tls" / "ca.pem"
    assert config.image.authority == folder / "tls" / "image-ca.pem"
    assert config.gate.file is None
    assert config.key == folder / "keys" / "ecu.pem"


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('vehicle = "VIN1"\n', "", "vehicle is missing"),
        ('ecu = "tcu"', 'ecu = "/tcu"', "ecu is '/tcu'"),
        ('bus = "chassis"', 'bus = "chasis"', "secondary[0].bus"),
        ('name = "backbone"', 'name = "chassis"', "bus[1].name"),
        ('ecu = "camera"', 'ecu = "brake"', "secondary[1].ecu"),
        ('ecu = "camera"', 'ecu = "tcu"', "secondary[1].ecu"),
        ("address = 0x11\nslots", "address = 0xF0\nslots", "secondary[1].address"),
        ('bus = "backbone"', 'bus = "chassis"', "secondary[1].address"),
        ("slots = 1", "slots = 3", "secondary[1].slots"),
        ("slots = 1", "slot = 1", "secondary[1].slot: unknown key"),
        ('public_key = "ed25519', 'public = "ed25519', "secondary[0].public_key is missing"),
        ('public_key = "ed25519', 'public_key = "rsa', "secondary[0].public_key"),
        (as_text(key("ecu camera").public), as_text(key("ecu brake").public), "secondary[1].public_key"),
        ('verification = "partial"', 'verification = "none"', "secondary[0].verification"),
        ('address = "director.example:443"', 'address = "director.example"', "director.address"),
        ('address = "director.example:443"', 'address = "director.example:0"', "director.address"),
        ('address = "director.example:443"', 'address = ":443"', "director.address"),
        ("slot_size = 1000", "slot_size = 1000\npol = 1", "pol: unknown key"),
        ("ab" * 32, "ab" * 31, "image.sha256"),
        ("fd = true", "fd = 1", "fd is 1"),
        ("[image]", '[installer]\nkind = "swupdate"\n[image]', "installer.kind"),
        ("[image]", '[installer]\nkind = "rauc"\n[image]', "installer.slots is missing"),
        ("[image]", '[installer]\nkind = "rauc"\nslots = ["A", "A"]\n[image]', "installer.slots"),
        ("[image]", '[installer]\nkind = "command"\n[image]', "installer.command is missing"),
        ("[image]", '[installer]\nkind = "command"\ncommand = ["hook"]\n[image]', "installer.command"),
        ("[image]", '[installer]\nkind = "command"\ncommand = []\n[image]', "installer.command"),
        ("[image]", '[installer]\ncommand = ["/hook"]\n[image]', "installer.command: unknown key"),
        ("[image]", '[installer]\nkind = "rauc"\nslots = ["A", "B"]\ntimeout_s = 0\n[image]', "installer.timeout_s"),
    ],
)
def test_each_mistake_is_named_with_its_place(folder: Path, old: str, new: str, place: str) -> None:
    assert old in CONFIG
    (folder / "config.toml").write_text(CONFIG.replace(old, new, 1))
    with pytest.raises(SettingsError) as error:
        load(folder / "config.toml")
    assert place in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[[mapping]]\npaths = ["oem/*"]\nrepositories = ["director", "image"]\n',
        MAPPING + MAPPING,
        MAPPING + "more = 1\n",
    ],
)
def test_a_mapping_it_does_not_enforce_is_refused(folder: Path, text: str) -> None:
    (folder / "mapping.toml").write_text(text)
    with pytest.raises(SettingsError, match="mapping"):
        load(folder / "config.toml")
