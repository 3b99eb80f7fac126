#!/usr/bin/env bash
# The Debian packages: built twice from the committed files, equal to the bit; installed into a fresh
# Debian made by debootstrap, used, removed and purged without a trace, but a home that holds a node's
# keys stays. Needs root, debhelper and debootstrap (make deps). Usage: package.sh
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d /tmp/flex-package-XXXXXX)
finish() {
    mountpoint -q "$dir/root/proc" && umount "$dir/root/proc"
    rm -rf "$dir"
}
trap finish EXIT
fail() { echo "FAILED: $*"; exit 1; }
[ "$(id -u)" -eq 0 ] || fail "debootstrap and chroot need root"
mirror=$(awk '$1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /^http/) { print $i; exit } } $1 == "URIs:" { print $2; exit }' \
    /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null || true)

version=$(sed -n 's/.*FLEX_VERSION "\(.*\)"/\1/p' node/version.h)
[ "$(dpkg-parsechangelog -S Version)" = "$version" ] || fail "debian/changelog is not of version $version"

# Two folders of different names, for a path that gets into a binary is the usual difference.
for copy in one/flexledger another-place/flexledger; do
    mkdir -p "$dir/$copy"
    git archive HEAD | tar -x -C "$dir/$copy"
    echo "package: building in $copy"
    (cd "$dir/$copy" && DEB_BUILD_OPTIONS="nocheck parallel=2" dpkg-buildpackage -b -us -uc) >"$dir/log" 2>&1 ||
        { tail -n 30 "$dir/log"; fail "dpkg-buildpackage"; }
done
count=0
for package in "$dir"/one/*.deb; do
    cmp "$package" "$dir/another-place/$(basename "$package")" || fail "$(basename "$package") is not reproducible"
    count=$((count + 1))
done
[ "$count" -ge 4 ] || fail "only $count packages"

echo "package: a fresh Debian"
debootstrap --variant=minbase bookworm "$dir/root" ${mirror:+"$mirror"} >"$dir/log" 2>&1 || { tail -n 5 "$dir/log"; fail "debootstrap"; }
mount -t proc proc "$dir/root/proc"
cp /etc/apt/sources.list "$dir/root/etc/apt/" 2>/dev/null || true
cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$dir/root/etc/apt/" 2>/dev/null || true
cp /etc/resolv.conf "$dir/root/etc/" 2>/dev/null || true
cp "$dir"/one/{flexledger,flexledger-node,libflexverify0}_*.deb "$dir/root/tmp/"
inside() { chroot "$dir/root" env DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"; }
inside sh -c 'apt-get -q update && apt-get -q -y install --no-install-recommends /tmp/*.deb' >"$dir/log" 2>&1 ||
    { tail -n 20 "$dir/log"; fail "install"; }
inside flexd --version >/dev/null || fail "flexd --version"
inside flex --version >/dev/null || fail "flex --version"
echo '{"format":"flexclear/1","mechanism":"merit_order","bids":[]}' | inside flexclear >/dev/null || fail "flexclear"
[ "$(inside stat -c '%U %a' /var/lib/flexledger)" = "flexledger 700" ] || fail "the home's owner and mode"
[ ! -e "$dir/root/etc/systemd/system/multi-user.target.wants/flexd.service" ] || fail "the unit enables itself"
inside su -s /bin/sh flexledger -c 'flexd init --home /var/lib/flexledger/n --name a --role validator --new-ca ca' >/dev/null ||
    fail "flexd init as the node's user"
inside apt-get -q -y remove flexledger flexledger-node >"$dir/log" 2>&1 || fail "remove"
inside apt-get -q -y purge flexledger flexledger-node >"$dir/log" 2>&1 || fail "purge"
[ -e "$dir/root/var/lib/flexledger/n/node.key" ] || fail "a purge took a validator's key away"
rm -r "$dir/root/var/lib/flexledger"
left=$(find "$dir/root/usr" "$dir/root/etc" "$dir/root/var/lib" -name '*flexd*' -o -name '*flexledger*' | grep -v '/dpkg/\|/apt/' || true)
[ -z "$left" ] || fail "left behind: $left"
echo "package: $count packages, reproducible, installed, used, removed"
