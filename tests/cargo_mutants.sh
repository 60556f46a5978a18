#!/usr/bin/env bash
# Has cargo-mutants change the library in one place at a time, and demands that a test fails each time:
#
#     tests/cargo_mutants.sh SECONDS [FOLDER]...
#
# A FOLDER is one of `src`, or `src` itself for the files that are in none; without one, all are tried, in the order of
# the table below. After SECONDS no further mutant is begun; 0 only prints the results that are there.
#
# Each mutant appends a line to a log: digests, result, seconds, folder, name. Started again, the script tries what is
# left. A mutant that was caught counts until its file changes, apart from the tests at its end; one that survived, until
# anything changes in `src` or `tests`. One that runs into the time limit is tried once more, and is caught if it does so
# again.
#
# A survivor is killed by a test of behaviour, or stands in tests/mutants/accepted.txt with a reason. The script fails for
# one that does not, and for a name there that is no mutant any more.
#
# From the environment: CARGO_MUTANTS_LOG (target/cargo-mutants.log), CARGO_MUTANTS_DRAWN, how many are tried of the
# folders that are not tried as a whole (40), and CARGO_MUTANTS_SEED, which draws them (0).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}" CARGO_INCREMENTAL=1 RUST_BACKTRACE=0

# The one test of the core that takes seconds.
readonly COSTS=the_work_is_in_proportion_to_the_number_of_shards

# Folder, how many, and the tests that judge it as arguments of `cargo test`: quick ones; then, for what those let pass,
# slower ones. The quick ones have few seeds and schedules, the slower ones many.
readonly TABLE="
core     all   --lib -- core:: simulation:: --skip $COSTS | --lib -- $COSTS simulation::nothing_is_lost
budget   all   --lib -- budget:: schedules::budget        | --lib --test consumer -- schedules:: budget:: kpl::
control  some  --lib -- --skip $COSTS                     | --test consumer --test stops
delivery some  --lib -- --skip $COSTS                     | --test consumer
engine   some  --lib -- --skip $COSTS                     | --test consumer --test stops
sync     some  --lib -- --skip $COSTS                     | --test consumer --test stops
src      some  --lib -- --skip $COSTS                     | --test consumer --test page
stream   some  --lib -- --skip $COSTS                     | --test consumer
store    some  --lib -- --skip $COSTS                     | --test consumer -- stores:: stored:: corners::
client   some  --lib -- --skip $COSTS                     | --test aws --test consumer
aws      some  --lib -- --skip $COSTS                     | --test aws
record   some  --lib -- --skip $COSTS                     | --test consumer -- kpl:: batches:: budget::
observe  some  --lib -- --skip $COSTS                     | --test metrics --test consumer
model    some  --lib -- --skip $COSTS                     | --test consumer
error    some  --lib -- --skip $COSTS                     | --test consumer --test page
"
readonly QUICK="SIMULATION_SEEDS=50 SCHEDULES=20" SLOW="SIMULATION_SEEDS=1000 SCHEDULES=1000"

readonly LOG=${CARGO_MUTANTS_LOG:-$CARGO_TARGET_DIR/cargo-mutants.log}
readonly DRAWN=${CARGO_MUTANTS_DRAWN:-40} SEED=${CARGO_MUTANTS_SEED:-0}
readonly ACCEPTED=tests/mutants/accepted.txt
readonly WORK="$CARGO_TARGET_DIR/cargo-mutants" TREE="$CARGO_TARGET_DIR/cargo-mutants/tree"

declare -A limits # of the tests that have run without a mutant: seconds

main() {
    [[ ${1-} =~ ^[0-9]+$ ]] || fail "usage: tests/cargo_mutants.sh SECONDS [FOLDER]..."
    local budget=$1 tool all folder folders
    shift
    mkdir -p "$WORK" "$(dirname "$LOG")"
    touch "$LOG"
    tool=$(tool)
    copy
    list "$tool" >"$WORK/list"
    mapfile -t folders < <(folders "$@")
    all=$(everything)
    for folder in "${folders[@]}"; do choose "$folder"; done >"$WORK/chosen"
    run_all "$tool" "$all" "$budget"
    results "$all" >"$WORK/results"
    table "${folders[@]}"
    judge
}

# It is installed once, below the target directory, if it is not there.
tool() {
    local tool
    tool=$(command -v cargo-mutants || true)
    if [[ -z $tool ]]; then
        tool=$CARGO_TARGET_DIR/tools/bin/cargo-mutants
        [[ -x $tool ]] ||
            cargo install --locked --quiet cargo-mutants --version '^27.1' --root "$CARGO_TARGET_DIR/tools" >&2
    fi
    printf '%s\n' "$tool"
}

