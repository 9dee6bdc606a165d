"""What a doctor looks at on any board: its bus, its disk, its clock, its keys. Each finding says what to do.

Nothing is changed, and nothing sent: it may be asked while the ECU works.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from uptane.errors import MarqueError
from uptane.moments import UtcTime
from uptane.shell import keys
from uptane.shell.can_port import CanSettings
from uptane.shell.pkcs11 import TokenGone, TokenRefused, TokenSettings
from uptane.shell.token import TokenSigner

SYS_NET: Final = Path("/sys/class/net")
ARPHRD_CAN: Final = 280
IFF_UP: Final = 1
CAN_FD_MTU: Final = 72
QUEUE_MIN: Final = 64  # a block of a transfer is handed to the kernel at once
IP_S: Final = 5
EXAMPLES: Final = "the examples below /usr/share/doc/marque-*/examples/network"


class Grade(Enum):
    """How bad it is."""

    GOOD = "ok"
    DOUBT = "doubt"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and what to do if it is not good."""

    about: str
    grade: Grade
    text: str
    remedy: str = ""

    def facts(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self) | {"grade": self.grade.value}


def good(about: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(about, Grade.GOOD, text)


def doubt(about: str, text: str, remedy: str) -> Finding:
    """It works, or may."""
    return Finding(about, Grade.DOUBT, text, remedy)


def bad(about: str, text: str, remedy: str) -> Finding:
    """It cannot work."""
    return Finding(about, Grade.BAD, text, remedy)


# ------------------------------------------------------------------------------------------------------------- CAN


@dataclass(frozen=True, slots=True)
class CanFacts:
    """A network interface as the kernel describes it; `details` is what `ip` knows of its controller, if any."""

    kind: int
    up: bool
    mtu: int
    queue: int
    details: Mapping[str, Any]


def kernel_has_can() -> bool:
    """Whether a raw CAN socket can be had; asking loads the kernel's module, where there is one."""
    try:
        socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW).close()
    except OSError:
        return False
    return True


def can_facts(name: str, net: Path = SYS_NET) -> CanFacts | None:
    """What is known of an interface; None if it is not there."""
    folder = net / name
    try:
        kind, mtu, queue = (int((folder / file).read_text()) for file in ("type", "mtu", "tx_queue_len"))
        flags = int((folder / "flags").read_text(), 16)
    except (OSError, ValueError):
        return None
    return CanFacts(kind, bool(flags & IFF_UP), mtu, queue, _details(name) if kind == ARPHRD_CAN else {})


