#!/usr/bin/env bash
# Applies each deliberate bug of tests/mutants to a scratch copy and demands that the simulation
# catches it. Bugs to try may be named; SIMULATION_SEEDS is how many seeds each gets (1000).
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$root/target}"
export SIMULATION_SEEDS="${SIMULATION_SEEDS:-1000}" RUST_BACKTRACE=0
scratch="$CARGO_TARGET_DIR/mutants"

# Only files that differ are written, so that little is built again.
copy() {
    mkdir -p "$scratch"
    git ls-files --cached --others --exclude-standard -z -- Cargo.toml Cargo.lock src tests examples benches README.md |
        tar --null --files-from=- --create | tar --extract --directory "$scratch"
    # Another version, or Cargo would take its build for the project's own.
    sed --in-place '0,/^version = .*/s//version = "0.0.0-mutant"/' "$scratch/Cargo.toml"
}

names=("$@")
if [ ${#names[@]} -eq 0 ]; then
    for patch in tests/mutants/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

# What the project does not have any more.
rm -rf "$scratch"/{src,tests,examples,benches}
survived=0
for name in "${names[@]}"; do
    copy
    patch --directory "$scratch" --strip 1 --silent --no-backup-if-mismatch < "tests/mutants/$name.patch" ||
        { echo "$name: the patch does not apply any more"; exit 1; }
    log="$scratch/$name.log"
    # A bug that does not compile would look like one that is caught.
    (cd "$scratch" && cargo test --quiet --lib --no-run > "$log" 2>&1) ||
        { cat "$log"; echo "$name: does not compile"; exit 1; }
    (cd "$scratch" && timeout 300 cargo test --quiet --lib simulation:: -- --nocapture > "$log" 2>&1) || true
    if seed=$(grep --only-matching --max-count 1 'SIMULATION_SEED=[0-9]*' "$log"); then
        echo "caught    $name, by ${seed/SIMULATION_SEED=/seed }"
    else
        tail -n 5 "$log"
        echo "SURVIVED  $name"
        survived=$((survived + 1))
    fi
done
echo "${#names[@]} deliberate bugs, $survived survived $SIMULATION_SEEDS seeds"
[ "$survived" -eq 0 ]