# What is mutated: a copy, whose build is kept. It has another version, or Cargo would take its build for the project's
# own; no dependency on itself, so that the library is built once; and no lines of code for a debugger.
copy() {
    rm -rf "${TREE:?}"/{src,tests,examples,benches,.cargo}
    mkdir -p "$TREE"
    git ls-files --cached --others --exclude-standard -z | (xargs -0 ls -d 2>/dev/null || true) |
        tar --files-from=- --create | tar --extract --touch --directory "$TREE"
    sed --in-place '/^kinesis-consumer = { path/d; 0,/^version = .*/s//version = "0.0.0-mutant"/' "$TREE/Cargo.toml"
    printf '\n[profile.dev.package.kinesis-consumer]\ndebug = 0\n' >>"$TREE/Cargo.toml"
}

# Lines of folder, digest of the file without the tests at its end, name with place, and name without; and which of its
# file's mutants it is, as a shard of cargo-mutants. Of several mutants of one name in one file, the second has " #2".
list() {
    local tool=$1 file digest
    (cd "$TREE" && "$tool" mutants --list --colors never) >"$WORK/names"
    cut -d : -f 1 "$WORK/names" | sort -u | while read -r file; do
        digest=$(awk '/^mod .*\{$/ && last == "#[cfg(test)]" { exit } { print last; last = $0 } END { print last }' \
            "$TREE/$file" | cksum | cut -d ' ' -f 1)
        printf '%s\t%s\n' "$file" "$digest"
    done >"$WORK/digests"
    awk -F '\t' '
        FILENAME == ARGV[1] { digest[$1] = $2; next }
        { file = substr($0, 1, index($0, ":") - 1) }
        pass == 1 { count[file]++; next }
        {
            place = name = $0
            sub(/:[0-9]+:[0-9]+:/, ":", name)
            if (++seen[name] > 1) name = name " #" seen[name]
            folder = split(file, part, "/") > 2 ? part[2] : "src"
            printf "%s\t%s\t%s\t%s\t%d/%d\n", folder, digest[file], place, name, number[file]++, count[file]
        }' "$WORK/digests" pass=1 "$WORK/names" pass=2 "$WORK/names"
}

