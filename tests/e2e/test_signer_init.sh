#!/usr/bin/env bash
# A node's key moves into a signer, killed before each step that changes the disk, and each such step failing: at
# no moment can both sign, the next try says what there is and ends it, and an init that fails leaves no home.
# Usage: test_signer_init.sh BUILD [STRIDE]: every third step is tried, or every STRIDE-th
set -euo pipefail
. tests/e2e/lib.sh
e2e_begin signer-init "$1"
stride=${2:-3}
echo old >old
devnet
"$bin/flex" devnet stop --dir net >/dev/null
home=net/nodes/dso
cp $home/node.key key

init() { # CODE, with STEP_KILL or STEP_FAIL set: what it says goes to `out`
    local code=0
    LD_PRELOAD=$build/tests/e2e/step_faults.so "$bin/flexsignd" init --home signer --node-home $home --passphrase-fd 3 \
        3<old >out 2>&1 || code=$?
    echo $code
}
begin_anew() {
    rm -rf signer $home/node.key.moved
    cp key $home/node.key
}
never_both() { # WHEN: with key.json there is no node.key, and without one the key is in the node's home
    if [ -s signer/key.json ] && [ -e $home/node.key ]; then fail "$1: both can sign"; fi
    [ -s signer/key.json ] || [ -e $home/node.key ] || [ -e $home/node.key.moved ] || fail "$1: the key is gone"
}
ended() { # WHEN
    [ -s signer/key.json ] && [ -d signer/votes ] && [ ! -e signer/unfinished ] || fail "$1: $(ls signer) $(cat out)"
    [ ! -e $home/node.key ] && cmp -s key $home/node.key.moved || fail "$1: $(ls $home)"
}
again() { # WHEN: the same command ends it, or says that it has ended
    local code
    code=$(init)
    if [ "$code" = 2 ]; then
        grep -q "init has nothing left to do" out || fail "$1, then: $(cat out)"
    else
        [ "$code" = 0 ] || fail "$1, then exit $code: $(cat out)"
    fi
    ended "$1"
}

step=1
begun=0
while :; do
    begin_anew
    STEP_KILL=$step
    export STEP_KILL
    code=$(init)
    unset STEP_KILL
    [ "$code" = 137 ] || break
    never_both "killed at step $step"
    if [ -e signer/unfinished ] && [ ! -s signer/key.json ]; then
        begun=$((begun + 1))
        # Another command than the one that was stopped is told which one that was.
        if "$bin/flexsignd" init --home signer --passphrase-fd 3 3<old >out 2>&1; then fail "step $step: a new key: $(cat out)"; fi
        grep -q "Give that command again: flexsignd init --home signer --node-home $PWD/$home" out || fail "step $step: $(cat out)"
        grep -q "flexsignd start" out && fail "$(cat out)"
    fi
    if [ ! -s signer/key.json ] && [ -e $home/node.key.moved ]; then
        code=0
        "$bin/flexsignd" init --home other --node-home $home --passphrase-fd 3 3<old >out 2>&1 || code=$?
        [ "$code" = 2 ] && grep -q "for a signer in another --home" out || fail "step $step, another home: $(cat out)"
        [ ! -e other ] || fail "an init that failed left a home"
    fi
    again "killed at step $step"
    step=$((step + stride))
done
[ "$code" = 0 ] || fail "without a kill: $(cat out)"
ended "without a kill"
[ $begun -gt 3 ] && [ $step -gt 15 ] || fail "only $step steps, $begun of them begun"
kills=$step

step=1
while [ $step -lt "$kills" ]; do
    begin_anew
    STEP_FAIL=$step
    export STEP_FAIL
    code=$(init)
    unset STEP_FAIL
    never_both "step $step failed"
    # Where only the mark could not be removed it has ended, and the next look removes it.
    [ "$code" = 0 ] || [ ! -e signer ] || [ -n "$(ls -A signer)" ] || fail "step $step failed: an empty home is left"
    again "step $step failed"
    step=$((step + stride))
done

# The taking back is killed, too, and done again.
begin_anew
STEP_KILL=$((kills - 8))
export STEP_KILL
code=$(init)
for step in 1 2 3 4 5 6; do
    STEP_KILL=$step
    code=$(init)
    never_both "killed at step $step of a second try"
done
unset STEP_KILL
again "after six kills"

# What cannot be done leaves no home behind.
for wrong in "--node-home nowhere --passphrase-fd 3" "--passphrase-fd 99"; do
    # shellcheck disable=SC2086 # words
    if "$bin/flexsignd" init --home fresh $wrong 3<old >out 2>&1; then fail "$wrong: $(cat out)"; fi
    [ ! -e fresh ] || fail "$wrong left a home"
done
echo "an init killed at, and failing at, steps of $((kills - 1)), $stride apart: never both, and the next try ends it"
