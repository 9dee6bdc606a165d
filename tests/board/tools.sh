#!/usr/bin/env bash
# What an emulated arm64 board needs of this machine: `tests/board/tools.sh`. As root on Debian, what is missing is installed;
# anyone else is told exactly what to install. Does nothing, and needs no network, when all is there.
set -euo pipefail

say() { printf 'board: %s\n' "$*"; }
export PATH=$PATH:/usr/sbin:/sbin

emulator() { qemu-system-aarch64 -M help | grep -q '^virt '; }
keyring() { [ -s /usr/share/keyrings/debian-archive-keyring.gpg ]; }
owner() { [ "$(id -u)" -eq 0 ] || fakeroot true; }

missing=()
need() { # what works (words), then the package that it comes in
    $1 >/dev/null 2>&1 || missing+=("$2")
}
look() {
    missing=()
    need emulator qemu-system-arm
    need "qemu-img --version" qemu-utils
    need "mke2fs -V" e2fsprogs
    need keyring debian-archive-keyring
    need owner fakeroot
}

look
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: ${missing[*]}. On Debian: apt-get install --no-install-recommends ${missing[*]}"
    exit 1
fi
apt-get -qq update
say "installing ${missing[*]}"
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
look
[ ${#missing[@]} -eq 0 ] || { say "still missing after installing: ${missing[*]}"; exit 1; }
