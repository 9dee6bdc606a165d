"""A puppet that answers for a Secondary as if it had done all that it was asked: nothing in a status is signed.

It listens to what is delivered to it and says what an honest ECU would say at that point. Its report is whatever the
attacker has: the latest genuine one, unless he has the ECU's key.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sim.attack.attacker import Attacker
from sim.attack.forge import read
from sim.signatures import HASHER
from uptane.link.uds_client import read_report, read_status
from uptane.link.uds_objects import CheckOption, Status, encode_status
from uptane.link.uds_values import Did, Routine, Service
from uptane.model.ids import EcuId
from uptane.model.metadata import DirectorTargets
from uptane.model.reports import EcuReport, EcuState, Outcome, Phase, VehicleOrder
from uptane.verify.image import bundle_of, entry_digest_of, installed_image

_NONCE: Final = bytes(range(16))


class YesMan:
    """See the module. `report` is what it hands out, signed anew for each state if he has the key; `votes`: it does."""

    def __init__(self, attacker: Attacker, ecu: EcuId) -> None:
        self._a, self._ecu = attacker, ecu
        self.votes = True
        self.status, self.report = self._first()
        self._targets: DirectorTargets | None = None
        self._octets = bytearray()

    def _first(self) -> tuple[Status, bytes]:
        """What the ECU says of itself; of one that was taken over, what it said last."""
        if self._ecu in self._a.mine:
            self._a.scene.node(self._ecu).power_up()
            self._a.scene.run(2)
        status, report = (self._a.tester().do(each) for each in (read_status(self._ecu), read_report(self._ecu)))
        assert isinstance(status, Status), status
        assert isinstance(report, bytes), report
        if self._ecu in self._a.mine:
            self._a.scene.node(self._ecu).cut()
        return status, report

    def take_over(self) -> None:
        """From now on it answers, and the ECU hears nothing."""
        if self._ecu not in self._a.mine:
            self.status = self._a.status(self._ecu) or self.status
        if self.status.targets_version == self._a.newest.says.header.version:
            self._targets = self._a.newest.says
        self._a.puppet(self._ecu, self.answer)

    # ------------------------------------------------------------------------------------------------- answers

    def answer(self, request: bytes) -> bytes | None:
        """What an ECU would say to a request, if all went well."""
        service, rest = request[0], request[1:]
        match service:
            case Service.SESSION:
                return bytes((0x50, rest[0] & 0x7F)) + bytes.fromhex("003201f4")
            case Service.PRESENT:
                return None if rest[0] & 0x80 else b"\x7e\x00"
            case Service.READ:
                return b"\x62" + rest[:2] + self._read(int.from_bytes(rest[:2]))
            case Service.DOWNLOAD:
                self._begin()
                return bytes.fromhex("74200fff")
            case Service.TRANSFER:
                self._octets += rest[1:]
                return b"\x76" + rest[:1]
            case Service.EXIT:
                return b"\x77"
            case Service.ROUTINE:
                self._routine(int.from_bytes(rest[1:3]), rest[3:])
                return b"\x71" + rest[:3] + b"\x00"
            case Service.RESET:
                self._activated()
                return b"\x51\x01"
            case _:
                return bytes((service + 0x40,)) + rest[:1]

    def _read(self, did: int) -> bytes:
        match did:
            case Did.STATUS:
                return encode_status(self.status)
            case Did.REPORT:
                return self.report
            case Did.NONCE:
                return _NONCE
            case _:
                return bytes(2)

    def _begin(self) -> None:
        self._octets = bytearray()

    def _routine(self, routine: int, option: bytes) -> None:
        if routine != Routine.CHECK or not option:
            return
        match option[0]:
            case CheckOption.DIRECTOR_ROOT:
                self._move(director_root=self.status.director_root + 1)
            case CheckOption.IMAGE_ROOT:
                self._move(image_root=self.status.image_root + 1)
            case CheckOption.ATTESTATION:
                self._move(time_attested=True)
            case CheckOption.DIRECTOR_TARGETS | CheckOption.EVERYTHING:
                self._informed()
            case CheckOption.IMAGE:
                self._prepared()
            case CheckOption.ORDER:
                self._ordered(read(bytes(self._octets), VehicleOrder).phase)
            case _:
                pass

    def _informed(self) -> None:
        self._targets = self._a.newest.says
        self._move(targets_version=self._targets.header.version)

    def _prepared(self) -> None:
        targets = self._targets
        if targets is None:
            return
        entry = targets.entries.find(self._ecu)
        assert entry is not None
        self._move(
            state=EcuState.PREPARED,
            outcome=Outcome.NONE,
            bundle=bundle_of(HASHER, targets),
            entry_digest=entry_digest_of(HASHER, targets, self._ecu),
            next_offset=entry.image.length,
            last_phase=None,
        )

    def _ordered(self, phase: Phase) -> None:
        states = {Phase.COMMIT: EcuState.COMMITTED, Phase.RELEASE: EcuState.RELEASED, Phase.ROLL_BACK: EcuState.IDLE}
        self._move(last_phase=phase, state=states.get(phase, self.status.state))

    def _activated(self) -> None:
        if self.status.state is EcuState.PREPARED and self.status.last_phase is Phase.ACTIVATE:
            if not self.votes:
                self._move(state=EcuState.TRIAL, running_slot=1 - self.status.running_slot)
                return
            self._move(state=EcuState.VOTED, running_slot=1 - self.status.running_slot)

    def _move(self, **changes: object) -> None:
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]
        if self._a.has_key_of(self._ecu):
            self._sign()

    def _sign(self) -> None:
        """With the ECU's key its report says what its status does."""
        before = read(self.report, EcuReport)
        image = before.image
        targets = self._targets
        if targets is not None and self.status.state in {EcuState.VOTED, EcuState.COMMITTED, EcuState.RELEASED}:
            entry = targets.entries.find(self._ecu)
            assert entry is not None
            image = installed_image(entry.image)
        told = replace(
            before,
            counter=before.counter + 1,
            state=self.status.state,
            outcome=self.status.outcome,
            bundle=self.status.bundle,
            targets_version=self.status.targets_version,
            image=image,
        )
        self.report = self._a.forger.signed(told, self._a.ecu_key(self._ecu))
        self.status = replace(self.status, report_counter=told.counter)
