#!/bin/bash
# The interface is moved into a container's namespace; the UDP sockets stay where aditd was started.
#
#   a e0 192.0.2.1 (aditd, UDP) ------- e0 192.0.2.2 b
#   c (no device but the tunnel) 10.9.0.1 ==== 10.9.0.2
. "$(dirname "$0")/lib.sh"
needs ping

spaces a b c
cable a e0 192.0.2.1/24 b e0 192.0.2.2/24
keys a b
A=${LINK}a B=${LINK}b
daemon a "$A"
daemon b "$B"
must on a wg set "$A" private-key "$TMP/a.key" listen-port 51821 peer "$PUB_b" allowed-ips 10.9.0.2/32,fd09::2/128 endpoint 192.0.2.2:51820
must on b wg set "$B" private-key "$TMP/b.key" listen-port 51820 peer "$PUB_a" allowed-ips 10.9.0.1/32,fd09::1/128
address b "$B" 10.9.0.2/24,fd09::2/64

ok "the interface moves" ip -n "${SPACE}a" link set "$A" netns "${SPACE}c"
not_ok "it is not in a any more" ip -n "${SPACE}a" link show "$A"
ok "it is in c" ip -n "${SPACE}c" link show "$A"
address c "$A" 10.9.0.1/24,fd09::1/64
ok "c reaches the far end" reaches c 10.9.0.2
ok "by IPv6 inside" pings c fd09::2
ok "the far end reaches c" pings b 10.9.0.1
like "UDP is in a" "$(on a ss -Hlun)" ':51821\b'
is "and not in c" "$(on c ss -Hlun)" ""
is "wg still answers, from wherever the socket is" "$(on a wg show "$A" peers)" "$PUB_b"
must on a wg set "$A" listen-port 51822 fwmark 7
like "a new port is opened in a too" "$(on a ss -Hlun)" ':51822\b'
ok "and used" reaches c 10.9.0.2

must ip -n "${SPACE}c" link set "$A" down
not_ok "down in c" pings b 10.9.0.1
must ip -n "${SPACE}c" link set "$A" up
ok "and up again" wait_for 15 on b ping -n -c 1 -W 1 10.9.0.1
must ip -n "${SPACE}c" link set "$A" mtu 1300
ok "its MTU is c's matter" pings c 10.9.0.2
ok "aditd is still there" runs a "$(basename "$ADITD")"

must ip -n "${SPACE}c" link set "$A" name w0
ok "renamed there, it works on" pings c 10.9.0.2
must ip -n "${SPACE}c" link set w0 netns "${SPACE}a"
must ip -n "${SPACE}a" link set w0 name "$A"
address a "$A" 10.9.0.1/24
ok "moved back, it works on" reaches a 10.9.0.2
must ip -n "${SPACE}a" link set "$A" netns "${SPACE}c"

must ip -n "${SPACE}c" link delete "$A"
ok "deleted in c, aditd in a ends" wait_for 3 empty_of a "$(basename "$ADITD")"
ok "and takes its socket with it" wait_for 1 gone "/var/run/wireguard/$A.sock"

daemon a "$A"
must ip -n "${SPACE}a" link set "$A" netns "${SPACE}c"
must rm "/var/run/wireguard/$A.sock"
ok "its socket removed, it ends as well" wait_for 3 empty_of a "$(basename "$ADITD")"
gone_in_c() { ! ip -n "${SPACE}c" link show "$A"; }
ok "and the interface in c is gone" wait_for 3 gone_in_c

daemon a "$A"
must ip -n "${SPACE}a" link set "$A" netns "${SPACE}c"
must ip netns delete "${SPACE}c"
ok "when the container's namespace goes, aditd ends too" wait_for 5 empty_of a "$(basename "$ADITD")"
finish
