# Sourced by run.sh: servers that speak like DynamoDB. Needs node with npm, Python with venv, and Rust.

readonly DYNALITE=dynalite@4.0.0 MOTO='moto[server]==5.2.5'

# Exports DYNALITE_ENDPOINT, MOTO_ENDPOINT and DYNOXIDE_ENDPOINT.
start_tables() {
    local here=$1 directory=$2 ports
    install_tables "$here" "$directory"
    read -ra ports < <(free_ports)
    node -r "$here/loopback.js" "$directory/tables/node_modules/dynalite/cli.js" --port "${ports[0]}" --createTableMs 50 \
        >"$directory/dynalite.log" 2>&1 &
    server_ids+=($!)
    "$directory/moto/bin/moto_server" -H 127.0.0.1 -p "${ports[1]}" >"$directory/moto.log" 2>&1 &
    server_ids+=($!)
    start_dynoxide "$directory" "${ports[2]}"
    export DYNALITE_ENDPOINT="http://127.0.0.1:${ports[0]}"
    export MOTO_ENDPOINT="http://127.0.0.1:${ports[1]}"
    await_server "${ports[0]}" "${server_ids[-3]}" "$directory/dynalite.log"
    await_server "${ports[1]}" "${server_ids[-2]}" "$directory/moto.log"
}

# Starts it on a port, and exports where it is.
start_dynoxide() {
    local directory=$1 port=$2
    "$directory/dynoxide/debug/dynoxide-server" "$port" >"$directory/dynoxide.log" 2>&1 &
    server_ids+=($!)
    export DYNOXIDE_ENDPOINT="http://127.0.0.1:$port"
    await_server "$port" "${server_ids[-1]}" "$directory/dynoxide.log"
}

# Downloads nothing if all are there.
install_tables() {
    local here=$1 directory=$2 found
    found=$(cd "$directory/tables" 2>/dev/null && npm ls --parseable --long dynalite 2>/dev/null || true)
    [[ $found == *:"$DYNALITE"* ]] ||
        npm install --prefix "$directory/tables" --no-audit --no-fund --no-package-lock --ignore-scripts \
            --loglevel=error "$DYNALITE"
    if ! "$directory/moto/bin/pip" freeze 2>/dev/null | grep -qx "moto==${MOTO#*==}"; then
        rm -rf "$directory/moto"
        python3 -m venv "$directory/moto"
        "$directory/moto/bin/pip" install --quiet --disable-pip-version-check "$MOTO"
    fi
    build_dynoxide "$here" "$directory"
}

build_dynoxide() {
    local here=$1 directory=$2
    CARGO_TARGET_DIR="$directory/dynoxide" cargo build --quiet --locked --manifest-path "$here/dynoxide/Cargo.toml"
}
