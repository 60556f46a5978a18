#!/usr/bin/env bash
# Runs a command where nothing can be reached but loopback, and fails if it tried to reach anything else:
#
#     tests/loopback.sh COMMAND...
#
# It needs Linux that lets a user have a network of its own, and `ip` of Debian's iproute2. Status 3 says that there is
# none, and nothing was run.
set -euo pipefail

main() {
    [[ $# -gt 0 ]] || { printf 'usage: tests/loopback.sh COMMAND...\n' >&2; exit 2; }
    if [[ -z ${KC_LOOPBACK-} ]]; then
        unshare --user --map-root-user --net ip link set lo up 2>/dev/null || exit 3
        KC_LOOPBACK=1 exec unshare --user --map-root-user --net "$0" "$@"
    fi
    ip link set lo up
    # All that is not for loopback goes this way, and nobody is at its end.
    ip link add away type veth peer name nobody
    for end in away nobody; do
        # Addresses of version 6 have no way at all: with one they would send packets by themselves.
        echo 1 >"/proc/sys/net/ipv6/conf/$end/disable_ipv6"
        ip link set "$end" up
    done
    ip address add 192.0.2.2/24 dev away
    ip route add default dev away
    "$@"
    sent=$(awk '$1 == "away:" { print $11 }' /proc/net/dev)
    if [[ $sent != 0 ]]; then
        printf '%s packets were sent to other machines\n' "$sent" >&2
        exit 1
    fi
    printf 'nothing but loopback was reached, or tried\n'
}

main "$@"
