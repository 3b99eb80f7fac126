#!/usr/bin/env bash
# usage: determinism.sh DIRECTORY SEEDS BUILD...: builds flexsim and the tests of the frozen vectors once
# per BUILD and shows that all see the same bits. A BUILD is gcc-O0, gcc-O3, clang-O2 or aarch64-O2 (a
# cross-build, run by qemu-user), built under DIRECTORY, or the path of a build that is there already,
# whose vectors `make unit` has checked.
#
# Each build runs SEEDS seeds with 4 validators, a tenth as many with 7, a twentieth with Ed25519
# signatures, and must print what the first build printed. One line per build: digests, vector tests
# passed, seconds of running. Exit 0 only if every build was built, ran, and agreed; nothing is skipped.
set -uo pipefail
[ $# -ge 4 ] || {
    echo "usage: determinism.sh DIRECTORY SEEDS BUILD BUILD..." >&2
    exit 2
}
directory=$1
seeds=$2
shift 2
cd "$(dirname "$0")/.." || exit 1
mkdir -p "$directory"
vectors=(crypto/test_hash crypto/test_merkle crypto/test_sign crypto/test_state_tree
    contracts/test_records contracts/test_digest consensus/test_codecs consensus/test_core)
# The simulator's part of tools/, and what it links: the other tools want libraries that a build for
# another machine would have to have for nothing.
simulator=(tools_SOURCES="$(echo tools/sim/*.c)" EXT_tools="-llmdb -lsecp256k1 -lsodium -lcjson")

fail() {
    printf 'determinism: %s\n' "$*" >&2
    exit 1
}

# Sets `root` and `machine` (the words before a program's name).
prepare() {
    local name=$1 compiler optimise archiver=ar
    machine=()
    case $name in
    gcc-O0) compiler=gcc optimise=-O0 ;;
    gcc-O3) compiler=gcc optimise=-O3 ;;
    clang-O2) compiler=clang optimise=-O2 ;;
    aarch64-O2)
        compiler=aarch64-linux-gnu-gcc optimise=-O2 archiver=aarch64-linux-gnu-ar
        machine=(qemu-aarch64)
        ;;
    *)
        root=$name
        [ -x "$root/bin/flexsim" ] || fail "$root/bin/flexsim is not there"
        return
        ;;
    esac
    root=$directory/$name
    for program in "$compiler" "${machine[@]}"; do
        command -v "$program" >/dev/null ||
            fail "$name cannot be run: no $program (scripts/install_deps.sh packages-determinism.txt)"
    done
    local targets=("$root/bin/flexsim")
    [ "$checks_vectors" = no ] || targets+=("${vectors[@]/#/$root/tests/unit/}")
    make --no-print-directory -j2 BUILD="$root" CC="$compiler" AR="$archiver" OPT="$optimise" \
        SANITIZE= "${simulator[@]}" "${targets[@]}" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        fail "$name does not build; $root.log tells the whole of it"
    }
}

# Ten seeds a process: qemu-user gives back little of what a run has unmapped, and 200 seeds in one
# process took all the memory that there was. Arguments: the number of seeds, then flexsim's.
simulate() {
    local first=1 count last=$1
    shift
    while [ "$first" -le "$last" ]; do
        count=$((last - first + 1 < 10 ? last - first + 1 : 10))
        "${machine[@]}" "$root/bin/flexsim" --seed "$first" --seeds "$count" "$@" || {
            echo "determinism: flexsim --seed $first --seeds $count $*: exit $?" >&2
            return 1
        }
        first=$((first + count))
    done
}

# One line per process, with what it saw; the digest of a set of runs is that of these lines.
digest_of() {
    local digest
    digest=$(sha256sum <<<"$1")
    echo "${digest%% *}"
}

# A quick run is about the seeds only.
checks_vectors=yes
for name in "$@"; do [ ! -d "$name" ] || checks_vectors=no; done

first=
failed=0
for name in "$@"; do
    prepare "$name"
    begun=$(date +%s)
    said=$(simulate "$seeds") || fail "$name: flexsim failed"
    seven=$(simulate $(((seeds + 9) / 10)) --nodes 7) || fail "$name: flexsim failed"
    signed=$(simulate $(((seeds + 19) / 20)) --ed25519) || fail "$name: flexsim failed"
    passed=
    if [ "$checks_vectors" = yes ]; then
        count=0
        for vector in "${vectors[@]}"; do
            if timeout 600 "${machine[@]}" "$root/tests/unit/$vector" >"$directory/vector" 2>&1; then
                count=$((count + 1))
            else
                cat "$directory/vector" >&2
                printf 'determinism: %s: %s failed\n' "$name" "$vector" >&2
                failed=1
            fi
        done
        passed="  vectors $count/${#vectors[@]}"
    fi
    printf '%-12s %s  n=7 %.12s  ed25519 %.12s%s  %4d s\n' "$name" "$(digest_of "$said")" \
        "$(digest_of "$seven")" "$(digest_of "$signed")" "$passed" $(($(date +%s) - begun))
    said=$said$'\n'$seven$'\n'$signed
    [ "$(grep -cE ', digest [0-9a-f]{64}$' <<<"$said")" -ge 3 ] || fail "$name: flexsim printed no digest"
    [ -n "$first" ] || first=$said
    if [ "$said" != "$first" ]; then
        printf 'determinism: %s sees other runs than %s:\n' "$name" "$1" >&2
        diff <(printf '%s\n' "$first") <(printf '%s\n' "$said") >&2
        failed=1
    fi
done
[ "$failed" -eq 0 ] || exit 1
printf 'determinism: %d builds agree on %d seeds\n' $# "$seeds"
