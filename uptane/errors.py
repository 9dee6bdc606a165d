"""What may be refused, and why: every check once, with its anchor, the attack it stops and its wire code.

Refusals are exceptions (`Malformed`, `Rejected`); what may normally happen is a returned value.
The wire codes are stable: a code is never given to another check (docs/wire.md, "Check codes").
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Attack(Enum):
    """The Standard's attacks (2.1.0, section 4.3), and those its authors name elsewhere."""

    ARBITRARY_SOFTWARE = "arbitrary software"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    ENDLESS_DATA = "endless data"
    MIX_AND_MATCH = "mix-and-match"
    MIXED_BUNDLES = "mixed bundles"
    PARTIAL_BUNDLE = "partial bundle"
    SLOW_RETRIEVAL = "slow retrieval"
    REPLAY = "replay"
    FORGED_REPORT = "forged report"
    FORGED_ORDER = "forged order"
    WRONG_HARDWARE = "wrong hardware"
    TIME = "false time"
    DECODER = "decoder attack"
    MISUSE = "misuse of the link"


@dataclass(frozen=True, slots=True)
class Rule:
    """One check: `code` on the wire (1 to 65535), `anchor` in the Standard or in docs/wire.md, what it stops."""

    code: int
    anchor: str
    attack: Attack
    text: str