# Those that are asked for, or all. None may be without a row in the table.
folders() {
    local known folder
    known=$(awk 'NF { print $1 }' <<<"$TABLE")
    for folder in "$@" $(cut -f 1 "$WORK/list" | sort -u); do
        grep -qxF "$folder" <<<"$known" || fail "the table has no folder $folder"
    done
    if (($#)); then printf '%s\n' "$@"; else printf '%s\n' "$known"; fi
}

# The mutants of a folder that are tried, in an order that the seed picks: a log that is cut short is a fair sample. The
# place of one in this order does not depend on the others.
choose() {
    local folder=$1 most=$DRAWN
    [[ $(row "$folder" | awk '{ print $2 }') == some ]] || most=$(wc -l <"$WORK/list")
    awk -F '\t' -v folder="$folder" '$1 == folder { print $4 "\t" $0 }' "$WORK/list" |
        sort --random-sort --random-source=<(yes "seed $SEED") --field-separator=$'\t' --key=1,1 | cut -f 2- |
        awk -v most="$most" 'NR <= most'
}

row() {
    awk -v folder="$1" '$1 == folder' <<<"$TABLE"
}

# A digest of all that can make a test fail.
everything() {
    git ls-files --cached --others --exclude-standard -z -- src tests ':!tests/mutants' ':!*.md' |
        (xargs -0 cat 2>/dev/null || true) | cksum | cut -d ' ' -f 1
}

# Each of those that were chosen, with its result: the last line of the log that still counts, or `left`; a survivor is
# `accepted` if it has a reason.
results() {
    awk -F '\t' -v all="$1" '
        FILENAME == ARGV[1] { if ($0 !~ /^(#|$| )/) reason[$0]; next }
        FILENAME == ARGV[2] {
            if ($3 != "survived" || $2 == all || ($6 in reason)) result[$1 "\t" $6] = $3
            next
        }
        {
            key = $2 "\t" $4
            found = key in result ? result[key] : "left"
            if (found == "survived" && $4 in reason) found = "accepted"
            print found "\t" $0
        }' "$ACCEPTED" "$LOG" "$WORK/chosen"
}

run_all() {
    local tool=$1 all=$2 budget=$3 folder digest place name shard began outcome
    results "$all" | awk -F '\t' '$1 == "left"' | cut -f 2- >"$WORK/left"
    # Not on the standard input, which tests may read.
    while IFS=$'\t' read -r folder digest place name shard <&3; do
        ((SECONDS < budget)) || return 0
        began=$SECONDS
        try_all "$tool" "$folder" "$place" "$shard"
        printf '%s\t%s\t%s\t%d\t%s\t%s\n' "$digest" "$all" "$outcome" $((SECONDS - began)) "$folder" "$name" >>"$LOG"
        printf '%-8s %4d s  %s\n' "$outcome" $((SECONDS - began)) "$name"
    done 3<"$WORK/left"
}

# Sets `outcome`, by the quick tests, and by the slower ones if those let it pass.
try_all() {
    local tool=$1 folder=$2 place=$3 shard=$4 tests
    tests=$(row "$folder" | sed -E 's/^ *[^ ]+ +[^ ]+ +//')
    try "$tool" "$place" "$shard" "$QUICK" "${tests%%|*}"
    [[ $outcome != survived ]] || try "$tool" "$place" "$shard" "$SLOW" "${tests#*|}"
}

# Sets `outcome`: caught, survived, timeout or unviable.
try() {
    local seeds=$4 tests=$5
    baseline "$seeds" "$tests"
    try_once "$@"
    [[ $outcome != timeout ]] || try_once "$@"
}

# How long the tests may take: what they take without a mutant, four times, and 20 s. They must pass.
baseline() {
    local seeds=$1 tests=$2 build began
    [[ -z ${limits[$tests]-} ]] || return 0
    build=${tests%% -- *}
    # shellcheck disable=SC2086 # words of the table
    (cd "$TREE" && touch src/lib.rs && cargo test --quiet --features full --no-run $build) >"$LOG.baseline" 2>&1 ||
        fail "the tests are not built without a mutant: see $LOG.baseline"
    began=$SECONDS
    # shellcheck disable=SC2086
    (cd "$TREE" && env $seeds cargo test --quiet --features full $tests) >"$LOG.baseline" 2>&1 </dev/null ||
        fail "the tests fail without a mutant: see $LOG.baseline"
    limits[$tests]=$((20 + 4 * (SECONDS - began)))
}

# long: the arguments of cargo-mutants, and what its status means
try_once() {
    local tool=$1 place=$2 shard=$3 seeds=$4 tests=$5 status=0 word arguments=() filters=""
    [[ $tests != *" -- "* ]] || filters=${tests#* -- }
    for word in ${tests%% -- *}; do arguments+=("--cargo-arg=$word"); done
    # shellcheck disable=SC2086 # words of the table
    (cd "$TREE" && env $seeds "$tool" mutants --in-place --baseline skip --output "$WORK" --colors never \
        --timeout "${limits[$tests]}" --build-timeout 1200 --features full "${arguments[@]}" \
        --file "${place%%:*}" --shard "$shard" -- -- --test-threads=2 $filters) >"$LOG.last" 2>&1 </dev/null || status=$?
    case $status in
        0) if [[ -s $WORK/mutants.out/caught.txt ]]; then outcome=caught; else outcome=unviable; fi ;;
        2) outcome=survived ;;
        3) outcome=timeout ;;
        *) fail "cargo-mutants ended with status $status: see $LOG.last" ;;
    esac
    [[ $(<"$WORK/mutants.out/$(file_of "$outcome").txt") == "$place" ]] || fail "it was not $place: see $LOG.last"
}

# Where cargo-mutants lists those of an outcome.
file_of() {
    if [[ $1 == survived ]]; then printf 'missed\n'; else printf '%s\n' "$1"; fi
}

table() {
    local folder
    printf '\n%-9s %6s %6s %7s %9s %9s %8s %9s %6s\n' \
        folder there tried caught 'timed out' accepted survived unviable share
    for folder in "$@"; do
        awk -F '\t' -v folder="$folder" -v there="$(cut -f 1 "$WORK/list" | grep -cx "$folder")" '
            $2 == folder { count[$1]++ }
            END {
                caught = count["caught"] + count["timeout"]
                viable = caught + count["accepted"] + count["survived"]
                share = viable ? sprintf("%.1f %%", 100 * caught / viable) : "-"
                printf "%-9s %6d %6d %7d %9d %9d %8d %9d %8s", folder, there, viable + count["unviable"],
                    count["caught"], count["timeout"], count["accepted"], count["survived"], count["unviable"], share
                if (count["left"]) printf "  %d left", count["left"]
                print ""
            }' "$WORK/results"
    done
}

# An error if there is a survivor without a reason, or a reason without a mutant.
judge() {
    local survivors gone
    survivors=$(awk -F '\t' '$1 == "survived" { print "  " $5 }' "$WORK/results")
    gone=$(grep -vE '^(#|$| )' "$ACCEPTED" | grep -vxFf <(cut -f 4 "$WORK/list") || true)
    [[ -z $survivors ]] || printf '\nsurvived, without a reason in %s:\n%s\n' "$ACCEPTED" "$survivors"
    [[ -z $gone ]] || printf '\nin %s, but no mutant any more:\n%s\n' "$ACCEPTED" "$gone"
    [[ -z $survivors && -z $gone ]] || exit 1
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

main "$@"
