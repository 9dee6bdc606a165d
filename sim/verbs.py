"""The verbs of a trace: what a line can say, in one word, and what its detail looks like.

| kind     | verbs                                                                                        |
|----------|----------------------------------------------------------------------------------------------|
| life     | power-up running cut restart state test note                                                 |
| storage  | store delete erase write sync hash full damaged                                              |
| bus      | frames error bus-off bus-on lost altered dropped forged                                      |
| network  | poll attest fetch answer unreachable partition heal                                          |
| servers  | published withdrawn assigned revoked enrolled replaced issued admitted rotated renewed crash |
| refusals | refused trouble                                                                              |
| run      | asked fault calm operate attack time violation done                                                |

In a detail, what stands in <> is filled in, and what stands in [] may be missing; `name=value` pairs may follow what
is written here, for people. A node that says something else is read all the same: an unknown verb is of no kind and
is shown as it stands.
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import Final, Self

from uptane.model.reports import EcuState


class Kind(Enum):
    """What a verb is about: which lane and which colour a view gives it."""

    LIFE = "life"
    STORAGE = "storage"
    BUS = "bus"
    NETWORK = "network"
    SERVERS = "servers"
    REFUSALS = "refusals"
    RUN = "run"


class Verb(StrEnum):
    """One word of a trace; `detail` is the shape of what follows it, `text` says to people what it means."""

    kind: Kind
    detail: str
    text: str

    def __new__(cls, word: str, kind: Kind, detail: str, text: str) -> Self:
        """A word that is a str like any other, with what belongs to it."""
        verb = str.__new__(cls, word)
        verb._value_ = word
        verb.kind, verb.detail, verb.text = kind, detail, text
        return verb

    # What happens to one ECU or server: node is `v1.brake`, `v1.primary`, `director`, `image`, `time`
    POWER_UP = "power-up", Kind.LIFE, "", "The power comes, and the machine boots from what is durable."
    RUNNING = "running", Kind.LIFE, "slot <n> <filename>", "The boot is over: this image runs."
    CUT = "cut", Kind.LIFE, "[before|in <effect>]", "The power fails; what was not durable is gone."
    RESTART = "restart", Kind.LIFE, "", "The machine starts its software anew, because it wants to."
    STATE = "state", Kind.LIFE, "<ecu state> [<bundle>]", "The durable state of an ECU in the vehicle transaction."
    TEST = "test", Kind.LIFE, "passed|failed|dead", "What the self-test said of the image that runs."
    NOTE = "note", Kind.LIFE, "<text>", "What the machine itself tells people."

    STORE = "store", Kind.STORAGE, "<record> <n> octets", "A record is durable, in place of an older one."
    DELETE = "delete", Kind.STORAGE, "<record>", "A record is deleted."
    ERASE = "erase", Kind.STORAGE, "<slot or blob>", "A slot or a file of the cache is erased."
    WRITE = "write", Kind.STORAGE, "<slot or blob> at <offset> <n> octets", "Octets of an image are written."
    SYNC = "sync", Kind.STORAGE, "<slot or blob>", "What was written is durable."
    HASH = "hash", Kind.STORAGE, "<slot or blob> <n> octets", "Octets of an image are read and hashed."
    FULL = "full", Kind.STORAGE, "<record, slot or blob>", "Storage refuses: it is full or worn out."
    DAMAGED = "damaged", Kind.STORAGE, "<record, slot or blob>", "A copy is found broken, or is broken by a fault."

    # The bus: node is `v1.bus.classic`; summaries, one line per run of frames and not per frame
    FRAMES = "frames", Kind.BUS, "<n> from <node>", "Frames of one node have crossed the bus, one after the other."
    ERROR = "error", Kind.BUS, "<n> from <node>", "Error frames: what was on the bus is sent again."
    BUS_OFF = "bus-off", Kind.BUS, "<node>", "A node met so many errors that it left the bus."
    BUS_ON = "bus-on", Kind.BUS, "<node>", "A node takes part in the bus again."
    LOST = "lost", Kind.BUS, "<n> at <node>", "A receiver did not hear what the others heard."
    ALTERED = "altered", Kind.BUS, "<n> from <node>", "Somebody on the wire changed frames."
    DROPPED = "dropped", Kind.BUS, "<n> from <node>", "Somebody on the wire took frames away."
    FORGED = "forged", Kind.BUS, "<n> as <node>", "Somebody on the wire sent frames in the name of another."

    # Calls: node is the caller; the server's name comes first in the detail
    POLL = "poll", Kind.NETWORK, "<server> [manifest <n> octets]", "A vehicle asks the Director what is new."
    ATTEST = "attest", Kind.NETWORK, "<server> <n> nonces", "A vehicle has the time attested."
    FETCH = "fetch", Kind.NETWORK, "<server> <file or image>", "A vehicle reads a file or an image."
    ANSWER = "answer", Kind.NETWORK, "<server> <what>", "The answer has come."
    UNREACHABLE = "unreachable", Kind.NETWORK, "<server> <reason>", "The answer will never come."
    PARTITION = "partition", Kind.NETWORK, "<caller> from <server>", "From now on no call of this caller gets through."
    HEAL = "heal", Kind.NETWORK, "<caller> from <server>", "Calls get through again."

    # What servers did: node is `director`, `image` or `time`
    PUBLISHED = "published", Kind.SERVERS, "<files>", "The Image repository serves new metadata or images."
    WITHDRAWN = "withdrawn", Kind.SERVERS, "<filenames>", "Images are taken back."
    ASSIGNED = "assigned", Kind.SERVERS, "<vehicle> <ecu>=<filename> ...", "An operator assigned images."
    REVOKED = "revoked", Kind.SERVERS, "<vehicle or image>", "An operator took an assignment or an image back."
    ENROLLED = "enrolled", Kind.SERVERS, "<vehicle> [<ecu>]", "A vehicle or an ECU is known to the Director."
    REPLACED = "replaced", Kind.SERVERS, "<vehicle> <ecu>", "A workshop put another ECU in this place."
    ISSUED = "issued", Kind.SERVERS, "<vehicle> <files>", "The Director signed new metadata for a vehicle."
    ADMITTED = "admitted", Kind.SERVERS, "<vehicle> <digest>", "The Director believes a manifest, and remembers it."
    ROTATED = "rotated", Kind.SERVERS, "<role>", "A role has new keys."
    RENEWED = "renewed", Kind.SERVERS, "<role or files>", "Metadata about to expire is signed again."
    CRASH = "crash", Kind.SERVERS, "[<where>]", "The server died; what it had committed stays."

    REFUSED = "refused", Kind.REFUSALS, "<CHECK> <text>", "A check refused something: its name, then what was found."
    TROUBLE = "trouble", Kind.REFUSALS, "<text>", "Something failed that no check is about, and is tried again."

    # The run itself: node is `run`, `faults`, `operator`, `checkers` or an attacker's name
    ASKED = "asked", Kind.RUN, "[manner=<name>] [without=<n>,...]", "What this run was asked for besides its seed."
    FAULT = "fault", Kind.RUN, "<number> <node> <text>", "A numbered fault of the plan begins; a run can leave it out."
    CALM = "calm", Kind.RUN, "[<text>]", "Faults stop; from here on every vehicle has to converge."
    OPERATE = "operate", Kind.RUN, "<text>", "A person does something to the fleet."
    ATTACK = "attack", Kind.RUN, "<text>", "An attacker does something."
    TIME = "time", Kind.RUN, "<node> <seconds>", "The clock of a node is wrong by so much from now on."
    VIOLATION = "violation", Kind.RUN, "<RULE> <node> <text>", "A rule that must always hold was broken."
    DONE = "done", Kind.RUN, "[<text>]", "A vehicle or the whole run has arrived where it should."


BY_WORD: Final = {verb.value: verb for verb in Verb}

ECU_STATES: Final = tuple(state.value for state in EcuState)
"""The states that `state` names."""

OFF: Final = "off"
BOOTING: Final = "booting"
"""What a view calls an ECU between `cut` and `power-up`, and between that and `running`."""
