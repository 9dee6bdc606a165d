"""A D-Bus of our own, and a RAUC on it: real sockets, nobody else's."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.peers.rauc_service import Machine

ROOT = Path(__file__).parents[2]
POLICY = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
  </policy>
</busconfig>
"""


class Bus:
    """dbus-daemon, and whoever else is started on it."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("dbus-daemon")
        assert program is not None, "dbus-daemon is missing: firmware/tools/toolchain.sh installs it"
        self.folder, self.socket = folder, folder / "bus"
        config = folder / "bus.conf"
        config.write_text(POLICY.format(socket=self.socket))
        self.daemon = subprocess.Popen(
            [program, "--nofork", "--nopidfile", f"--config-file={config}", "--print-address=1"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.daemon.stdout is not None
        assert self.daemon.stdout.readline().startswith("unix:"), "it does not listen"
        self.rauc: subprocess.Popen[str] | None = None
        self.machine = Machine(folder)

    def start_rauc(self) -> None:
        command = [sys.executable, "-m", "tests.peers.rauc_service", str(self.folder), str(self.socket)]
        self.rauc = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.rauc.stdout is not None
        assert self.rauc.stdout.readline() == "ready\n"

    def stop_rauc(self) -> None:
        if self.rauc is not None:
            self.rauc.kill()
            self.rauc.communicate()
            self.rauc = None

    def behave(self, **how: Any) -> None:
        (self.folder / "behave.json").write_text(json.dumps(how))

    def close(self) -> None:
        self.stop_rauc()
        self.daemon.kill()
        self.daemon.wait()
        assert self.daemon.stdout is not None
        self.daemon.stdout.close()
