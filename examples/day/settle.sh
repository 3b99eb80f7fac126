# shellcheck shell=bash
# The second half of the day: delivery, meters, proofs, money, the audit (run.sh).

deliver() {
    say "The delivery hour: meters sign, the meter operator posts fingerprints"
    clock_to "$(date -u -d "@$((start_s + 3660))" +%FT%TZ)"
    mkdir -p "$dir/readings"
    local row id permille per_unit unit reference
    for row in "${devices[@]}"; do
        read -r id _ _ _ _ _ permille <<<"$row"
        per_unit=$(field "[.items[]|select(.device==\"$id\").contracted_wh|tonumber]|add / 4" <"$dir/matched.json")
        while read -r reference; do
            echo $((reference - per_unit * permille / 1000))
        done <"$dir/schedules/$id" >"$dir/readings/$id.wh"
        does meters meter read --key "$dir/meters/$id.key" --device "$id" --start "$start" \
            --profile "$dir/readings/$id.wh" --out "$dir/readings/all.json"
        note "$id consumed $(paste -sd' ' <"$dir/readings/$id.wh") Wh ($permille permille of what it sold)"
    done
    does meters meter batch --id "$zone" "$dir/readings/all.json"
}

prove_deliveries() {
    say "Proofs of delivery, and what they settle"
    local row id owner manager permille deal
    for row in "${devices[@]}"; do
        read -r id owner manager _ _ _ permille <<<"$row"
        [ "$manager" != - ] || manager=$owner
        # Who delivered nothing proves nothing; the deadline decides.
        [ "$permille" -gt 0 ] || continue
        does meters meter reveal --id "$zone" --device "$id" --from "$start" \
            --until "$(date -u -d "@$((start_s + 3600))" +%FT%TZ)" --out "$dir/readings/$id.json"
        deal=$(field ".items[]|select(.device==\"$id\").id" <"$dir/matched.json")
        does "$manager" deal prove --deal "$deal" --readings "$dir/readings/$id.json"
        wallet "$manager" deal show "$deal" >"$dir/deal-$deal.json" || broken "deal $deal is unproven"
        field '"   deal \(.id): \(.state), \(.paid_ueur) ueur paid, \(.refunded_ueur) ueur back"' <"$dir/deal-$deal.json"
    done
}

pass_deadline() {
    say "The deadline passes: no proof, so the money goes back"
    clock_to "$(date -u -d "@$((start_s + 3600 + 3 * 3600 + 60))" +%FT%TZ)"
    local deal
    deal=$(field '.items[]|select(.device=="heat-pump-2").id' <"$dir/matched.json")
    promise "the deal without delivery is refunded in full" \
        test "$(wallet dso deal show "$deal" | field '"\(.state) \(.paid_ueur) \(.refunded_ueur)"')" = \
        "refunded 0 $(field ".items[]|select(.id==\"$deal\").escrow_ueur" <"$dir/matched.json")"
}

end_the_day() {
    say "Midnight: fees to the validators, the daily digest"
    clock_to "${next_day}T00:05:00Z"
    does operator token transfer --to meters --amount 0.000001
    wallet regulator audit digest get "$day" --out "$dir/digest.note" >"$dir/digest.said.json" ||
        broken "no digest of $day"
    note "digest of $day: $(field '.log_root' <"$dir/digest.said.json") up to height $(field .height <"$dir/digest.said.json")"
}

bills() {
    say "Bills"
    local who
    for who in dso agg-a agg-b anna; do
        "$flex" --home "$dir/wallets/$who" --node "${api[audit]}" bill show "$who" \
            --from "${day}T00:00:00Z" --to "${next_day}T00:00:00Z" >"$dir/bill-$who.txt" ||
            broken "no bill of $who"
        note "$dir/bill-$who.txt"
    done
    sed 's/^/   | /' "$dir/bill-dso.txt"
}

audit_everything() {
    say "The regulator: export from the audit node, re-execute everything offline"
    wallet regulator audit export --dir "$dir/export" >/dev/null || broken "no export"
    "$flex" audit verify --dir "$dir/export" --genesis "$dir/genesis.json" --json \
        >"$dir/verified.json" 2>"$dir/verify.log" || broken "the export does not verify"
    "$flex" audit report --dir "$dir/export" --genesis "$dir/genesis.json" --json \
        >"$dir/report.json" 2>>"$dir/verify.log" || broken "no report"
    note "$(field '"\(.transactions) transactions up to height \(.height) re-executed"' <"$dir/verified.json")"
}

# Every deal's final state, proven to the wallet from the genesis file alone.
proofs_of_deals() {
    local id
    for id in $(field '.deals[].id' <"$dir/report.json"); do
        wallet dso proof get deal "$id" --out "$dir/deal-$id.proof" >/dev/null &&
            "$flex" proof verify "$dir/deal-$id.proof" --genesis "$dir/genesis.json" --json \
                >"$dir/deal-$id.verified" || broken "the proof of deal $id does not verify"
        jq -c --arg id "$id" '{key: $id, value: (.ok // .proof_verified)}' <"$dir/deal-$id.verified"
    done | jq -s from_entries
}

# The state root that a node's chain has at the height of the audited export.
root_at() {
    curl -fsS "${api[$1]}/v1/blocks/$(field .height <"$dir/verified.json")" | field .header.state_root
}

write_summary() {
    say "Summary"
    local node root
    root=$(root_at operator)
    for node in dso agg-a agg-b; do
        promise "$node has the same state root at that height" test "$(root_at "$node")" = "$root"
    done
    jq -n --slurpfile report "$dir/report.json" --slurpfile verified "$dir/verified.json" \
        --argjson proofs "$(proofs_of_deals)" --arg root "$root" \
        --argjson recovered "${recovered:-false}" '
        $report[0] as $r | {validators: 4, height: $verified[0].height, state_root: $root,
         audit_state_root: $verified[0].state_root, minted_ueur: $r.minted_ueur,
         burned_ueur: $r.burned_ueur, balances_ueur: $r.balances_ueur,
         escrow_ueur: $r.escrow_ueur, fees_ueur: $r.fees_ueur,
         deals: [$r.deals[] | . + {proof_verified: ($proofs[.id] == true)}],
         killed_validator_recovered: $recovered}' >"$dir/summary.json"
    check_summary
}

check_summary() {
    local deals='.deals|map({key: .state, value: 1})|group_by(.key)|map("\(.[0].key) \(length)")|join(", ")'
    holds() { jq -e "$1" "$dir/summary.json" >/dev/null; }
    promise "the audit node's state root equals the validators'" \
        holds '.state_root == .audit_state_root and (.state_root|length) == 64'
    promise "minted = balances + escrow + fees + burned" \
        holds '(.minted_ueur|tonumber) == ([.balances_ueur, .escrow_ueur, .fees_ueur, .burned_ueur]|map(tonumber)|add)'
    promise "three deals settled, one in part, one refunded: $(jq -r "$deals" "$dir/summary.json")" \
        holds '[.deals[].state]|sort == ["partial","refunded","settled","settled","settled"]'
    promise "who delivered 60 % was paid and refunded" \
        holds '.deals[]|select(.state=="partial")|(.paid_ueur|tonumber) > 0 and (.refunded_ueur|tonumber) > 0'
    promise "every deal's final state is proven from the genesis file" holds 'all(.deals[]; .proof_verified)'
    promise "the killed validator recovered" holds .killed_validator_recovered
    promise "the validators earned fees" \
        test "$(wallet agg-b account show operator | field .balance_ueur)" -gt 0
}
