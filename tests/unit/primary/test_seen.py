"""The time a Primary knows to have passed, and a system clock raised to it: a board without a battery boots in 1970."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from primary.shell.seen import ClockFailure, raise_clock
from primary.state import metadata_name
from tests.builders import BUILT, HARDWARE, PRIMARY, TIME, VEHICLE, VERIFIER, Pair
from uptane.model.ids import Repository
from uptane.model.metadata import Fleet
from uptane.moments import UtcTime
from uptane.shell.files import Store
from uptane.verify import attested
from uptane.verify.root import first_root
from uptane.verify.trusted import ROOT_FILE, TIME_FILE

LATER = UtcTime(BUILT + 10_000_000)  # after the Root was issued, too


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A Primary that was provisioned, and has never run."""
    text = f"""
    vehicle = "{VEHICLE}"
    ecu = "{PRIMARY}"
    hardware = "{HARDWARE[PRIMARY]}"
    slot_size = 1000
    director = {{ address = "localhost:1" }}
    time = {{ address = "localhost:1" }}
    image_repository = {{ address = "localhost:1" }}
    image = {{ filename = "f", length = 0, sha256 = "{"00" * 32}", release_counter = 0 }}
    """
    (tmp_path / "config.toml").write_text(text)
    (tmp_path / "mapping.toml").write_text('[[mapping]]\npaths = ["**"]\nrepositories = ["director", "image"]\n')
    (tmp_path / "initial").mkdir()
    (tmp_path / "initial/time").write_text(f"{BUILT}\n")
    return tmp_path / "config.toml"


def remember(folder: Path, utc: UtcTime) -> None:
    """As a Primary does that had the time attested."""
    store, octets = Store(folder / "state"), Pair().director.offered["1.root"]
    root = first_root(VERIFIER, octets, Fleet())
    keys = frozenset([TIME.public])
    store.write(metadata_name(Repository.DIRECTOR, ROOT_FILE), octets)
    held = attested.Clock(utc, UtcTime(BUILT), attested=True, floor=UtcTime(BUILT), keys=keys)
    store.write(metadata_name(Repository.DIRECTOR, TIME_FILE), attested.dump(attested.under(held, root)))


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A system clock that stands at the beginning of 1970; what it is set to is appended."""
    told = [0.0]
    monkeypatch.setattr(time, "time", lambda: told[-1])
    monkeypatch.setattr(time, "clock_settime", lambda _clock, moment: told.append(moment))
    return told


def test_a_board_that_boots_in_1970_is_raised_to_its_provisioning(config: Path, system: list[float]) -> None:
    assert raise_clock(config) == BUILT
    assert system[-1] == BUILT
    assert raise_clock(config) is None, "once is enough"
    assert not (config.parent / "state").exists(), "a service that has never run finds nothing of root's"


def test_it_is_raised_to_the_latest_time_that_was_attested(config: Path, system: list[float]) -> None:
    remember(config.parent, LATER)
    assert raise_clock(config) == LATER


def test_a_record_that_is_damaged_leaves_the_time_of_provisioning(config: Path, system: list[float]) -> None:
    remember(config.parent, LATER)
    for path in (config.parent / "state").rglob("time~*"):
        path.write_bytes(b"")
    assert raise_clock(config) == BUILT


def test_a_clock_that_is_ahead_is_never_set_back(config: Path, system: list[float]) -> None:
    system.append(float(LATER))
    remember(config.parent, UtcTime(LATER - 1))
    assert raise_clock(config) is None
    assert system[-1] == LATER


@pytest.mark.parametrize("last", [LATER - 1, LATER])
def test_it_is_never_raised_beyond_the_vehicles_certificate(config: Path, system: list[float], last: int) -> None:
    """A false time that was attested once would leave the vehicle without servers for good."""
    remember(config.parent, LATER)
    (config.parent / "tls").mkdir()
    (config.parent / "tls/cert.pem").write_bytes(certificate_until(last))
    if last == LATER:
        assert raise_clock(config) == LATER
        return
    with pytest.raises(ClockFailure, match=r"cert\.pem expired on .* renew the certificate"):
        raise_clock(config)
    assert system == [0.0]


def certificate_until(last: int) -> bytes:
    """A certificate that expires at that UTC second."""
    own, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(own.public_key())
    builder = builder.serial_number(1).not_valid_before(dt.datetime.fromtimestamp(last - 10, dt.UTC))
    builder = builder.not_valid_after(dt.datetime.fromtimestamp(last, dt.UTC))
    return builder.sign(own, hashes.SHA256()).public_bytes(Encoding.PEM)


def test_a_process_that_may_not_says_who_may(
    config: Path, system: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(time, "clock_settime", refused)
    with pytest.raises(ClockFailure, match=r"marque-primary-clock\.service"):
        raise_clock(config)
