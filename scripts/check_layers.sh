#!/usr/bin/env bash
# Dependencies point one way (docs/ARCHITECTURE.md): a folder includes only from the folders named
# after it here. Also: which outside headers each folder may include.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=0

declare -A may=(
    [base]="base"
    [crypto]="crypto base"
    [consensus]="consensus crypto base"
    [contracts]="contracts crypto base"
    [verify]="verify consensus contracts crypto base"
    [storage]="storage consensus contracts crypto base"
    [p2p]="p2p consensus contracts crypto base"
    [solver]="solver contracts crypto base"
    [node]="node p2p storage solver verify consensus contracts crypto base"
    [tools]="tools node p2p storage solver verify consensus contracts crypto base"
)
# What must not be known where: I/O, clocks, threads and floating point in the pure layers, and each
# library only in the layer that is its keeper.
declare -A forbidden=(
    [base]='sodium|secp256k1|lmdb|nng/|mbedtls|microhttpd|gnutls|curl/|glpk|math\.h|float\.h|fenv\.h'
    [crypto]='lmdb|nng/|mbedtls|microhttpd|gnutls|curl/|glpk|math\.h|float\.h|cjson|pthread|sys/socket|time\.h'
    [consensus]='sodium|secp256k1|lmdb|nng/|mbedtls|microhttpd|gnutls|curl/|glpk|math\.h|float\.h|cjson|stdio\.h|time\.h|pthread|unistd|fcntl|sys/|locale\.h'
    [contracts]='sodium|secp256k1|lmdb|nng/|mbedtls|microhttpd|gnutls|curl/|glpk|math\.h|float\.h|time\.h|pthread|unistd|fcntl|sys/|locale\.h'
    [verify]='secp256k1|lmdb|nng/|mbedtls|microhttpd|gnutls|curl/|glpk|math\.h|float\.h|time\.h|pthread|unistd|fcntl|sys/|locale\.h'
    [storage]='sodium|secp256k1|nng/|mbedtls|microhttpd|gnutls|curl/|glpk|cjson'
    [p2p]='secp256k1|lmdb|microhttpd|gnutls|curl/|glpk|cjson|nng/supplemental/http'
    [solver]='lmdb|nng/|mbedtls|microhttpd|gnutls|curl/|secp256k1'
    [node]='secp256k1|lmdb|nng/|mbedtls|curl/|glpk'
    [tools]='secp256k1|lmdb|nng/|mbedtls|microhttpd|gnutls|glpk'
)

# The meter-data service keeps a database of its own and answers over HTTP: one file knows each.
keepers=(tools/meterd/database.c tools/meterd/server.c)

for folder in "${!may[@]}"; do
    while IFS= read -r line; do
        file=${line%%:*}
        include=$(sed -E 's/.*#include "([^"]+)".*/\1/' <<<"$line")
        target=${include%%/*}
        case " ${may[$folder]} " in
        *" $target "*) ;;
        *)
            echo "$file: includes \"$include\", but $folder may only use: ${may[$folder]}"
            failed=1
            ;;
        esac
    done < <(git ls-files "$folder/*.c" "$folder/*.h" | xargs -r grep -nE '^#include "' /dev/null)
    unknown=$(git ls-files "$folder/*.c" "$folder/*.h" | grep -vxF -f <(printf '%s\n' "${keepers[@]}") |
        xargs -r grep -nE "^#include <(${forbidden[$folder]})" /dev/null || true)
    if [ -n "$unknown" ]; then
        printf '%s\n^ headers that %s must not know\n' "$unknown" "$folder"
        failed=1
    fi
done
exit $failed
