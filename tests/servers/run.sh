#!/usr/bin/env bash
# Runs a command beside kinesis-local and kinesalite, and beside three servers of tables (dynamo.sh), whose addresses it
# finds in the environment:
#
#     tests/servers/run.sh cargo test --features full
#
# Sourced, it defines start_servers and stop_servers. Needs node, npm, openssl, and what dynamo.sh needs.

# shellcheck source=dynamo.sh
source "$(dirname "${BASH_SOURCE[0]}")/dynamo.sh"

readonly KINESIS_LOCAL=kinesis-local@0.6.2 KINESALITE=kinesalite@3.3.3
# How long a server may take to answer, in tenths of a second.
readonly SERVER_PATIENCE=600

server_ids=()
server_directory="" # where they are installed, and log

# Exports KINESIS_LOCAL_ENDPOINT, KINESIS_LOCAL_TLS_ENDPOINT, KINESIS_LOCAL_CERT, KINESALITE_ENDPOINT, and what
# start_tables exports. Whoever calls it calls stop_servers, whatever happens.
start_servers() {
    local here directory ports
    here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
    directory=${CARGO_TARGET_DIR:-$here/../../target}/servers
    mkdir -p "$directory"
    directory=$(cd "$directory" && pwd)
    server_directory=$directory
    install_servers "$directory"
    make_certificate "$directory"
    read -ra ports < <(free_ports)
    start_kinesis_local "$here" "$directory" "${ports[0]}" "${ports[1]}"
    NODE_PATH="$directory/node_modules" node "$here/kinesalite.js" "${ports[2]}" \
        >"$directory/kinesalite.log" 2>&1 &
    server_ids+=($!)

    export KINESALITE_ENDPOINT="http://127.0.0.1:${ports[2]}"
    await_server "${ports[2]}" "${server_ids[-1]}" "$directory/kinesalite.log"
    start_tables "$here" "$directory"
}

# Starts it on two ports, one of them with TLS, and exports where it is.
start_kinesis_local() {
    local here=$1 directory=$2 plain=$3 tls=$4
    # It listens on every interface by itself.
    KINESIS_MOCK_PLAIN_PORT=$plain KINESIS_MOCK_TLS_PORT=$tls \
        KINESIS_MOCK_CERT_PATH="$directory/server.json" SHARD_LIMIT=1000 LOG_LEVEL=ERROR \
        CREATE_STREAM_DURATION=50ms DELETE_STREAM_DURATION=50ms \
        SPLIT_SHARD_DURATION=50ms MERGE_SHARDS_DURATION=50ms \
        node -r "$here/loopback.js" "$directory/node_modules/kinesis-local/main.js" \
        >"$directory/kinesis-local.log" 2>&1 &
    server_ids+=($!)
    export KINESIS_LOCAL_ENDPOINT="http://127.0.0.1:$plain"
    export KINESIS_LOCAL_TLS_ENDPOINT="https://127.0.0.1:$tls"
    export KINESIS_LOCAL_CERT="$directory/certificate.pem"
    await_server "$plain" "${server_ids[-1]}" "$directory/kinesis-local.log"
    await_server "$tls" "${server_ids[-1]}" "$directory/kinesis-local.log"
}

# Ends the servers that were started here, and no other; one that has ended by itself is not passed over.
stop_servers() {
    local id
    for id in "${server_ids[@]}"; do
        kill "$id" 2>/dev/null || tail -n 20 -- "$server_directory"/*.log >&2
        wait "$id" 2>/dev/null || true # its status is that of the signal
    done
    server_ids=()
}

# Downloads nothing if both are there. Neither needs an install script.
install_servers() {
    local found
    found=$(cd "$1" && npm ls --parseable --long kinesis-local kinesalite 2>/dev/null || true)
    [[ $found == *:"$KINESIS_LOCAL"* && $found == *:"$KINESALITE"* ]] ||
        npm install --prefix "$1" --no-audit --no-fund --no-package-lock --ignore-scripts \
            --loglevel=error "$KINESIS_LOCAL" "$KINESALITE"
}

# kinesis-local's own certificate names no host, so that nobody can verify it. That of an authority may not be a
# server's as well: rustls refuses it.
make_certificate() {
    local new=(openssl req -x509 -newkey rsa:2048 -nodes -days 30 -config "$1/openssl.cnf")
    printf '[req]\ndistinguished_name = name\n[name]\n' >"$1/openssl.cnf"
    {
        "${new[@]}" -subj /CN=authority -addext basicConstraints=critical,CA:TRUE \
            -addext keyUsage=critical,keyCertSign -keyout "$1/authority.key" -out "$1/certificate.pem" &&
            "${new[@]}" -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
                -CA "$1/certificate.pem" -CAkey "$1/authority.key" \
                -keyout "$1/key.pem" -out "$1/server.pem"
    } 2>"$1/openssl.log" || { cat "$1/openssl.log" >&2 && return 1; }
    node -e "const [read, write] = [require('fs').readFileSync, require('fs').writeFileSync]
        const [key, cert] = ['key.pem', 'server.pem'].map((file) => read('$1/' + file, 'utf8'))
        write('$1/server.json', JSON.stringify({ server: { key, cert } }))"
}

# Three, each held until all are known, so that they differ.
free_ports() {
    node -e "const listen = () => new Promise((resolve) => {
            const server = require('net').createServer()
            server.listen(0, '127.0.0.1', () => resolve(server))
        })
        Promise.all([listen(), listen(), listen()]).then((servers) => {
            console.log(servers.map((server) => server.address().port).join(' '))
            servers.forEach((server) => server.close())
        })"
}

# Waits until the port takes a connection, while the process lives.
await_server() {
    local port=$1 id=$2 log=$3 tries
    for ((tries = 0; tries < SERVER_PATIENCE; tries++)); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            return
        fi
        kill -0 "$id" 2>/dev/null || break
        sleep 0.1
    done
    printf 'no server on port %s; its last words:\n%s\n' "$port" "$(tail -n 5 "$log")" >&2
    return 1
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then
    set -euo pipefail
    trap stop_servers EXIT
    start_servers
    "$@"
fi
