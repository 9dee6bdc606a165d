"""The files of the Director's shell: descriptions of vehicles, public keys, TOML, folders."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from director.inventory import Verification
from director.shell.folder import Folder, KeyRing, Settings, settings_text
from director.shell.public_key import as_file, read_public_key
from director.shell.toml_text import toml_text
from director.shell.vehicle_file import describe, tables
from uptane.crypto import Ed25519Signer, P256Signer
from uptane.errors import StorageFailure
from uptane.model.signed import Authority
from uptane.shell.key_text import as_text, from_text
from uptane.shell.settings import SettingsError

DESCRIPTION = """
vehicle = "VIN1"

[[bus]]
name = "chassis"
interface = "udp_multicast"
channel = "239.10.10.10"
port = 30001

[[ecu]]
id = "gw"
hardware = "gw-hw"
primary = true
slot_size = 1000
image = { filename = "gw/1", release_counter = 1, file = "gw.bin" }

[[ecu]]
id = "brake"
hardware = "brake-hw"
bus = "chassis"
address = 0x11
slot_size = 1000
public_key = "PUBLIC"

[ecu.image]
filename = "brake/1"
length = 3
sha256 = "HASH"

[ecu.interlock]
kind = "none"
"""

KEY = Ed25519Signer.from_seed(b"k" * 32).public


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "gw.bin").write_bytes(b"firmware")
    text = DESCRIPTION.replace("PUBLIC", as_text(KEY).split()[1]).replace("HASH", "ab" * 32)
    path = tmp_path / "vehicle.toml"
    path.write_text(text)
    return path


def test_a_description(file: Path) -> None:
    described = describe(file)
    gateway, brake = described.ecus
    assert described.vehicle == "VIN1"
    assert (gateway.primary, gateway.verification, gateway.bus) == (True, Verification.FULL, "")
    assert gateway.factory is not None
    assert gateway.factory.length == 8
    assert (brake.verification, brake.address, brake.filename) == (Verification.PARTIAL, 0x11, "**")
    assert brake.key == KEY
    buses, ecus = tables(described.text)
    assert buses["chassis"]["port"] == 30_001
    assert ecus["brake"]["interlock"] == {"kind": "none"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('vehicle = "VIN1"', 'vehicle = "a b"', "vehicle"),
        ('vehicle = "VIN1"', "", "vehicle is missing"),
        ("address = 0x11", "address = 0xF0", "address"),
        ('bus = "chassis"', 'bus = "nowhere"', "name of a [[bus]]"),
        ("slot_size = 1000", "slot_size = 0", "slot_size"),
        ('interface = "udp_multicast"', "interface = 3", "interface"),
        ("[[bus]]", "[[bus]", "is no TOML"),
        ("port = 30001", "port = 30001\nspeed = 3", "speed"),
        ("primary = true", 'primary = true\nverification = "some"', "verification"),
        ("length = 3", "length = -1", "length"),
        ("ab" * 32, "ab", "64 hexadecimal digits"),
        ('filename = "brake/1"', 'filename = "../1"', "filename"),
        ("public_key = ", 'public_key = "x" #', "no public key"),
        ("address = 0x11", "address = 0x11\nslots = 3", "slots"),
    ],
)
def test_a_wrong_description(file: Path, old: str, new: str, said: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(SettingsError) as refused:
        describe(file)
    assert said in str(refused.value)


def test_a_description_that_names_a_missing_file(file: Path) -> None:
    (file.parent / "gw.bin").unlink()
    with pytest.raises(StorageFailure, match=r"gw\.bin"):
        describe(file)
    with pytest.raises(SettingsError):
        describe(file.parent / "none.toml")


def test_public_keys(tmp_path: Path) -> None:
    for number, key in enumerate((KEY, P256Signer.from_seed(b"p" * 32).public)):
        path = tmp_path / f"{number}.pub"
        path.write_bytes(as_file(key))
        assert read_public_key(path) == key
        path.write_text(as_text(key))
        assert read_public_key(path) == key
    assert from_text(as_text(KEY).split()[1]) == KEY
    pem = tmp_path / "p256.pem"
    pem.write_bytes(b"-----BEGIN PUBLIC KEY-----\nnonsense\n-----END PUBLIC KEY-----\n")
    for path in (pem, tmp_path / "none"):
        with pytest.raises(StorageFailure):
            read_public_key(path)


@pytest.mark.parametrize("text", ["", "ed25519", "ed25519 !", "rsa AAAA", "ed25519 AAAA", "AAAA"])
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(ValueError, match="key"):
        from_text(text)


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\x7f"), min_size=1)
PLAIN = st.integers(-(2**63), 2**63 - 1) | st.booleans() | NAMES | st.lists(NAMES)
TABLE: Any = st.recursive(
    st.dictionaries(NAMES, PLAIN, max_size=3),
    lambda inner: st.dictionaries(NAMES, inner | PLAIN | st.lists(inner, min_size=1, max_size=2), max_size=3),
    max_leaves=6,
)


@given(TABLE)
def test_what_is_written_as_toml_is_read_back(table: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text(table, "a comment\nof two lines")) == table


def test_toml_leaves_out_what_is_none_and_refuses_what_has_no_place() -> None:
    assert toml_text({"a": None, "b": 1}) == "b = 1\n"
    with pytest.raises(TypeError):
        toml_text({"a": object()})


def test_settings_are_read_back(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    for settings in (Settings(), Settings(port=0, address="a:1", names=("b", "c"), lifetime_s=60, poll_s=1)):
        folder.settings_file.write_text(settings_text(settings))
        assert folder.settings() == settings
    for wrong in ("[serve]\nport = 70000", "[terms]\nlifetime_s = 5", "[nonsense]", 'a = "'):
        folder.settings_file.write_text(wrong)
        with pytest.raises(SettingsError):
            folder.settings()
    folder.settings_file.unlink()
    with pytest.raises(StorageFailure, match="marque-director init"):
        folder.settings()


def test_a_key_ring(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys", None)
    made = ring.create("targets")
    (tmp_path / "keys" / "new-1.pem").write_text("half written")
    authority = Authority({made.key_id: made.public}, 1)
    for each in (ring, KeyRing(tmp_path / "keys", None)):
        assert [signer.public for signer in each.signers(authority)] == [made.public]
    assert list(ring.signers(Authority({made.key_id: KEY}, 1))) == []
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0
