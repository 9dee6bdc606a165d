"""Make the packages: `python -m deploy [--architecture amd64] [--role primary] [--version 0.1.0] [--fast]`.

Each package is one file below build/deb. `--fast` spares the compression, for tests.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from deploy.package import ROLES, Order, make
from deploy.targets import TARGETS
from deploy.wheels import DeployError

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"


def main() -> None:
    """Make what was asked for; by default everything."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    parser = argparse.ArgumentParser(
        prog="deploy", description="Make Debian packages of the Primary and the Secondary."
    )
    parser.add_argument("--architecture", action="append", choices=list(TARGETS), help="repeat it; default all")
    parser.add_argument("--role", action="append", choices=list(ROLES), help="repeat it; default both")
    parser.add_argument("--version", default=project["version"], help="default: the project's")
    parser.add_argument("--out", type=Path, default=BUILD / "deb", help="default: build/deb")
    parser.add_argument("--fast", action="store_true", help="do not compress")
    arguments = parser.parse_args()
    for architecture in arguments.architecture or TARGETS:
        for role in arguments.role or ROLES:
            target = TARGETS[architecture]
            order = Order(role, target, arguments.version, arguments.out, compressed=not arguments.fast)
            try:
                made = make(order, ROOT, BUILD)
            except DeployError as error:
                sys.exit(f"deb: {role} for {architecture}: {error}")
            print(
                f"deb: {made.relative_to(ROOT) if made.is_relative_to(ROOT) else made}: {made.stat().st_size:,} octets"
            )
            for name, why in target.left_out.items():
                print(f"deb:   without {name}: no wheel for {architecture}; {why}")
            for name, (package, _) in target.lent.items():
                print(f"deb:   {name} is Debian's {package}: no wheel for {architecture}")


if __name__ == "__main__":
    main()
