# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Sourced by tests/run and app/demo: what a fresh Debian 12 machine needs, and how to get it.
# docs/dependencies.md gives the reason for each package.

ATR_PACKAGES_BUILD=(gcc g++ meson ninja-build pkg-config libdpdk-dev libsodium-dev libjansson-dev
    libpcre2-dev libdouble-conversion-dev libipsec-mb-dev libcmocka-dev libpcap-dev liburing-dev)
ATR_PACKAGES_DEMO=(iproute2 ethtool python3 python3-nacl)
ATR_PACKAGES_TEST=(binutils clang clang-format clang-tidy libclang-rt-14-dev cppcheck dpdk-dev
    e2fsprogs git iproute2 ethtool iputils-ping mount procps python3 python3-nacl tshark)
# What ATR is compared with: servers, and libraries for their clients.
ATR_PACKAGES_COMPARE=(nats-server libnats-dev redis-server libhiredis-dev libzmq3-dev)
# For tests/e2e/test_report.py alone.
ATR_PACKAGES_BROWSER=(chromium chromium-driver fonts-dejavu-core)

# Runs a command as root: directly, or through sudo when somebody else.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo -- "$@"
    else
        echo "needs root for '$*': run as root, or install sudo" >&2
        return 1
    fi
}

# Installs those of the named packages that are missing; silent when all are there.
need_packages() {
    local missing=() package
    for package in "$@"; do
        if [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
            missing+=("$package")
        fi
    done
    [ ${#missing[@]} = 0 ] && return 0
    echo "installing ${missing[*]}"
    if ! command -v apt-get >/dev/null; then
        echo "no apt-get here; install by hand: ${missing[*]}" >&2
        return 1
    fi
    local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    if ! as_root "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1
    then
        as_root "${quiet[@]}" update >/dev/null || return 1
        as_root "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null || {
            echo "could not install ${missing[*]}" >&2
            return 1
        }
    fi
}

# configure DIR [meson options]: sets a build directory up, or leaves one that is set up alone.
configure() {
    local dir=$1
    shift
    [ -f "$dir/build.ninja" ] || meson setup "$dir" "$@"
}
