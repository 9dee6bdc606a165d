"""ISO-TP (ISO 15765-2:2016): what goes into the machine, what comes out, its settings, and its limits with reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple, TypeAlias

from uptane.link.can_frame import DATA_LENGTHS, CanFrame

SEPARATION_MAX_US = 127_000  # the longest STmin there is
LENGTH_32_BIT_MAX = 0xFFFF_FFFF  # FF_DL with its escape

RUN_FRAMES_MAX = 64  # frames in one SendFrames: 20 ms of a classic bus, 27 ms of FD; a port can pace and answer between
QUEUE_MESSAGES_MAX = 4  # messages waiting behind the one on its way: a UDS answer, its "pending", a tester present

# Timers of ISO 15765-2:2016 Table 16 (all 1000 ms). Only a peer that is gone or busy beyond reason meets them.
TIMEOUT_A_MS = 1_000
TIMEOUT_BS_MS = 1_000
TIMEOUT_CR_MS = 1_000


class Fault(Enum):
    """Why a message was lost. The value is the standard's N_Result, or says why there is none."""

    TIMEOUT_A = "N_TIMEOUT_A"  # sending: our frames did not leave in time
    TIMEOUT_BS = "N_TIMEOUT_Bs"  # sending: no flow control came
    INVALID_FLOW = "N_INVALID_FS"  # sending: a flow control with a status that does not exist
    WAITED_TOO_OFTEN = "N_WFT_OVRN"  # sending: more wait frames in a row than we grant
    PEER_OVERFLOW = "N_BUFFER_OVFLW"  # sending: the message is longer than the peer takes
    QUEUE_FULL = "N_ERROR: send queue full"  # sending: refused before its first frame
    TIMEOUT_CR = "N_TIMEOUT_Cr"  # receiving: the next consecutive frame did not come
    WRONG_SEQUENCE = "N_WRONG_SN"  # receiving: a frame was lost or came twice
    UNEXPECTED = "N_UNEXP_PDU"  # receiving: the peer began another message
    TOO_LONG = "N_BUFFER_OVFLW: longer than we take"  # receiving: refused at its first frame

    @property
    def of_sending(self) -> bool:
        """Whether the message lost was one of ours; otherwise it was the peer's."""
        return self in _OF_SENDING


_OF_SENDING = frozenset(
    {
        Fault.TIMEOUT_A,
        Fault.TIMEOUT_BS,
        Fault.INVALID_FLOW,
        Fault.WAITED_TOO_OFTEN,
        Fault.PEER_OVERFLOW,
        Fault.QUEUE_FULL,
    }
)


@dataclass(frozen=True, slots=True)
class IsoTpSettings:
    """How one ECU speaks ISO-TP on one bus; both ends may differ.

    Raises:
        ValueError: a setting is out of its range; the text names it.
    """

    data_length: int = 8  # TX_DL: octets of our longest frames; 8, or with fd 12 to 64
    fd: bool = False
    brs: bool = False
    # Frames a peer may send before it waits for us. Each flow control costs bus time: a block of 8 can never fill more
    # than 88.8 % of a classic bus, 64 reaches 98.4 %; longer blocks overrun the socket buffers of frames over UDP.
    block_size: int = 64
    separation_us: int = 0  # STmin we ask for: 0, 100 to 900 in steps of 100, or whole milliseconds up to 127
    # Alternating bits cause no stuff bits; None sends frames of up to 8 octets unpadded. Any value is taken on receipt.
    padding: int | None = 0xAA
    # Longest message taken or sent; 4095 needs no escaped length and is below the kernel's ISO-TP default of 8,200.
    message_length_max: int = 4_095
    wait_frames_max: int = (
        16  # in a row: at one TIMEOUT_BS each 16 s, beyond any flash erase that keeps its peer waiting
    )

    def __post_init__(self) -> None:
        lengths = DATA_LENGTHS[8:] if self.fd else (8,)
        if self.data_length not in lengths:
            raise ValueError(f"data_length {self.data_length}: one of {', '.join(map(str, lengths))}")
        if self.brs and not self.fd:
            raise ValueError("brs: only CAN FD frames switch the bit rate")
        if not 0 <= self.block_size <= 0xFF:
            raise ValueError(f"block_size {self.block_size}: 0 (no limit) to 255")
        if self.separation_us not in _SEPARATIONS_US:
            raise ValueError(f"separation_us {self.separation_us}: 0, 100 to 900 by 100, or 1000 to 127000 by 1000")
        if self.padding is not None and not 0 <= self.padding <= 0xFF:
            raise ValueError(f"padding {self.padding}: 0 to 255, or none")
        if not 1 <= self.message_length_max <= LENGTH_32_BIT_MAX:
            raise ValueError(f"message_length_max {self.message_length_max}: 1 to {LENGTH_32_BIT_MAX}")
        if not 0 <= self.wait_frames_max <= 0xFF:
            raise ValueError(f"wait_frames_max {self.wait_frames_max}: 0 to 255")


_SEPARATIONS_US = frozenset({*range(0, 1_000, 100), *range(1_000, SEPARATION_MAX_US + 1, 1_000)})


# ------------------------------------------------------------------------------------------------------- events


class FramesHeard(NamedTuple):
    """Frames from the bus in the order heard, of any sender; those not for this ECU are passed over."""

    frames: Sequence[CanFrame]


class FramesSent(NamedTuple):
    """The last frame of the SendFrames with this ticket has left (the standard's L_Data.con)."""

    ticket: int


class Send(NamedTuple):
    """Send `octets` to `peer` (an address, 0 to 255), after what is queued for it already.

    With `functional`, `peer` names a group and the message must fit one frame.
    """

    peer: int
    octets: bytes
    functional: bool = False


class Tick(NamedTuple):
    """The deadline has come. Hand over frames that wait in a buffer first: a late process is no silent peer."""


# ------------------------------------------------------------------------------------------------------ effects


class SendFrames(NamedTuple):
    """Send the frames in order, each starting at least `separation_us` after the end of the one before (0 to 127000).

    The machine counts milliseconds, so separations below that are the port's to keep. With a ticket other than 0,
    answer with FramesSent when the last frame has left; nothing more of this message comes before that.
    """

    frames: Sequence[CanFrame]
    ticket: int
    separation_us: int


class MessageReceived(NamedTuple):
    """A whole message of 1 to message_length_max octets; `functional`: it was sent to a group we belong to."""

    peer: int
    octets: bytes
    functional: bool


class MessageSent(NamedTuple):
    """The last frame of a message has left; whether it arrived only an answer can tell."""

    peer: int
    functional: bool


class LinkError(NamedTuple):
    """One message is lost, wholly. Both directions stand ready for the next."""

    peer: int
    fault: Fault


Event: TypeAlias = FramesHeard | FramesSent | Send | Tick
Effect: TypeAlias = SendFrames | MessageReceived | MessageSent | LinkError
