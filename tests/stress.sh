#!/usr/bin/env bash
# Runs tests again and again beside busy loops, since a test must not need a machine of its own:
#
#     tests/stress.sh RUNS [NAME|timing|rest|all]...
#
# A NAME is a binary of tests, `consumer`, all of whose tests then run in one process, as Cargo runs them; or a subject
# of one, `consumer::budget`, which then has a process for itself. `timing` are the subjects below, each by itself,
# `rest` the others, and `all` both.
#
# All is built first, so that only the tests run beside the loops. Each run appends a line to a log: commit,
# name, number of the run, `ok` or `failed`, seconds, and what failed. Started again, it goes on where it was
# stopped: what the log has of this commit and this many loops counts. It ends with a table of names and
# failures, and fails if there was one.
#
# From the environment: STRESS_LOG (target/stress.log), STRESS_LOOPS (8), STRESS_JOBS, how many run at the same time (1,
# which is the easiest for them), and STRESS_TIME, the seconds that one run may take (1200). What a run that failed has
# printed is kept beside the log. If the script is ended, the tests in progress run to their ends.
set -euo pipefail
cd "$(dirname "$0")/.."

# Those whose tests measure a time, or wait a while for what must not come, or need a state that passes:
#
# aws::bad_network      patiences that end, and deadlines of calls
# aws::client           deadlines of calls, and how soon a stop ends them
# aws::credentials      a process that is killed at its time limit
# aws::renewal          keys that expire
# consumer::bad_input   how soon a stop ends hundreds of threads; patiences that end
# consumer::batches     queues that are to fill up
# consumer::budget      a slow reader; a channel and a budget that are to fill up
# consumer::corners     iterators that expire while a shard waits; outages and patiences that end
# consumer::doors       drains with a limit; queues that are to fill up
# consumer::drains      limits that pass
# consumer::ends        threads that are to be blocked when the end comes
# consumer::listeners   ends that are to come
# consumer::notices     stalls, which are told after a time
# consumer::on_error    retries, which come after a time
# consumer::progress    states that pass, and ages
# consumer::workers     several workers that are all to get something
# dynamo::faults        deadlines of calls; this and the next one need tests/servers/run.sh
# dynamo::shared        leases that are shared as time passes
# fleet::doors          leases that are shared and taken as time passes; so do the others of `fleet`
# metrics::alerts       rates and ages over seconds that stand for minutes
# metrics::exported     gauges that grow with time
# process::crash        kills at a random time
# process::exhaustion   calls that hang until their deadline
# process::tail         a table that is drawn again as time passes; rates
# service::conformance  stored ends within a second, iterators that expire, servers that count in seconds
# service::faults       deadlines, backoffs, and the service's limits for a second
# stops                 how soon each stop is done, and threads that are to be asleep
readonly TIMING="aws::bad_network aws::client aws::credentials aws::renewal consumer::bad_input consumer::batches
consumer::budget consumer::corners consumer::doors consumer::drains consumer::ends consumer::listeners
consumer::notices consumer::on_error consumer::progress consumer::workers dynamo::faults dynamo::shared fleet::doors
fleet::ends fleet::failures fleet::late fleet::lineage fleet::members fleet::positions fleet::rows metrics::alerts
metrics::exported process::crash process::exhaustion process::tail service::conformance service::faults stops"

readonly TARGET=${CARGO_TARGET_DIR:-$PWD/target}
readonly LOG=${STRESS_LOG:-$TARGET/stress.log} LOOPS=${STRESS_LOOPS:-8} JOBS=${STRESS_JOBS:-1} TIME=${STRESS_TIME:-1200}

loops=() # the ids of the busy loops
lanes=() # the ids of what runs tests

main() {
    [[ ${1-} =~ ^[1-9][0-9]*$ ]] || fail "usage: tests/stress.sh RUNS [NAME|timing|rest|all]..."
    local runs=$1 built known chosen commit
    shift
    built=$(build)
    known=$(subjects <<<"$built")
    chosen=$(choose "$known" "${@:-timing}")
    commit=$(commit)
    mkdir -p "$(dirname "$LOG")"
    touch "$LOG"
    trap 'stop "${lanes[@]}" "${loops[@]}"' EXIT
    trap 'exit 130' INT TERM
    start_loops
    run_all "$runs" "$commit" "$chosen"
    stop "${loops[@]}"
    loops=()
    summary "$commit" "$chosen"
}

