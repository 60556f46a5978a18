#!/usr/bin/env bash
# Applies each deliberate bug of tests/mutants to a scratch copy, and demands that a test catches it: the simulation of one
# consumer, or the tests that the head of the patch names in a line "Caught by: FILTER".
#
#   tests/mutants.sh               all bugs
#   tests/mutants.sh NAME...       these bugs
#   tests/mutants.sh --some N      N of them, chosen by the hash of HEAD
#
# Variables: JUDGE is a filter of tests that are to catch all of them instead, for example simulation::fleet, and JUDGE_SECONDS
# is how long these run at most (300). SIMULATION_SEEDS is the number of seeds for each bug (1000), SCHEDULES the number of
# schedules of each scenario (5000). After SCHEDULE_STEPS steps (2000000) no further schedule of a scenario begins.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
export SIMULATION_SEEDS="${SIMULATION_SEEDS:-1000}" SCHEDULES="${SCHEDULES:-5000}"
export SCHEDULE_STEPS="${SCHEDULE_STEPS:-2000000}" RUST_BACKTRACE=0
scratch="$CARGO_TARGET_DIR/mutants"

# Only files that differ are written, so that little is built again.
copy() {
    mkdir -p "$scratch"
    git ls-files --cached --others --exclude-standard -z -- Cargo.toml Cargo.lock src tests examples benches README.md |
        tar --null --files-from=- --create | tar --extract --directory "$scratch"
    # Another version, or Cargo would take its build for the project's own.
    sed --in-place '0,/^version = .*/s//version = "0.0.0-mutant"/' "$scratch/Cargo.toml"
}

# The names on stdin that come first when sorted by a hash of them and of the commit.
some() {
    local head name
    head=$(git rev-parse HEAD)
    while read -r name; do
        printf '%s %s\n' "$(sha256sum <<<"$head $name")" "$name"
    done | sort | awk -v most="$1" 'NR <= most { print $NF }'
}

# The tests of the scratch copy, for so many seconds; with aggregates, which need their feature.
tests() {
    (cd "$scratch" && timeout "$1" cargo test --quiet --lib --features kpl "${@:2}" > "$log" 2>&1)
}

# By what it is caught; nothing if it is not.
catch() {
    local filter
    filter=${JUDGE:-$(sed -n 's/^Caught by: //p; /^diff /q' "tests/mutants/$1.patch")}
    if [[ -z $filter ]]; then
        tests 300 simulation::nothing_is_lost -- --nocapture || true
        sed -n '/SIMULATION_SEED=/ { s/.*SIMULATION_SEED=\([0-9]*\).*/seed \1/p; q }' "$log"
    elif ! tests "${JUDGE_SECONDS:-300}" "$filter" -- --nocapture; then
        sed -n '/SIMULATION_SEED=/ { s/.*SIMULATION_SEED=\([0-9]*\).*--lib \([^ ]*\).*/seed \1 of \2/p; q }
            /SCHEDULE_SEED=/ { s/.*SCHEDULE_SEED=\([0-9]*\).*--lib \(.*\)/schedule \1 of \2/p; q }
            /^test result: FAILED/ { s/.*/'"$filter"'/p; q }' "$log"
    fi
}

names() {
    local patch
    for patch in tests/mutants/*.patch; do basename "$patch" .patch; done
}

case ${1:-} in
    "") mapfile -t names < <(names) ;;
    --some) mapfile -t names < <(names | some "$2") ;;
    *) names=("$@") ;;
esac

# What the project does not have any more.
rm -rf "$scratch"/{src,tests,examples,benches}
survived=0
for name in "${names[@]}"; do
    copy
    patch --directory "$scratch" --strip 1 --silent --no-backup-if-mismatch < "tests/mutants/$name.patch" ||
        { echo "$name: the patch does not apply any more"; exit 1; }
    log="$scratch/$name.log"
    by=""
    # A bug that does not compile would look like one that is caught.
    if tests 0 --no-run; then by=$(catch "$name"); fi
    if [[ -n $by ]]; then
        echo "caught    $name, by $by"
    else
        tail -n 5 "$log"
        ! grep -q '^running 0 tests' "$log" || echo "$name: no test has the name after \"Caught by\""
        echo "SURVIVED  $name"
        survived=$((survived + 1))
    fi
done
echo "${#names[@]} deliberate bugs, $survived survived $SIMULATION_SEEDS seeds, or their tests, in $SECONDS s"
[ "$survived" -eq 0 ]
