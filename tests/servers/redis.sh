# Sourced: a Redis of its own for a command. Needs Debian, and root if redis-server is not installed.

# Runs a command with REDIS_URL set to a server that listens on a free loopback port, keeps nothing, and
# ends with the command.
with_redis() {
    redis_install
    local port server directory status=0
    directory=$(mktemp --directory)
    port=$(redis_free_port)
    redis-server --bind 127.0.0.1 --port "$port" --save "" --appendonly no --dir "$directory" \
        >"$directory/log" &
    server=$!
    # Whatever happens, in a subshell, so that the caller's own traps stay.
    (
        trap 'kill "$server" 2>/dev/null || true' EXIT
        redis_wait "$port" "$server" || { cat "$directory/log" >&2; exit 1; }
        REDIS_URL="redis://127.0.0.1:$port" "$@"
    ) || status=$?
    wait "$server" || true
    rm -r "$directory"
    return "$status"
}

redis_install() {
    command -v redis-server >/dev/null && return
    # RUNLEVEL keeps Debian from starting a server of its own.
    apt-get update --quiet --quiet
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --quiet --quiet --no-install-recommends redis-server >/dev/null
}

# A port on which nobody answers. Should another take it meanwhile, the server ends, and says so.
redis_free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000)) # below the ports that the system hands out
        (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    printf '%s\n' "$port"
}

# Until it answers, or has ended, or 10 s are over.
redis_wait() {
    local port=$1 server=$2
    for _ in {1..100}; do
        kill -0 "$server" 2>/dev/null || return 1
        [[ $(redis-cli -h 127.0.0.1 -p "$port" ping 2>/dev/null) == PONG ]] && return
        sleep 0.1
    done
    return 1
}