# Lines of name and path, for every binary that holds tests.
build() {
    local messages
    messages=$(cargo test --locked --features full --no-run --message-format=json)
    sed -n 's/.*"kind":\["\([a-z-]*\)".*"name":"\([^"]*\)".*"test":true},"features":.*"executable":"\([^"]*\)".*/\1 \2 \3/p' \
        <<<"$messages" | while read -r kind name path; do
        [[ $kind == lib ]] && name=lib
        printf '%s %s\n' "$name" "$path"
    done | sort
}

# From lines of name and path, lines of name, path and kind: each binary, and its subjects, which are its modules. The
# kind `whole` is for a binary whose tests are all in subjects, the kind `unit` for the others and for those subjects:
# the units hold each test once. The kind `part` is for modules of a unit.
subjects() {
    local name path
    while read -r name path; do
        "$path" --list --format terse </dev/null | awk -v name="$name" -v path="$path" '
            sub(/: test$/, "") { if (split($0, module, "::") > 1) found[module[1]]; else unit = 1 }
            END {
                unit = unit || name == "lib"
                print name, path, unit ? "unit" : "whole"
                for (it in found) print name "::" it, path, unit ? "part" : "unit"
            }' | sort
    done
}

# The names and paths of those that are asked for. A name that is none is an error, lest nothing is run in silence.
choose() {
    local known=$1 names name path kind is_timing choice
    shift
    names=$(cut -d ' ' -f 1 <<<"$known")
    for choice; do
        [[ $choice =~ ^(all|timing|rest)$ ]] || grep -qxF "$choice" <<<"$names" || fail "no tests are named $choice"
    done
    for name in $TIMING; do
        grep -qxF "$name" <<<"$names" || fail "TIMING names $name, which has no tests"
    done
    while read -r name path kind; do
        is_timing=rest
        [[ " ${TIMING//$'\n'/ } " != *" $name "* ]] || is_timing=timing
        for choice; do
            if [[ $choice == "$name" || ($kind == unit && ($choice == "$is_timing" || $choice == all)) ]]; then
                printf '%s %s\n' "$name" "$path"
                break
            fi
        done
    done <<<"$known"
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

stop() {
    (($#)) || return 0
    kill "$@" 2>/dev/null || true
    # So that the shell does not tell of each.
    wait "$@" 2>/dev/null || true
}

# Each lane has its own share of the names, so that no two runs of one name meet: they use the same directories.
run_all() {
    local runs=$1 commit=$2 chosen=$3 lane
    for ((lane = 0; lane < JOBS; lane++)); do
        run_lane "$runs" "$commit" "$(awk -v jobs="$JOBS" -v lane="$lane" 'NR % jobs == lane' <<<"$chosen")" &
        lanes+=($!)
    done
    wait "${lanes[@]}"
    lanes=()
}

# In turns, so that a sitting that is cut short has tried all of them.
run_lane() {
    local runs=$1 commit=$2 chosen=$3 run name path
    trap - EXIT
    for ((run = 1; run <= runs; run++)); do
        while read -r name path; do
            if [[ -n $name ]] && (($(logged "$commit" "$name" | wc -l) < run)); then
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
    local commit=$1 name=$2 path=$3 run=$4 output began=$SECONDS result=ok tests="" filter=()
    output=$LOG.${name/::/.}.$run
    if [[ $name == *::* ]]; then
        # By their whole names: a filter would find its text in the middle of other names too.
        mapfile -t filter < <("$path" --list --format terse </dev/null | sed -n "s/^\(${name#*::}::.*\): test$/\1/p")
        filter+=(--exact)
    fi
    # As Cargo starts it: in the directory of the package, and with its name.
    CARGO_MANIFEST_DIR=$PWD timeout --kill-after=10 "$TIME" "$path" "${filter[@]}" >"$output" 2>&1 </dev/null || result=failed
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
    printf '\n%-22s %5s %7s %9s  %s\n' "$commit" runs failed 'longest s' ''
    while read -r name _; do
        logged "$commit" "$name" | awk -v name="$name" '{ runs++; if ($5 > longest) longest = $5 }
            $4 == "failed" { failed++; tests = tests " " $6 }
            END { printf "%-22s %5d %7d %9d %s\n", name, runs, failed, longest, tests }'
        ((failures += $(logged "$commit" "$name" | grep -c ' failed ' || true))) || true
    done <<<"$chosen"
    ((failures == 0)) || fail "$failures runs failed"
}

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

main "$@"