class Check(Enum):
    """Every check of the Standard and of Marque, once."""

    # 0x01: envelopes and payloads of any kind
    ENCODING = Rule(0x0101, "wire/canonical", Attack.DECODER, "the octets are not the one canonical encoding")
    LENGTH = Rule(0x0102, "wire/limits", Attack.ENDLESS_DATA, "longer than its limit")
    KIND = Rule(0x0103, "wire/payload", Attack.MIX_AND_MATCH, "signed as another kind of message")
    LEVEL = Rule(0x0104, "wire/level", Attack.ARBITRARY_SOFTWARE, "asks for a newer level than this software knows")
    SPEAKER = Rule(0x0105, "wire/speaker", Attack.REPLAY, "speaks for another vehicle, repository or role")

    # 0x02: Root
    ROOT_SIGNATURES = Rule(0x0201, "check_root/2.3", Attack.ARBITRARY_SOFTWARE, "not signed by the trusted Root's keys")
    ROOT_OWN_SIGNATURES = Rule(0x0202, "check_root/2.3", Attack.ARBITRARY_SOFTWARE, "not signed by its own keys")
    ROOT_VERSION = Rule(0x0203, "check_root/2.4", Attack.ROLLBACK, "not the successor of the trusted Root")
    ROOT_EXPIRED = Rule(0x0204, "check_root/3", Attack.FREEZE, "the newest Root has expired")
    ROOT_KEYS = Rule(0x0205, "root_role/keys", Attack.ARBITRARY_SOFTWARE, "a key or role is missing, doubled or unmet")
    ROOT_MISSING = Rule(0x0206, "check_root/1", Attack.FREEZE, "no trusted Root to start from")

    # 0x03: Timestamp
    TIMESTAMP_SIGNATURES = Rule(0x0301, "check_timestamp/2", Attack.ARBITRARY_SOFTWARE, "not signed by the role's keys")
    TIMESTAMP_VERSION = Rule(0x0302, "check_timestamp/3", Attack.ROLLBACK, "older than the trusted Timestamp")
    TIMESTAMP_SAME_VERSION = Rule(0x0303, "check_timestamp/3", Attack.MIX_AND_MATCH, "same version, other content")
    TIMESTAMP_EXPIRED = Rule(0x0304, "check_timestamp/4", Attack.FREEZE, "has expired")
    TIMESTAMP_SNAPSHOT_VERSION = Rule(
        0x0305, "check_timestamp/3", Attack.ROLLBACK, "names an older Snapshot than the trusted Timestamp"
    )
    TIMESTAMP_MISSING = Rule(0x0306, "check_timestamp/1", Attack.FREEZE, "the repository offers no Timestamp")

    # 0x04: Snapshot
    SNAPSHOT_HASH = Rule(0x0401, "check_snapshot/2", Attack.MIX_AND_MATCH, "not the file the Timestamp names")
    SNAPSHOT_NAMED_VERSION = Rule(
        0x0402, "check_snapshot/2", Attack.MIX_AND_MATCH, "not the version the Timestamp names"
    )
    SNAPSHOT_SIGNATURES = Rule(0x0403, "check_snapshot/3", Attack.ARBITRARY_SOFTWARE, "not signed by the role's keys")
    SNAPSHOT_VERSION = Rule(0x0404, "check_snapshot/4", Attack.ROLLBACK, "older than the trusted Snapshot")
    SNAPSHOT_SAME_VERSION = Rule(0x0405, "check_snapshot/4", Attack.MIX_AND_MATCH, "same version, other content")
    SNAPSHOT_TARGETS_VERSION = Rule(0x0406, "check_snapshot/5", Attack.ROLLBACK, "lists an older Targets than before")
    SNAPSHOT_TARGETS_LOST = Rule(0x0407, "check_snapshot/6", Attack.ROLLBACK, "no longer lists a Targets it listed")
    SNAPSHOT_EXPIRED = Rule(0x0408, "check_snapshot/7", Attack.FREEZE, "has expired")
    SNAPSHOT_MISSING = Rule(0x0409, "check_snapshot/1", Attack.FREEZE, "the repository does not offer the Snapshot")

    # 0x05: Targets
    TARGETS_NOT_LISTED = Rule(0x0501, "check_targets/2", Attack.MIX_AND_MATCH, "the Snapshot does not list it")
    TARGETS_HASH = Rule(0x0502, "check_targets/2", Attack.MIX_AND_MATCH, "not the file the Snapshot lists")
    TARGETS_NAMED_VERSION = Rule(0x0503, "check_targets/2", Attack.MIX_AND_MATCH, "not the version the Snapshot lists")
    TARGETS_SIGNATURES = Rule(0x0504, "check_targets/3", Attack.ARBITRARY_SOFTWARE, "not signed by the role's keys")
    TARGETS_VERSION = Rule(0x0505, "check_targets/4", Attack.ROLLBACK, "older than the trusted Targets")
    TARGETS_SAME_VERSION = Rule(0x0506, "check_targets/4", Attack.MIX_AND_MATCH, "same version, other content")
    TARGETS_EXPIRED = Rule(0x0507, "check_targets/5", Attack.FREEZE, "has expired")
    TARGETS_DELEGATES = Rule(0x0508, "check_targets/6", Attack.ARBITRARY_SOFTWARE, "the Director may not delegate")
    TARGETS_ENTRY_ORDER = Rule(0x0509, "check_targets/7", Attack.MIXED_BUNDLES, "an entry twice or out of order")
    TARGETS_ECU_UNKNOWN = Rule(0x050A, "check_targets/8", Attack.MIXED_BUNDLES, "names an ECU this vehicle lacks")
    TARGETS_MISSING = Rule(0x050B, "check_targets/1", Attack.FREEZE, "the repository does not offer the Targets")
    TARGETS_HARDWARE = Rule(
        0x050C, "wire/inventory", Attack.WRONG_HARDWARE, "an image for other hardware than the ECU's"
    )

    # 0x06: delegations
    DELEGATION_KEYS = Rule(0x0601, "targets_role_delegations", Attack.ARBITRARY_SOFTWARE, "a key is missing or doubled")
    DELEGATION_INVALID = Rule(0x0602, "resolve_delegations/1", Attack.MIX_AND_MATCH, "a delegated role is missing")
    DELEGATION_NOT_FOUND = Rule(
        0x0603, "resolve_delegations/5", Attack.ARBITRARY_SOFTWARE, "nobody vouches for the image"
    )
    DELEGATION_TERMINATED = Rule(
        0x0604, "resolve_delegations/3", Attack.ARBITRARY_SOFTWARE, "a terminating delegation does not vouch for it"
    )
    DELEGATION_DEPTH = Rule(0x0605, "wire/limits", Attack.ENDLESS_DATA, "delegations nest too deep")
    DELEGATION_COUNT = Rule(0x0606, "wire/limits", Attack.ENDLESS_DATA, "too many delegated roles to visit")
    DELEGATION_CYCLE = Rule(0x0607, "wire/limits", Attack.ENDLESS_DATA, "a role delegates to one above itself")
    DELEGATION_DISAGREE = Rule(0x0608, "multi_role_delegations", Attack.ARBITRARY_SOFTWARE, "too few roles agree")

    # 0x07: the repositories' word compared
    IMAGE_MISMATCH = Rule(
        0x0701, "check_full/10.2", Attack.ARBITRARY_SOFTWARE, "the repositories disagree on the image"
    )
    IMAGE_COUNTER = Rule(0x0702, "check_full/10.2.3", Attack.ROLLBACK, "a lower release counter than the last one")

    # 0x08: installing, as the ECU itself judges it
    INSTALL_NO_ENTRY = Rule(
        0x0801, "verify_image/2", Attack.ARBITRARY_SOFTWARE, "the Director assigns nothing to this ECU"
    )
    INSTALL_HARDWARE = Rule(0x0802, "verify_image/3", Attack.WRONG_HARDWARE, "made for other hardware")
    INSTALL_FILENAME = Rule(0x0803, "verify_image/4", Attack.ARBITRARY_SOFTWARE, "a filename this ECU does not take")
    INSTALL_COUNTER = Rule(0x0804, "verify_image/5", Attack.ROLLBACK, "a lower release counter than the released one")
    INSTALL_ENCRYPTED = Rule(0x0805, "verify_image/6", Attack.MISUSE, "encrypted in a way this ECU cannot read")
    INSTALL_HASH = Rule(0x0806, "verify_image/7", Attack.ARBITRARY_SOFTWARE, "not the octets that were signed")
    INSTALL_LENGTH = Rule(0x0807, "verify_image/7", Attack.ENDLESS_DATA, "not the length that was signed")
    INSTALL_SPACE = Rule(0x0808, "install_image", Attack.ENDLESS_DATA, "larger than the slot")
    INSTALL_ERASES = Rule(0x0809, "wire/erase", Attack.MISUSE, "too many erases under one Targets version")
    INSTALL_STATE = Rule(0x080A, "wire/states", Attack.MISUSE, "not possible in the ECU's present state")
    INSTALL_SELF_TEST = Rule(0x080B, "wire/states", Attack.PARTIAL_BUNDLE, "the new image failed its self-test")
    INSTALL_UNBOOTABLE = Rule(0x080C, "wire/states", Attack.PARTIAL_BUNDLE, "the new image does not boot")
    INSTALL_RETRIED = Rule(0x080D, "wire/states", Attack.MIXED_BUNDLES, "this bundle was rolled back before")
    INSTALL_HASH_UNKNOWN = Rule(
        0x080E, "verify_image/7", Attack.ARBITRARY_SOFTWARE, "lists a hash that this ECU cannot compute"
    )

    # 0x09: time
    TIME_SIGNATURES = Rule(0x0901, "time/signature", Attack.TIME, "not signed by the time role's keys")
    TIME_NONCE = Rule(0x0902, "time/nonce", Attack.REPLAY, "does not answer this ECU's nonce")
    TIME_BACKWARDS = Rule(0x0903, "time/later", Attack.TIME, "earlier than the time already attested")
    TIME_UNATTESTED = Rule(0x0904, "wire/time", Attack.FREEZE, "no time attested since power-up: nothing is activated")
    TIME_ROLE = Rule(0x0905, "wire/time", Attack.TIME, "the Root names no time role")

    # 0x0A: vehicle manifests, as the Director judges them
    MANIFEST_SIGNATURE = Rule(0x0A01, "director/manifest", Attack.FORGED_REPORT, "not signed by the vehicle's Primary")
    MANIFEST_VEHICLE = Rule(0x0A02, "director/manifest", Attack.FORGED_REPORT, "another vehicle's manifest")
    MANIFEST_PRIMARY = Rule(0x0A03, "director/manifest", Attack.FORGED_REPORT, "made by an ECU that is not the Primary")
    MANIFEST_COUNTER = Rule(0x0A04, "director/manifest", Attack.REPLAY, "a used or lower counter with other content")
    MANIFEST_ECU_MISSING = Rule(0x0A05, "director/manifest", Attack.PARTIAL_BUNDLE, "an ECU of the vehicle is left out")
    MANIFEST_ECU_TWICE = Rule(0x0A06, "director/manifest", Attack.FORGED_REPORT, "an ECU twice or out of order")
    MANIFEST_ECU_UNKNOWN = Rule(0x0A07, "director/manifest", Attack.FORGED_REPORT, "an ECU this vehicle does not have")
    MANIFEST_SILENT = Rule(0x0A08, "director/manifest", Attack.FORGED_REPORT, "no report, and not declared silent")

    # 0x0B: ECU reports
    REPORT_SIGNATURE = Rule(0x0B01, "director/report", Attack.FORGED_REPORT, "not signed by that ECU's key")
    REPORT_VEHICLE = Rule(0x0B02, "director/report", Attack.FORGED_REPORT, "another vehicle's report")
    REPORT_ECU = Rule(0x0B03, "director/report", Attack.FORGED_REPORT, "another ECU's report")
    REPORT_COUNTER = Rule(0x0B04, "director/report", Attack.REPLAY, "a used or lower counter with other content")
    REPORT_HARDWARE = Rule(0x0B05, "director/report", Attack.WRONG_HARDWARE, "other hardware than the inventory's")
    REPORT_TIME = Rule(0x0B06, "director/report", Attack.TIME, "a time later than the Director's own")

    # 0x0C: orders of the vehicle transaction
    ORDER_COORDINATOR = Rule(0x0C01, "wire/orders", Attack.FORGED_ORDER, "the Targets name no coordinator")
    ORDER_SIGNATURE = Rule(0x0C02, "wire/orders", Attack.FORGED_ORDER, "not signed by the coordinator")
    ORDER_VEHICLE = Rule(0x0C03, "wire/orders", Attack.REPLAY, "another vehicle's order")
    ORDER_BUNDLE = Rule(0x0C04, "wire/orders", Attack.MIXED_BUNDLES, "an order for another bundle")
    ORDER_TARGETS_VERSION = Rule(0x0C05, "wire/orders", Attack.REPLAY, "an order for another Targets version")
    ORDER_PHASE = Rule(0x0C06, "wire/orders", Attack.REPLAY, "a phase out of order, or given before")

    # 0x0D: the link
    LINK_INTERLOCK = Rule(0x0D01, "wire/interlock", Attack.MISUSE, "the vehicle is not in a safe state")
    LINK_SESSION = Rule(0x0D02, "wire/sessions", Attack.MISUSE, "not allowed in this diagnostic session")
    LINK_BUSY = Rule(0x0D03, "wire/sessions", Attack.MISUSE, "another tester holds the session")
    LINK_SEQUENCE = Rule(0x0D04, "wire/sequence", Attack.MISUSE, "a request out of sequence")
    LINK_UNVERIFIED = Rule(0x0D05, "wire/download", Attack.ARBITRARY_SOFTWARE, "no verified metadata allows it")
    LINK_RANGE = Rule(0x0D06, "wire/objects", Attack.ENDLESS_DATA, "an address or length out of range")

    # 0x0E: what ECUs watch
    SLOW_RETRIEVAL = Rule(0x0E01, "slow_retrieval", Attack.SLOW_RETRIEVAL, "metadata or image comes too slowly")
    STATE_DAMAGED = Rule(0x0E02, "wire/state", Attack.MISUSE, "durable state was damaged and has been recovered")
    INSTALLER_REFUSED = Rule(
        0x0E03, "install_image", Attack.PARTIAL_BUNDLE, "this ECU's own installer refused the image or its slot"
    )
    INSTALLER_DOWN = Rule(
        0x0E04, "install_image", Attack.PARTIAL_BUNDLE, "this ECU's own installer does not do as it is told"
    )

    # 0x0F: what the Image repository admits, besides what a vehicle checks
    PUBLISH_FILENAME = Rule(
        0x0F01, "repository_filenames", Attack.ARBITRARY_SOFTWARE, "a filename that is no safe path"
    )
    PUBLISH_OCTETS = Rule(
        0x0F02, "wire/publish", Attack.ARBITRARY_SOFTWARE, "the image's octets are not held, or are others"
    )
    PUBLISH_COUNTER = Rule(0x0F03, "wire/publish", Attack.ROLLBACK, "a release counter that vehicles would refuse")
    PUBLISH_UNREACHED = Rule(
        0x0F04, "image_repository", Attack.ARBITRARY_SOFTWARE, "this role may not sign this path and hardware"
    )
    PUBLISH_ISSUED = Rule(0x0F05, "wire/publish", Attack.TIME, "issued in the future: somebody's clock is wrong")
    PUBLISH_KEYS = Rule(0x0F06, "wire/publish", Attack.FREEZE, "the server holds too few keys of an online role")
    PUBLISH_EMPTY = Rule(0x0F07, "wire/publish", Attack.MISUSE, "nothing, or the same role twice, is submitted")

    @property
    def code(self) -> int:
        """The wire code, 1 to 65535."""
        return self.value.code

    @property
    def attack(self) -> Attack:
        """The attack this check stops."""
        return self.value.attack

    @property
    def anchor(self) -> str:
        """Where the Standard or docs/wire.md demands it."""
        return self.value.anchor


