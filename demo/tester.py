"""A node on the bus that nobody invited: stock udsoncan over stock can-isotp, as anybody could plug it in."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import can
import isotp
import udsoncan
from udsoncan.client import Client
from udsoncan.connections import PythonIsoTpConnection
from udsoncan.exceptions import NegativeResponseException

from demo.monitor import Bus
from uptane.errors import BY_CODE, Check

SOURCE = 0xF5  # among the addresses of workshop testers
FRAME_BASE = 0x1CDA0000  # docs/wire.md, section 7
LATEST_REFUSAL = 0xFD03
STATUS = 0xFD00
NONCE = 0xFD02


# udsoncan logs each refusal as an exception; here refusals are what is looked for.
logging.getLogger("UdsClient").addHandler(logging.NullHandler())


class _Octets(udsoncan.DidCodec):
    """Reads a DID as it is."""

    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, payload: bytes) -> bytes:
        return payload

    def __len__(self) -> int:
        raise udsoncan.DidCodec.ReadAllRemainingData


class Tester:
    """One conversation with one ECU. Every method returns the NRC of a refusal, or None when it was obeyed."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def _ask(self, method: str, *arguments: object) -> int | None:
        try:
            getattr(self._client, method)(*arguments)
        except NegativeResponseException as refusal:
            return refusal.response.code
        return None

    def session(self, number: int) -> int | None:
        """10: default 1, programming 2, extended 3."""
        return self._ask("change_session", number)

    def routine(self, number: int, option: bytes = b"") -> int | None:
        """31 01."""
        return self._ask("start_routine", number, option)

    def restart(self) -> int | None:
        """11 01."""
        return self._ask("ecu_reset", 1)

    def download(self, address: int, octets: bytes) -> int | None:
        """34, 36 ..., 37: the whole of `octets` to `address`, in blocks as long as the ECU takes."""
        place = udsoncan.MemoryLocation(address, len(octets), address_format=32, memorysize_format=32)
        try:
            answer = self._client.request_download(place)
        except NegativeResponseException as refusal:
            return refusal.response.code
        assert answer is not None
        block = answer.service_data.max_length - 2
        for number, offset in enumerate(range(0, len(octets), block), 1):
            if (nrc := self._ask("transfer_data", number & 0xFF, octets[offset : offset + block])) is not None:
                return nrc
        return self._ask("request_transfer_exit")

    def deliver(self, address: int, octets: bytes, option: int) -> int | None:
        """Hand over an object and have it checked (31 01 0202)."""
        nrc = self.download(address, octets)
        return nrc if nrc is not None else self.routine(0x0202, bytes([option]))

    def read(self, did: int) -> bytes:
        """22."""
        return bytes(self._client.read_data_by_identifier(did).service_data.values[did])

    def refusal(self) -> Check | None:
        """Which check refused something last (DID FD03)."""
        return BY_CODE.get(int.from_bytes(self.read(LATEST_REFUSAL), "big"))


@contextmanager
def plugged_in(bus: Bus, address: int) -> Iterator[Tester]:
    """A tester on `bus`, speaking to the ECU with `address`."""
    wire = can.Bus(interface="udp_multicast", channel=bus.channel, port=bus.port, hop_limit=0, fd=bus.fd)
    names = isotp.Address(
        isotp.AddressingMode.NormalFixed_29bits,
        target_address=address,
        source_address=SOURCE,
        physical_id=FRAME_BASE,
    )
    parameters: dict[str, Any] = {"tx_data_length": 64 if bus.fd else 8, "can_fd": bus.fd, "bitrate_switch": bus.fd}
    stack = isotp.CanStack(wire, address=names, params=parameters | {"tx_padding": 0xAA, "blocking_send": False})
    configuration = udsoncan.configs.default_client_config.copy()
    configuration["data_identifiers"] = {"default": _Octets}
    configuration.update({"request_timeout": 20, "p2_timeout": 5, "p2_star_timeout": 10, "use_server_timing": False})
    try:
        with Client(PythonIsoTpConnection(stack), config=configuration) as client:
            yield Tester(client)
    finally:
        wire.shutdown()
