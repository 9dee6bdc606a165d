"""The program that docs/integrating.md prints for workshops, run as it stands there against a real marque-secondary."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import can
import pytest

from tests.builders import VERIFIER
from tests.peers.secondary_process import ADDRESS, ROOT, SecondaryProcess, firmware, image_of
from tests.peers.workshop import authorise
from uptane.errors import Check
from uptane.model.reports import EcuReport, EcuState
from uptane.verify.threshold import accept_from, opened

pytestmark = [pytest.mark.peer, pytest.mark.process]

MARK = "<!-- flash -->\n```python\n"


@pytest.fixture(params=[True, False], ids=["fd", "classic"])
def ecu(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SecondaryProcess]:
    process = SecondaryProcess(tmp_path / "brake", fd=request.param).start()
    try:
        yield process
    finally:
        assert process.stop() == 0, "\n".join(process.lines)


def program() -> ModuleType:
    _, found, rest = (ROOT / "docs" / "integrating.md").read_text(encoding="utf-8").partition(MARK)
    assert found
    module = ModuleType("flash")
    exec(compile(rest.partition("```")[0], "docs/integrating.md", "exec"), module.__dict__)
    return module


def run(ecu: SecondaryProcess, octets: bytes, attest: Callable[[bytes], bytes]) -> bytes:
    director = ecu.pair.director
    files = [director.offered["2.root"]], director.offered[f"{director.versions['targets']}.targets"]
    bus = can.Bus(interface="udp_multicast", channel=ecu.group, port=ecu.port, hop_limit=0, fd=ecu.fd)
    try:
        report: bytes = program().flash(bus, ADDRESS, *files, octets, attest)
    finally:
        bus.shutdown()
    return report


def test_the_program_flashes_an_ecu(ecu: SecondaryProcess) -> None:
    octets = firmware(60_000)[:60_000]
    authorise(ecu, octets)
    envelope = opened(VERIFIER, run(ecu, octets, lambda nonce: ecu.pair.attestation(nonce=nonce)), 8_192)
    report = accept_from(VERIFIER, envelope, ecu.key, EcuReport, check=Check.REPORT_SIGNATURE).value
    assert (report.state, report.image.sha256) == (EcuState.RELEASED, image_of(octets, 2).sha256)


def test_the_program_names_the_check_that_refuses(ecu: SecondaryProcess) -> None:
    octets = firmware(60_000)[:60_000]
    authorise(ecu, octets)
    with pytest.raises(SystemExit, match="0902"):
        run(ecu, octets, lambda nonce: ecu.pair.attestation(nonce=bytes(len(nonce))))
