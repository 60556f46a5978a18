#!/usr/bin/env bash
# Runs test binaries again and again beside busy loops, since a test must not need a machine of its own:
#
#     tests/stress.sh RUNS [BINARY|timing|rest|all]...
#
# All is built first, so that only the tests run beside the loops. Each run appends a line to a log: commit,
# binary, number of the run, `ok` or `failed`, seconds, and what failed. Started again, it goes on where it was
# stopped: what the log has of this commit and this many loops counts. It ends with a table of binaries and
# failures, and fails if there was one.
#
# From the environment: STRESS_LOG (target/stress.log), STRESS_LOOPS (8), and STRESS_TIME, the seconds
# that one run may take (1200). What a run that failed has printed is kept beside the log.
set -euo pipefail
cd "$(dirname "$0")/.."

# Those whose tests measure a time, or wait a while for what must not come, or need a state that passes:
#
# alerts              rates and ages over seconds that stand for minutes
# aws_client          deadlines of calls, and how soon a stop ends them
# bad_input           how soon a stop ends hundreds of threads; patiences that end
# bad_network         patiences that end, and deadlines of calls
# batches             queues that are to fill up
# budget              a slow reader; a channel and a budget that are to fill up
# conformance         stored ends within a second, iterators that expire, servers that count in seconds
# corners             iterators that expire while a shard waits; outages and patiences that end
# crash               kills at a random time
# credentials         a process that is killed at its time limit
# credentials_renewal keys that expire
# doors               drains with a limit; queues that are to fill up
# drains              limits that pass
# ends                threads that are to be blocked when the end comes
# exhaustion          calls that hang until their deadline
# faults              deadlines, backoffs, and the service's limits for a second
# listeners           ends that are to come
# metrics             gauges that grow with time
# notices             stalls, which are told after a time
# on_error            retries, which come after a time
# progress            states that pass, and ages
# stops               how soon each stop is done, and threads that are to be asleep
# tail                a table that is drawn again as time passes; rates
# workers             several workers that are all to get something
readonly TIMING="alerts aws_client bad_input bad_network batches budget conformance corners crash credentials
credentials_renewal doors drains ends exhaustion faults listeners metrics notices on_error progress stops tail workers"

readonly TARGET=${CARGO_TARGET_DIR:-$PWD/target}
readonly LOG=${STRESS_LOG:-$TARGET/stress.log} LOOPS=${STRESS_LOOPS:-8} TIME=${STRESS_TIME:-1200}

loops=() # the ids of the busy loops

main() {
    [[ ${1-} =~ ^[1-9][0-9]*$ ]] || fail "usage: tests/stress.sh RUNS [BINARY|timing|rest|all]..."
    local runs=$1 built chosen commit
    shift
    built=$(build)
    chosen=$(choose "$built" "${@:-timing}")
    commit=$(commit)
    mkdir -p "$(dirname "$LOG")"
    touch "$LOG"
    trap stop_loops EXIT
    trap 'exit 130' INT TERM
    start_loops
    run_all "$runs" "$commit" "$chosen"
    stop_loops
    summary "$commit" "$chosen"
}

# Lines of name and path, for every binary that holds tests.
build() {
    local messages
    messages=$(cargo test --locked --all-features --no-run --message-format=json)
    sed -n 's/.*"kind":\["\([a-z-]*\)".*"name":"\([^"]*\)".*"test":true},"features":.*"executable":"\([^"]*\)".*/\1 \2 \3/p' \
        <<<"$messages" | while read -r kind name path; do
        [[ $kind == lib ]] && name=lib
        printf '%s %s\n' "$name" "$path"
    done | sort
}

