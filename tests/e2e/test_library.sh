#!/usr/bin/env bash
# libflexverify as others use it: installed somewhere, the example built with nothing but pkg-config,
# shared and static, as C and as C++, and run on the frozen proof files and on spoilt ones.
# Usage: test_library.sh BUILD
set -euo pipefail
build=$1
vectors=tests/vectors/verify
dir=$(mktemp -d /tmp/flex-e2e-library-XXXXXX)
trap 'rm -rf "$dir"' EXIT
fail() { echo "FAILED: $1"; exit 1; }
make --no-print-directory BUILD="$build" DESTDIR="$dir" PREFIX=/usr install-library >"$dir/log" 2>&1 ||
    { cat "$dir/log"; fail "it does not install"; }
export PKG_CONFIG_SYSROOT_DIR=$dir PKG_CONFIG_PATH=$dir/usr/lib/pkgconfig
cc=${CC:-gcc}
read -ra flags <<<"$(pkg-config --cflags flexverify)"
read -ra libs <<<"$(pkg-config --libs flexverify)"
read -ra private <<<"$(PKG_CONFIG_SYSROOT_DIR='' pkg-config --libs --static flexverify | sed 's/-lflexverify//; s|-L[^ ]*||')"
"$cc" -std=c11 -Wall -Wextra -Werror "${flags[@]}" docs/examples/flexverify.c "${libs[@]}" -o "$dir/shared"
"$cc" -std=c11 "${flags[@]}" docs/examples/flexverify.c "$dir/usr/lib/libflexverify.a" "${private[@]}" -o "$dir/static"
echo '#include <flexverify.h>
int main() { return flexverify_version()[0] == 0; }' >"$dir/plus.cc"
"${CXX:-g++}" -Wall -Wextra -Werror "${flags[@]}" "$dir/plus.cc" "${libs[@]}" -o "$dir/plus"
export LD_LIBRARY_PATH=$dir/usr/lib
"$dir/plus" || fail "the C++ program"
for way in shared static; do
    "$dir/$way" $vectors/genesis.json $vectors/balance.proof >"$dir/out" || fail "$way: a true proof"
    grep -q 'pot balance/dso: proven' "$dir/out" || fail "$way: it does not say what is proven"
    grep -q '"amount_ueur":"1250000"' "$dir/out" || fail "$way: it does not say the amount"
    "$dir/$way" $vectors/genesis.json $vectors/absent.proof | grep -q 'proven to be absent' || fail "$way: absence"
    sed 's/1250000/1250001/; s/0000131/0000132/' $vectors/balance.proof >"$dir/spoilt"
    status=0
    "$dir/$way" $vectors/genesis.json "$dir/spoilt" >"$dir/out" 2>"$dir/err" || status=$?
    [ "$status" -eq 4 ] || fail "$way: exit $status on a spoilt proof"
    grep -q 'is NOT proven' "$dir/err" || fail "$way: no reason"
done
python3 tests/vectors/check_digest.py $vectors || fail "the digest, by the text of the specification alone"
others=$(nm -D --defined-only "$dir/usr/lib/libflexverify.so" | awk '{print $3}' | grep -v '^flexverify_\|^FLEXVERIFY_' || true)
[ -z "$others" ] || fail "the shared library shows $others"
others=$(nm -g --defined-only "$dir/usr/lib/libflexverify.a" | awk 'NF==3 {print $3}' | grep -v '^flexverify_' || true)
[ -z "$others" ] || fail "the static library shows $others"
count=$(nm -D --defined-only "$dir/usr/lib/libflexverify.so" | grep -c ' T flexverify_')
echo "passed: $count functions, shared and static, C and C++"
