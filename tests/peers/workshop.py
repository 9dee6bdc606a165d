"""A workshop's program made of stock parts: udsoncan over can-isotp over python-can."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import can
import isotp
import pytest
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection
from udsoncan.exceptions import NegativeResponseException, TimeoutException

from tests.builders import BRAKE, SUPPLIER, VERIFIER
from tests.peers.secondary_process import ADDRESS, SecondaryProcess, image_of
from uptane.errors import BY_CODE, Check
from uptane.link.uds_objects import Status, parse_status
from uptane.model.reports import EcuReport, EcuState
from uptane.verify.threshold import accept_from, opened

TESTER = 0xF1
ROOT_AT, TARGETS_AT, ATTESTATION_AT = 0xF000_0000, 0xF300_0000, 0xFA00_0000


class Octets(udsoncan.DidCodec):  # type: ignore[misc, unused-ignore]  # udsoncan ships no types
    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, payload: bytes) -> bytes:
        return payload

    def __len__(self) -> int:
        raise udsoncan.DidCodec.ReadAllRemainingData


class Workshop:
    """What a workshop's program does; everything raises NegativeResponseException when the ECU refuses."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def read(self, did: int) -> bytes:
        return bytes(self.client.read_data_by_identifier(did).service_data.values[did])

    def status(self) -> Status:
        return parse_status(self.read(0xFD00))

    def download(self, address: int, octets: bytes, *, blocks_max: int | None = None) -> None:
        """34, then 36 for each block (at most so many)."""
        where = udsoncan.MemoryLocation(address, len(octets), address_format=32, memorysize_format=32)
        block = self.client.request_download(where).service_data.max_length - 2
        for number, start in enumerate(range(0, len(octets), block), 1):
            if blocks_max is not None and number > blocks_max:
                return
            self.client.transfer_data(number & 0xFF, octets[start : start + block])

    def deliver(self, address: int, octets: bytes) -> None:
        """34, 36, 37."""
        self.download(address, octets)
        self.client.request_transfer_exit()

    def check(self, option: int) -> None:
        self.client.start_routine(0x0202, bytes([option]))

    def hand_over(self, ecu: SecondaryProcess) -> None:
        """Root, time and Targets, as an ECU that verifies partially needs them."""
        director = ecu.pair.director
        self.client.change_session(3)
        if self.status().director_root < director.versions["root"]:
            self.deliver(ROOT_AT, director.offered[f"{director.versions['root']}.root"])
            self.check(0xF0)
        self.deliver(ATTESTATION_AT, ecu.pair.attestation(nonce=self.read(0xFD02)))
        self.check(0xFA)
        self.deliver(TARGETS_AT, director.offered[f"{director.versions['targets']}.targets"])
        self.check(0xF3)

    def report(self, ecu: SecondaryProcess) -> EcuReport:
        """The ECU's report, verified under its key."""
        envelope = opened(VERIFIER, self.read(0xFD01), 8_192)
        return accept_from(VERIFIER, envelope, ecu.key, EcuReport, check=Check.REPORT_SIGNATURE).value

    def released(self, ecu: SecondaryProcess) -> EcuReport:
        """The report once the ECU has come up and confirmed itself; it may not answer while it restarts."""
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                report = self.report(ecu)
            except TimeoutException:
                continue
            if report.state is EcuState.RELEASED:
                return report
        raise AssertionError("\n".join(ecu.lines))

    def refusal(self) -> Check | None:
        return BY_CODE.get(int.from_bytes(self.read(0xFD03)))

    def refused(self, method: str, *arguments: Any) -> int:
        """The code with which the ECU refuses."""
        with pytest.raises(NegativeResponseException) as caught:
            getattr(self.client, method)(*arguments)
        code = caught.value.response.code
        assert code is not None
        return int(code)


@contextmanager
def plugged_in(ecu: SecondaryProcess) -> Iterator[Workshop]:
    """A workshop's program on the ECU's bus."""
    if ecu.socketcan is None:
        bus = can.Bus(interface="udp_multicast", channel=ecu.group, port=ecu.port, hop_limit=0, fd=ecu.fd)
    else:
        bus = can.Bus(interface="socketcan", channel=ecu.socketcan, fd=ecu.fd)
    address = isotp.Address(
        isotp.AddressingMode.NormalFixed_29bits,
        target_address=ADDRESS,
        source_address=TESTER,
        physical_id=0x1CDA0000,
        functional_id=0x1CDB0000,
    )
    parameters = {"tx_data_length": 64 if ecu.fd else 8, "can_fd": ecu.fd, "blocksize": 32, "tx_padding": 0xCC}
    stack = isotp.CanStack(bus, address=address, params=parameters)
    settings: Any = dict(udsoncan.configs.default_client_config)
    settings |= {
        "data_identifiers": {"default": Octets},
        "request_timeout": 30,
        "p2_timeout": 5,
        "p2_star_timeout": 10,
        "use_server_timing": False,  # P2 is 50 ms, and this host may be busy
    }
    try:
        with Client(PythonIsoTpConnection(stack), config=settings) as client:
            yield Workshop(client)
    finally:
        bus.shutdown()


def authorise(ecu: SecondaryProcess, octets: bytes) -> None:
    """The Director assigns this image, in Targets without a coordinator, for a workshop to carry in."""
    ecu.pair.director.coordinator = None
    ecu.pair.offer(BRAKE, image_of(octets, 2), SUPPLIER)
    ecu.pair.director.root()
    ecu.pair.director.issue()