def _details(name: str) -> Mapping[str, Any]:
    """`linkinfo.info_data` of iproute2; nothing for vcan, which has no controller, and without iproute2."""
    program = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return {}
    command = [program, "-details", "-json", "link", "show", "dev", name]
    try:
        ran = subprocess.run(command, check=False, capture_output=True, timeout=IP_S)  # noqa: S603 (iproute2's)
        links = json.loads(ran.stdout or b"[]")
        found = links[0].get("linkinfo", {}).get("info_data", {})
    except (OSError, subprocess.TimeoutExpired, ValueError, LookupError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def look_at_can(settings: CanSettings, facts: CanFacts | None, *, kernel: bool) -> Iterator[Finding]:
    """What speaks for and against a bus of SocketCAN."""
    about, name = f"CAN {settings.channel}", settings.channel
    if not kernel:
        yield bad(
            about,
            "this kernel has no CAN",
            "modprobe can-raw; if there is no such module (kernels for clouds have none), install the usual kernel",
        )
        return
    if facts is None:
        yield bad(
            about,
            f"there is no interface {name}",
            "is the controller's overlay in config.txt, with the right oscillator and interrupt? `dmesg | grep -i can` "
            "says whether it was found (docs/raspberry-pi.md)",
        )
        return
    if facts.kind != ARPHRD_CAN:
        yield bad(about, f"{name} is no CAN interface", "correct the channel of this bus in the settings")
        return
    speed = f"bitrate {settings.speed.nominal}"
    if settings.fd:
        speed += f" dbitrate {settings.speed.data} fd on"
    if not facts.up:
        yield bad(
            about,
            f"{name} is down",
            f"ip link set {name} up type can {speed} restart-ms 100, and for good: {EXAMPLES}",
        )
        return
    findings = list(_look_at_controller(about, settings, facts))
    yield from findings or [good(about, _described(facts))]


def _look_at_controller(about: str, settings: CanSettings, facts: CanFacts) -> Iterator[Finding]:
    name, details = settings.channel, facts.details
    if settings.fd and facts.mtu < CAN_FD_MTU:
        yield bad(
            about,
            f"{name} carries classic frames only, and the settings say fd = true",
            f"set FDMode=yes and DataBitRate ({EXAMPLES}), or fd = false on every ECU of this bus",
        )
    for key, wanted in (("bittiming", settings.speed.nominal), ("data_bittiming", settings.speed.data)):
        found = details.get(key, {}).get("bitrate")
        if found is not None and found != wanted and (key == "bittiming" or settings.fd):
            yield bad(
                about,
                f"{name} runs at {found} bit/s, the settings say {wanted}",
                "a wrong rate disturbs every node: set both to what the bus has",
            )
    if details.get("state") in {"BUS-OFF", "STOPPED"}:
        yield bad(
            about,
            f"{name} is {details['state']}",
            f"wiring, termination (60 ohm between the lines), bit rate; then: ip link set {name} type can restart",
        )
    elif details.get("state") in {"ERROR-PASSIVE", "ERROR-WARNING"}:
        yield doubt(
            about,
            f"{name} is {details['state']}: frames are damaged, or nobody acknowledges them",
            "wiring, termination (60 ohm between the lines), bit rate; is another node on?",
        )
    if details.get("state") is not None and not details.get("restart_ms"):
        yield doubt(
            about,
            f"{name} stays silent for ever after bus-off",
            f"ip link set {name} type can restart-ms 100 (while it is down), and for good: {EXAMPLES}",
        )
    if facts.queue < QUEUE_MIN:
        yield doubt(
            about,
            f"{name} queues {facts.queue} frames: blocks are refused and tried again",
            f"ip link set {name} txqueuelen 128, and for good: 80-can.link of {EXAMPLES}",
        )


def _described(facts: CanFacts) -> str:
    rate = facts.details.get("bittiming", {}).get("bitrate")
    kind = "FD" if facts.mtu >= CAN_FD_MTU else "classic"
    return f"up, {kind}" + (f", {rate} bit/s, {facts.details.get('state')}" if rate else ", no controller (virtual)")


# ------------------------------------------------------------------------------------------------- disk, clock, keys


def look_at_folder(about: str, folder: Path, need: int, what: str) -> Iterator[Finding]:
    """Whether a folder can be written and has room for `need` octets; it need not exist if the one above it does."""
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    owner = f"chown -R {_owner(there)} {there}, or run this as root"
    try:
        found = os.statvfs(there)
    except OSError as error:
        yield bad(about, f"{there}: {error.strerror}", owner)
        return
    if found.f_flag & os.ST_RDONLY:
        yield bad(
            about, f"{there} is mounted read-only", "put state and slots on a partition that is writable: [paths]"
        )
    elif not os.access(there, os.W_OK | os.X_OK, effective_ids=True):
        yield bad(about, f"{there} may not be written by {_user(os.geteuid())}", owner)
    elif (free := found.f_bavail * found.f_frsize) < need:
        yield bad(
            about, f"{folder}: {free:,} octets free, {need:,} are needed for {what}", "make room, or move it: [paths]"
        )
    elif not found.f_favail and found.f_files:
        yield bad(about, f"{folder}: the file system takes no more files", "delete files that nobody needs")
    else:
        yield good(about, f"{folder}: {free:,} octets free")


def look_at_clock(now: UtcTime, seen: UtcTime, *, matters: bool) -> Finding:
    """The system clock beside the latest time this ECU has had attested, or was provisioned at."""
    if now >= seen:
        return good("clock", "not behind what this ECU has seen")
    text = f"the system clock is {(seen - now) // 3_600} hours behind what this ECU has seen"
    remedy = "enable marque-primary-clock.service, and a time service (systemd-timesyncd)"
    if matters:
        return bad("clock", f"{text}: the servers' certificates look as if not valid yet", remedy)
    return doubt("clock", f"{text}; this ECU decides nothing by it", "none needed; the log's times are wrong")


def look_at_key(path: Path) -> Finding:
    """Whether this ECU's key is there and nobody else's."""
    try:
        keys.load(path, None)
    except keys.Exposed as error:
        return bad("key", str(error), f"chown {_user(os.geteuid())} {path}; chmod 600 {path}")
    except MarqueError as error:
        return bad("key", str(error), "`enrol` makes one; a lost key means: provision this ECU with --exchange")
    return good("key", f"{path}, readable by its owner only")


def look_at_own_key(path: Path, token: TokenSettings | None) -> Iterator[Finding]:
    """This ECU's key, in its file, or in its token; the PIN of a token is tried once."""
    if token is None:
        yield look_at_key(path)
        return
    try:
        signer = TokenSigner(token)
    except (TokenRefused, TokenGone) as error:
        yield bad("key", error.what, error.remedy)
    except keys.KeyFailure as error:
        yield bad("key", str(error), f"put the PIN into {token.pin}; chown {_user(os.geteuid())}, chmod 600")
    else:
        signer.close()
        yield good("key", f"{token.key} in token {token.token} ({signer.public.scheme.value}), and it signs")
    if path.exists():
        yield doubt("key", f"{path} is not used, for the key is in a token", "delete it")


def look_at_package(package: str) -> Iterator[Finding]:
    """Whether dpkg has installed all of it; nothing where this is no package of dpkg."""
    program = shutil.which("dpkg-query")
    if program is None:
        return
    wanted = "${db:Status-Status} ${Version}"
    ran = subprocess.run([program, "-W", "-f", wanted, package], check=False, capture_output=True, text=True)  # noqa: S603 (dpkg's)
    state, _, version = ran.stdout.partition(" ")
    if ran.returncode or state == "not-installed":
        return
    if state == "installed":
        yield good("package", f"{package} {version}")
    else:
        yield bad("package", f"{package} {version} is {state}", "dpkg --configure -a, or install it once more")


def report(findings: Sequence[Finding]) -> str:
    """The findings for people: one line each, and below it what to do."""
    lines = []
    for finding in findings:
        lines.append(f"{finding.grade.value:6} {finding.about}: {finding.text}")
        if finding.remedy:
            lines.append(f"       -> {finding.remedy}")
    return "\n".join(lines)


def worst(findings: Sequence[Finding]) -> Grade:
    """The grade of the worst of them."""
    grades = {finding.grade for finding in findings}
    return next((grade for grade in (Grade.BAD, Grade.DOUBT) if grade in grades), Grade.GOOD)


def _owner(path: Path) -> str:
    return _user(path.stat().st_uid)


def _user(number: int) -> str:
    import pwd  # noqa: PLC0415  (only for people)

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
