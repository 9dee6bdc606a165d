#!/usr/bin/env bash
# What building, testing and emulating the firmware needs, and a token for the tests of keys in one: `firmware/tools/toolchain.sh`. As root on Debian, what is missing is
# installed; anyone else is told exactly what to install. Does nothing, and needs no network, when all is there.
set -euo pipefail

say() { printf 'toolchain: %s\n' "$*"; }

# A tool counts when it does its work, not when something of its name is on the path.
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
printf '#include <stdint.h>\n#include <string.h>\nint LLVMFuzzerTestOneInput(const uint8_t *d, size_t n)\n{\n    return n > 1 && memcmp(d, "no", 2) == 1;\n}\n' >"$scratch/fuzz.c"
printf '#include <stdint.h>\nuint32_t f(void);\nuint32_t f(void)\n{\n    return 1;\n}\n' >"$scratch/plain.c"
printf '#include <stdio.h>\nint main(void)\n{\n    return puts("") < 0;\n}\n' >"$scratch/host.c"

host() { gcc "$scratch/host.c" -o "$scratch/host"; }
cross() { arm-none-eabi-gcc -mcpu=cortex-m3 -mthumb -flto -c "$scratch/plain.c" -o "$scratch/plain.o"; }
fuzzer() { clang -fsanitize=fuzzer,address,undefined "$scratch/fuzz.c" -o "$scratch/fuzz"; }
emulator() { qemu-system-arm -M help | grep -q '^lm3s6965evb '; }
token() { softhsm2-util --version && [ -s /usr/lib/softhsm/libsofthsm2.so ]; }
token_python() { /usr/bin/python3.11 -c 'import PyKCS11'; }
keyring() { [ -s /usr/share/keyrings/debian-archive-keyring.gpg ]; }

missing=()
# The sanitizers' library has the version of the compiler that is here, or would be installed.
sanitizers() {
    local version
    version=$(clang -dumpversion 2>/dev/null || apt-cache depends clang 2>/dev/null | sed -nE 's/.*Depends: clang-([0-9]+)$/\1/p')
    printf 'libclang-rt-%s-dev' "${version%%.*}"
}
need() { # what works (words), then the packages that it comes in
    local works=$1
    shift
    $works >/dev/null 2>&1 || missing+=("$@")
}
look() {
    missing=()
    need host gcc libc6-dev
    need "make --version" make
    need cross gcc-arm-none-eabi
    need fuzzer clang "$(sanitizers)"
    need emulator qemu-system-arm
    need keyring debian-archive-keyring
    need "ip -V" iproute2 # tests/deploy: interfaces in a kernel that has CAN
    need "dbus-daemon --version" dbus # tests/deploy: a Primary's own image by RAUC
    need "rauc --version" rauc
    need "mksquashfs -version" squashfs-tools
    need "openssl version" openssl
    need token softhsm2
    # Debian 12's Python, which the packages are for; under another the tests of tokens say that they are skipped.
    [ ! -x /usr/bin/python3.11 ] || need token_python python3-pykcs11
}

look
[ ${#missing[@]} -gt 0 ] || exit 0
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    say "missing: ${missing[*]}. On Debian: apt-get install --no-install-recommends ${missing[*]}"
    exit 1
fi
apt-get -qq update
look # again: which compiler there is to be had, a machine knows only now
say "installing ${missing[*]}"
DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}" >/dev/null
look
[ ${#missing[@]} -eq 0 ] || { say "still missing after installing: ${missing[*]}"; exit 1; }