# The lines of those that are asked for. A name that is none is an error, lest nothing is run in silence.
choose() {
    local built=$1 names name is_timing choice
    shift
    names=$(cut -d ' ' -f 1 <<<"$built")
    for choice; do
        [[ $choice =~ ^(all|timing|rest)$ ]] || grep -qxF "$choice" <<<"$names" || fail "no test binary is named $choice"
    done
    for name in $TIMING; do
        grep -qxF "$name" <<<"$names" || fail "TIMING names $name, which is no test binary"
    done
    while read -r name path; do
        is_timing=rest
        [[ " ${TIMING//$'\n'/ } " != *" $name "* ]] || is_timing=timing
        for choice; do
            if [[ $choice == "$name" || $choice == "$is_timing" || $choice == all ]]; then
                printf '%s %s\n' "$name" "$path"
                break
            fi
        done
    done <<<"$built"
}

# What is tried: the commit, and a digest of what differs from it.
commit() {
    local commit changes
    commit=$(git rev-parse --short HEAD 2>/dev/null) || commit=none
    changes=$(git diff HEAD 2>/dev/null) || changes=""
    [[ -z $changes ]] || commit+="+$(cksum <<<"$changes" | cut -d ' ' -f 1)"
    printf '%s/%s\n' "$commit" "$LOOPS"
}

# Each ends by itself when this script is gone, however that went.
start_loops() {
    local number
    for ((number = 0; number < LOOPS; number++)); do
        (
            trap - EXIT
            while kill -0 $$ 2>/dev/null; do
                for ((turn = 0; turn < 500000; turn++)); do :; done
            done
        ) &
        loops+=($!)
    done
}

stop_loops() {
    [[ ${#loops[@]} == 0 ]] || kill "${loops[@]}" 2>/dev/null || true
    # So that the shell does not tell of each.
    wait "${loops[@]}" 2>/dev/null || true
    loops=()
}

# In turns, so that a sitting that is cut short has tried all of them.
run_all() {
    local runs=$1 commit=$2 chosen=$3 run name path
    for ((run = 1; run <= runs; run++)); do
        while read -r name path; do
            if (($(logged "$commit" "$name" | wc -l) < run)); then
                run_one "$commit" "$name" "$path" "$run"
            fi
        done <<<"$chosen"
    done
}

# The lines of the log about a binary of this commit.
logged() {
    awk -v commit="$1" -v name="$2" '$1 == commit && $2 == name' "$LOG"
}

run_one() {
    local commit=$1 name=$2 path=$3 run=$4 output began=$SECONDS result=ok tests=""
    output=$LOG.$name.$run
    # As Cargo starts it: in the directory of the package, and with its name.
    CARGO_MANIFEST_DIR=$PWD timeout --kill-after=10 "$TIME" "$path" >"$output" 2>&1 </dev/null || result=failed
    if [[ $result == failed ]]; then
        tests=$(failed_tests "$output")
        tests=${tests:-"(no test is named: see $output)"}
    else
        rm "$output"
    fi
    printf '%s %s %d %s %d %s\n' "$commit" "$name" "$run" "$result" $((SECONDS - began)) "$tests" | tee -a "$LOG"
}

# The names below the last "failures:".
failed_tests() {
    awk '/^failures:$/ { names = ""; next } /^    [a-z_0-9:]+$/ { names = names (names == "" ? "" : ",") $1 }
        END { print names }' "$1"
}

# A table, and an error if there was a failure.
summary() {
    local commit=$1 chosen=$2 name failures=0
    printf '\n%-20s %5s %7s %9s  %s\n' "$commit" runs failed 'longest s' ''
    while read -r name _; do
        logged "$commit" "$name" | awk -v name="$name" '{ runs++; if ($5 > longest) longest = $5 }
            $4 == "failed" { failed++; tests = tests " " $6 }
            END { printf "%-20s %5d %7d %9d %s\n", name, runs, failed, longest, tests }'
        ((failures += $(logged "$commit" "$name" | grep -c ' failed ' || true))) || true
    done <<<"$chosen"
    ((failures == 0)) || fail "$failures runs failed"
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

main "$@"
