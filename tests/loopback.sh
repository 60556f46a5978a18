#!/usr/bin/env bash
# Runs a command where nothing can be reached but loopback, and fails if it tried to reach anything else:
#
#     tests/loopback.sh COMMAND...
#
# Packets of version 4 are counted, so also those of a look-up of a name. Addresses of version 6 have no way at all.
#
# It needs Linux that lets a user have a network of its own, and `ip` of Debian's iproute2. Status 3 says that there is
# none, and that nothing was run.
set -euo pipefail

main() {
    [[ $# -gt 0 ]] || { printf 'usage: tests/loopback.sh COMMAND...\n' >&2; exit 2; }
    if [[ -z ${KC_LOOPBACK-} ]]; then
        unshare --user --map-root-user --net true 2>/dev/null || exit 3
        KC_LOOPBACK=1 exec unshare --user --map-root-user --net "$0" "$@"
    fi
    make_network 2>/dev/null || exit 3
    "$@"
    sent=$(awk '$1 == "away:" { print $11 }' /proc/net/dev)
    if [[ $sent != 0 ]]; then
        printf '%s packets were sent to other machines\n' "$sent" >&2
        exit 1
    fi
    printf 'nothing but loopback was reached, or tried\n'
}

# All that is not for loopback goes to `away`, and nobody is at its end.
make_network() {
    ip link set lo up &&
        ip link add away type veth peer name nobody &&
        # Addresses of version 6 have no way at all: with one they would send packets by themselves.
        echo 1 >/proc/sys/net/ipv6/conf/away/disable_ipv6 &&
        echo 1 >/proc/sys/net/ipv6/conf/nobody/disable_ipv6 &&
        ip link set away up &&
        ip link set nobody up &&
        ip address add 192.0.2.2/24 dev away &&
        ip route add default dev away
}

main "$@"