BY_CODE: dict[int, Check] = {check.code: check for check in Check}
assert len(BY_CODE) == len(Check), "a wire code is used twice"


class MarqueError(Exception):
    """Anything Marque refuses or cannot do; all other exceptions are bugs and pass through."""


class Malformed(MarqueError):
    """Octets that are no message: not the canonical encoding, or out of a limit. Reported as Check.ENCODING."""


class Disordered(Malformed):
    """A list that must ascend strictly has an entry twice or out of order."""


class Rejected(MarqueError):
    """A well-formed message, refused by `check`; `detail` says what was found and what was expected."""

    def __init__(self, check: Check, detail: str = "") -> None:
        """Refuse because of `check`."""
        self.check = check
        self.detail = detail
        super().__init__(check, detail)

    def __str__(self) -> str:
        """Name, rule and detail in one line, for people."""
        rule = self.check.value
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.check.name} (0x{rule.code:04X}, {rule.anchor}): {rule.text}{detail}; stops {rule.attack.value}"


class LinkFailure(MarqueError):
    """The other end did not answer, or answered something that is no answer; may be tried again."""


class SignerFailure(MarqueError):
    """A private key cannot be used just now, such as one in a token that does not answer; may be tried again."""


class StorageFailure(MarqueError):
    """Durable storage could not be read or written; what was stored before still stands."""


def check_of(refusal: Malformed | Rejected) -> Check:
    """The check a refusal is reported as."""
    return refusal.check if isinstance(refusal, Rejected) else Check.ENCODING
