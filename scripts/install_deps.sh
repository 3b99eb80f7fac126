#!/usr/bin/env bash
# usage: install_deps.sh [LIST]: installs the packages of scripts/packages.txt, or of another list beside
# it, that are missing; says nothing when none is. It asks no question and may run any number of times.
# A name that ends in :arm64 makes that architecture known to dpkg first.
set -euo pipefail
cd "$(dirname "$0")"
list=${1:-packages.txt}

missing=()
while read -r package _; do
    case $package in '' | '#'*) continue ;; esac
    # One line per architecture that dpkg knows it for.
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -qx "install ok installed" ||
        missing+=("$package")
done <"$list"
[ ${#missing[@]} -gt 0 ] || exit 0

echo "deps: installing ${missing[*]}"
as_root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "deps: not root and no sudo; run as root: apt-get install ${missing[*]}" >&2
        exit 1
    }
    as_root=sudo
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
case " ${missing[*]} " in *:arm64\ *) $as_root dpkg --add-architecture arm64 ;; esac
if ! { $as_root apt-get -q update && $as_root apt-get -q -y install --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    echo "deps: installing failed; the lines above say why" >&2
    exit 1
fi
