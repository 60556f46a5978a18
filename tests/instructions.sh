#!/usr/bin/env bash
# Counts the instructions of a fixed read over the in-memory Kinesis, under callgrind, and compares them with
# benches/instructions.txt: more than 1 % above that is a failure. Another rustc makes other code, so that the
# count is then only told. `tests/instructions.sh --write` puts the count, and rustc's version, into the file.
#
# The same binary differs by some 0.01 % from run to run.
set -euo pipefail
cd "$(dirname "$0")/.."
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS # flags of one machine would count

readonly KEPT=benches/instructions.txt

main() {
    local binary read fill count kept rustc
    command -v valgrind >/dev/null || install
    rustc=$(rustc --version)
    binary=$(build)
    read=$(counted "$binary" read)
    fill=$(counted "$binary" fill)
    count=$((read - fill))
    if [[ ${1-} == --write ]]; then
        printf 'count %d\nrustc %s\n' "$count" "$rustc" >"$KEPT"
    fi
    kept=$(sed -n 's/^count //p' "$KEPT")
    [[ $kept =~ ^[0-9]+$ ]] || fail "$KEPT has no count"
    awk -v count="$count" -v kept="$kept" 'BEGIN {
        printf "%d instructions, %+.2f %% of the %d that are kept\n", count, (count / kept - 1) * 100, kept }'
    if [[ $rustc != "$(sed -n 's/^rustc //p' "$KEPT")" ]]; then
        printf 'NOT COMPARED: this is %s, and the count was made with %s\n' "$rustc" "$(sed -n 's/^rustc //p' "$KEPT")"
    elif ((count * 100 > kept * 101)); then
        fail "more than 1 % above the count that is kept: find the cause, or say why and run it with --write"
    fi
}

build() {
    local messages binary
    messages=$(cargo bench --quiet --locked --features full --bench instructions --no-run --message-format=json)
    binary=$(sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' <<<"$messages")
    [[ -x $binary ]] || fail "cargo told of no binary"
    printf '%s\n' "$binary"
}

# What valgrind counts of the whole process. Its threads take turns, whatever else runs on the machine.
counted() {
    local said
    said=$(valgrind --tool=callgrind --fair-sched=yes --callgrind-out-file=/dev/null "$@" 2>&1) ||
        fail "valgrind $*: $said"
    said=$(sed -n 's/^==[0-9]*== Collected : \([0-9]*\)$/\1/p' <<<"$said")
    [[ -n $said ]] || fail "valgrind has told no count"
    printf '%s\n' "$said"
}

install() {
    apt-get update --quiet --quiet >&2
    apt-get install --yes --quiet --quiet --no-install-recommends valgrind libc6-dbg >&2
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

main "$@"
