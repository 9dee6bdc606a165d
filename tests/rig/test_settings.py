"""A rig file is read strictly: whatever is wrong with it is said with its place and the remedy."""

from pathlib import Path

import pytest

from rig import settings
from uptane.shell.settings import SettingsError

GOOD = """
[[bus]]
name = "bench"
interface = "slcan"
channel = "board/can"

[[ecu]]
name = "brake"
hardware = "brake-hw"
address = 0x21
bus = "bench"
"""


def read(folder: Path, text: str) -> settings.RigSettings:
    file = folder / "rig.toml"
    file.write_text(text)
    return settings.load(file)


def test_the_shortest_file(tmp_path: Path) -> None:
    rig = read(tmp_path, GOOD)
    ecu = rig.ecus[0]
    assert (ecu.verification, ecu.tester, ecu.power.kind) == (
        settings.Verification.PARTIAL,
        0xF1,
        settings.PowerKind.NONE,
    )
    assert rig.buses[0].can.channel == str(tmp_path / "board" / "can"), "a device is relative to the file"
    assert rig.backend == tmp_path / "backend"


@pytest.mark.parametrize("url", ["socket://127.0.0.1:2001", "rfc2217://rack:2001", "/dev/ttyACM0@2000000"])
def test_urls_are_left_as_they_are(tmp_path: Path, url: str) -> None:
    assert read(tmp_path, GOOD.replace("board/can", url)).buses[0].can.channel == url


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("address = 0x21", "adress = 0x21", "address is missing"),
        ("address = 0x21", "address = 0xF0", "address is 240; expected an integer from 1 to 239"),
        ('bus = "bench"', 'bus = "other"', "expected one of the names of [[bus]]: bench"),
        ('bus = "bench"', 'bus = "bench"\ncolour = "red"', "colour: unknown key"),
        ("[[ecu]]", "[ecu]", "expected tables: [[ecu]]"),
        ('bus = "bench"', 'bus = "bench"\n[ecu.power]\nkind = "magic"', 'one of "none", "command", "relay"'),
        ('bus = "bench"', 'bus = "bench"\n[ecu.power]\nkind = "command"', "power.on is missing"),
        (
            'bus = "bench"',
            'bus = "bench"\n[ecu.power]\nkind = "command"\non = []\noff = ["x"]',
            "expected a program and its arguments",
        ),
        (
            'bus = "bench"',
            'bus = "bench"\n[ecu.power]\nkind = "relay"\non = "A0 zz"\noff = "A0"\nurl = "r"',
            "octets in hexadecimal",
        ),
        ('bus = "bench"', 'bus = "bench"\n[ecu.console]\nbaudrate = 9600', "console.url is missing"),
        ('bus = "bench"', 'bus = "bench"\n[ecu.interlock]\nsafe = ["x"]', 'two commands, "safe" and "moving"'),
        ('bus = "bench"', 'bus = "bench"\nreport_key = "ed25519 abc"', "no public key"),
        ('bus = "bench"', 'bus = "bench"\n[ecu.images]\nlength = 0', "an integer from 1 to 131072"),
    ],
)
def test_mistakes(tmp_path: Path, before: str, after: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, GOOD.replace(before, after))
    assert words in str(caught.value)
    assert "rig.toml" in str(caught.value)


def test_an_address_twice_on_one_bus(tmp_path: Path) -> None:
    second = GOOD[GOOD.index("[[ecu]]") :].replace('"brake"', '"body"')
    with pytest.raises(SettingsError, match="bench 21 is there twice"):
        read(tmp_path, GOOD + second)


def test_no_ecu_at_all(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="0 ECUs"):
        read(tmp_path, GOOD[: GOOD.index("[[ecu]]")])
