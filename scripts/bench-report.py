#!/usr/bin/env python3
"""The statistics of scripts/bench and scripts/bench-scale.

bench-report.py iperf FILE DAEMON-TICKS MACHINE-TICKS   lines `KEY VALUE` of one iperf3 -J result and the CPU spent on it
bench-report.py carries PEER CIPHER < JSON              of `adit show NAME --json`: does the session with PEER have that cipher, and
                                                        WireGuard's own no more than it? Else says what it has, and fails
bench-report.py report DIR OUT CONTENDERS               from DIR/samples, DIR/facts and DIR/notes: tables on stdout, and
                                                        OUT.txt (the same), OUT.json, OUT.svg (when gnuplot is there)
bench-report.py scale DIR OUT CONTENDERS                the same of contenders PROGRAM@PEERS
"""
import json
import os
import shutil
import statistics
import subprocess
import sys

# key, what it is, decimals, factor, whether a ratio says something
ROWS = [
    ("tcp1_gbit", "TCP 1 stream, Gbit/s", 2, 1, True),
    ("tcp4_gbit", "TCP 4 streams, Gbit/s", 2, 1, True),
    ("tcp4r_gbit", "TCP 4 reversed, Gbit/s", 2, 1, True),
    ("tcp1_retransmits", "retransmits, 1 stream", 0, 1, False),
    ("tcp4_retransmits", "retransmits, 4 streams", 0, 1, False),
    ("tcp4r_retransmits", "retransmits, 4 reversed", 0, 1, False),
    ("udp64_noloss_pps", "UDP 64 B no loss, kpps", 1, 1e-3, True),
    ("udp64_flood_pps", "UDP 64 B flood, kpps", 1, 1e-3, True),
    ("udp1400_noloss_pps", "UDP 1400 B no loss, kpps", 1, 1e-3, True),
    ("udp1400_flood_pps", "UDP 1400 B flood, kpps", 1, 1e-3, True),
    ("udp64_reordered", "reordered, 64 B", 0, 1, False),
    ("udp1400_reordered", "reordered, 1400 B", 0, 1, False),
    ("rtt_idle_p50_us", "RTT idle p50, us", 1, 1, True),
    ("rtt_idle_p99_us", "RTT idle p99, us", 1, 1, True),
    ("rtt_warm_p50_us", "RTT warm p50, us", 1, 1, True),
    ("rtt_warm_p99_us", "RTT warm p99, us", 1, 1, True),
    ("rtt_load_p50_us", "RTT under load p50, us", 1, 1, True),
    ("rtt_load_p99_us", "RTT under load p99, us", 1, 1, True),
    ("rtt_load_lost", "pings lost under load", 0, 1, False),
    ("handshakes_per_s", "handshakes a second", 0, 1, True),
    ("handshakes_unanswered", "handshakes unanswered", 0, 1, False),
    ("upgrade_rtt_ms", "upgrade: RTT, ms", 2, 1, False),
    ("upgrade_first_rtts", "  first meeting, RTTs", 2, 1, False),
    ("upgrade_known_rtts", "  known, RTTs", 2, 1, False),
    ("upgrade_first_both_rtts", "  first, both ways, RTTs", 2, 1, False),
    ("upgrade_known_both_rtts", "  known, both ways, RTTs", 2, 1, False),
    ("tcp1_daemons_s_per_gb", "CPU of daemons, s/GB", 2, 1, True),
    ("tcp1_machine_s_per_gb", "CPU of machine, s/GB", 2, 1, True),
    ("rss_mb", "RSS under load, MiB", 1, 1, True),
    ("pss_mb", "PSS under load, MiB", 1, 1, True),
]
# What the switches of a contender do (scripts/bench), for the notes.
SWITCHES = {
    "WITHOUT=tun": "no TUN offloads: the kernel refuses TUNSETOFFLOAD and super-packet writes (aditd), or gives a TUN "
                   "without vnet headers (wireguard-go)",
    "WITHOUT=udp": "the kernel refuses UDP_SEGMENT and UDP_GRO",
    "WITHOUT=tun+udp": "without those of the TUN (as no-tun-offload) and of UDP (as no-udp-offload)",
    "VETH_OFF=tx-udp-segmentation": "the veth has tx-udp-segmentation off, so that no read is coalesced",
}
# The table: label, key, the contender that the ratio is to or None for the value itself (of counts the worst round, of
# the others the median), must, aim, whether less is better, who.
TARGETS = [
    ("1 stream / wireguard-go, libsodium only", "tcp1_gbit", "wireguard-go", 1.5, 1.75, False, "libsodium"),
    ("1 stream / wireguard-go, ipsec-mb", "tcp1_gbit", "wireguard-go", 1.85, 2.2, False, "ipsec-mb"),
    ("1 stream / wireguard-go, AES-256-GCM", "tcp1_gbit", "wireguard-go", 2.8, 3.5, False, "AES-256-GCM"),
    ("1 stream / wireguard-go, AEGIS-256", "tcp1_gbit", "wireguard-go", 2.4, 2.8, False, "AEGIS-256"),
    ("1 stream / raw veth, AES-256-GCM", "tcp1_gbit", "veth", 0.47, 0.6, False, "AES-256-GCM"),
    ("CPU s/GB / wireguard-go's, libsodium only", "tcp1_daemons_s_per_gb", "wireguard-go", 0.62, 0.5, True, "libsodium"),
    ("CPU s/GB / wireguard-go's, ipsec-mb", "tcp1_daemons_s_per_gb", "wireguard-go", 0.45, 0.38, True, "ipsec-mb"),
    ("CPU s/GB / wireguard-go's, AES-256-GCM", "tcp1_daemons_s_per_gb", "wireguard-go", 0.25, 0.18, True, "AES-256-GCM"),
    ("handshake to upgrade, RTTs, first meeting", "upgrade_first_rtts", None, 3, 2, True, "AES-256-GCM"),
    ("handshake to upgrade, RTTs, known", "upgrade_known_rtts", None, 3, 2, True, "AES-256-GCM"),
    ("RTT idle p50 / wireguard-go's", "rtt_idle_p50_us", "wireguard-go", 0.6, 0.4, True, "default"),
    ("RTT under load p50 / wireguard-go's", "rtt_load_p50_us", "wireguard-go", 0.35, 0.15, True, "default"),
    ("UDP 64 B without loss / wireguard-go's", "udp64_noloss_pps", "wireguard-go", 2.5, 4, False, "default"),
    ("UDP 64 B delivered of a flood / w.-go's", "udp64_flood_pps", "wireguard-go", 2.5, 4, False, "default"),
    ("RSS under load, whole daemon, MB", "rss_mb", None, 12, 8, True, "default"),
    ("retransmits, 1 stream, worst round", "tcp1_retransmits", None, 0, 0, True, "default"),
    ("retransmits, 4 streams, worst round", "tcp4_retransmits", None, 0, 0, True, "default"),
    ("reordered UDP 64 B, worst round", "udp64_reordered", None, 0, 0, True, "default"),
    ("reordered UDP 1400 B, worst round", "udp1400_reordered", None, 0, 0, True, "default"),
]
NOTES = """\
Each value is the median of the rounds; after it, half of what lies between the lowest and the highest, in percent.
TCP by iperf3, 4 reversed is -P 4 -R. UDP sizes are whole IP packets: `no loss` is the best rate with a part of at most
{loss_allowed} lost, `flood` what arrived of all that could be sent (`<` where the sender, not the link, was the limit in most rounds).
RTT by ICMP: idle 20 ms apart, warm 0.5 ms apart, under load 5 ms apart beside one TCP stream. CPU over the 1-stream test: of both
daemons (user and system time of all their processes), and of the whole machine with iperf3 and the kernel. RSS and PSS:
of all processes of the daemon at one end (the larger end), late in the 1-stream test. Handshakes: 400 peers that call the right end at
once, 16 unanswered at a time, from the first initiation to the last response."""
# For contenders that say CIPHER=: of what their sessions are, told by adit at both ends before and after each turn.
UPGRADE_NOTES = """\
Every adit but those of CIPHER= has Upgrade = off, and so WireGuard's own cipher. Upgrade: two daemons and an idle link by a relay
that takes {upgrade_delay_us} us each way; from when the one that called has the response, so its handshake is done, until it sends on the
upgraded session; both ways: until it is answered on that too. RTT is that of a ping by this link. First meeting: neither
knew that the other is an Adit."""
MTU_NOTE = ("{name}: the TUN's MTU is {mtu}, not 1420, for its longer tag must fit into the veth's MTU: a TCP stream takes "
            "{percent:.1f} % more packets for it.")
SCALE_ROWS = [
    ("tcp1_gbit", "TCP 1 stream, Gbit/s", 2, 1, True),
    ("tcp1_retransmits", "retransmits", 0, 1, False),
    ("rtt_idle_p50_us", "RTT idle p50, us", 1, 1, True),
    ("rtt_warm_p50_us", "RTT warm p50, us", 1, 1, True),
    ("load_gbit", "pinged stream, Gbit/s", 2, 1, True),
    ("rtt_load_p50_us", "RTT under it p50, us", 1, 1, True),
    ("rtt_load_p99_us", "RTT under it p99, us", 1, 1, True),
    ("storm_gbit", "storm: stream, Gbit/s", 2, 1, True),
    ("storm_kept", "storm: rate kept, part", 2, 1, False),
    ("rtt_storm_p50_us", "storm: RTT p50, us", 1, 1, True),
    ("rtt_storm_p99_us", "storm: RTT p99, us", 1, 1, True),
    ("storm_answered_per_s", "storm: answered a second", 0, 1, False),
    ("handshakes_per_s", "handshakes a second", 0, 1, True),
    ("tcp1_daemons_s_per_gb", "CPU of daemons, s/GB", 2, 1, True),
    ("loaded_pss_kb", "PSS before traffic, MiB", 1, 1 / 1024, False),
    ("peer_bytes", "memory a peer, bytes", 0, 1, False),
    ("session_peer_bytes", "  with a session, bytes", 0, 1, False),
    ("sessions_unanswered", "  without an answer", 0, 1, False),
    ("load_ms", "wg addconf, ms", 1, 1, False),
    ("start_ms", "start with a file, ms", 1, 1, False),
    ("routes_up_ms", "20,000 routes: up, ms", 0, 1, False),
    ("routes_reload_ms", "  one of them more, ms", 0, 1, False),
    ("routes_down_ms", "  down, ms", 0, 1, False),
]
SCALE_NOTES = """\
Peers are those of the right end, ten allowed IPs each (half /28, half IPv6 /64); one has the link and all traffic. Medians of the rounds.
RTT: idle 20 ms apart, warm 0.5 ms, under a stream 5 ms. The storm: 1000 peers more, {storm_rate} handshakes a second in all, beside the
pinged stream: both rows of it are to be compared with those of the pinged stream. `rate kept`: the first by the second. Handshakes a
second: 400 peers more that call at once, 16 unanswered at a time. Memory a peer: PSS of the right daemon's processes after the peers
were added less that before, by their number; with a session: after each of them shook hands once, as they all do before the rest is
measured. wg addconf: of all peers but the first, wg itself included. Start with a file: aditd -c with all but the first peer, until
it is ready. 20,000 routes: adit up, reload and down of a file with 1000 peers of 20 allowed IPs each; of wireguard-go wg-quick up,
in the first round only, and for one more the daemon alone is told, by wg syncconf."""
# label, key, must, aim
SCALE_TARGETS = [
    ("rate lost, 1 stream, %", "tcp1_gbit", 5, 1),
    ("RTT lost, idle p50, %", "rtt_idle_p50_us", 5, 1),
    ("RTT lost, warm p50, %", "rtt_warm_p50_us", 5, 1),
]
SCALE_ROUTES = [
    ("1000 peers, 20,000 routes: up, ms", "routes_up_ms", 3000, 1000),
    ("  reload with one more, ms", "routes_reload_ms", 200, 150),
]
SCALE_PANELS = [
    ("TCP 1 stream, Gbit/s", "tcp1_gbit"),
    ("beside a storm of handshakes, Gbit/s", "storm_gbit"),
    ("RTT idle p50, us", "rtt_idle_p50_us"),
    ("RTT warm p50, us", "rtt_warm_p50_us"),
    ("PSS before traffic, KiB", "loaded_pss_kb"),
]
PANELS = [
    ("TCP, Gbit/s", [("tcp1_gbit", "1"), ("tcp4_gbit", "4"), ("tcp4r_gbit", "4 reversed")], False),
    ("UDP without loss, kpps", [("udp64_noloss_pps", "64 B"), ("udp1400_noloss_pps", "1400 B")], False),
    ("RTT p50, us", [("rtt_idle_p50_us", "idle"), ("rtt_warm_p50_us", "warm"), ("rtt_load_p50_us", "load")], True),
    ("Handshake to upgrade, RTTs", [("upgrade_first_rtts", "first meeting"), ("upgrade_known_rtts", "known")], False),
    ("CPU of both daemons, s/GB", [("tcp1_daemons_s_per_gb", "1 stream")], False),
    ("Memory under load, MiB", [("rss_mb", "RSS"), ("pss_mb", "PSS")], True),
]


def iperf(path, daemon_ticks, machine_ticks):
    with open(path, encoding="utf-8") as file:
        result = json.load(file)
    if "error" in result:
        sys.exit(f"bench: iperf3: {result['error']}")
    end = result["end"]
    gigabytes = end["sum_received"]["bytes"] / 1e9
    hz = os.sysconf("SC_CLK_TCK")
    print("gbit", end["sum_received"]["bits_per_second"] / 1e9)
    print("retransmits", end["sum_sent"]["retransmits"])
    print("daemons_s_per_gb", int(daemon_ticks) / hz / gigabytes)
    print("machine_s_per_gb", int(machine_ticks) / hz / gigabytes)


def carries(peer, cipher):
    text = sys.stdin.read()
    try:
        links = json.loads(text)["links"]
    except (ValueError, KeyError):
        print(f"adit show: {text.strip()[:200] or 'nothing'}")
        return 1
    peers = [one for link in links for one in link["peers"] if one["public_key"] == peer]
    if not peers or "cipher" not in peers[0]:
        print(f"adit show tells no cipher, where {cipher} is to be measured" if peers else "adit show does not know the peer")
        return 1
    one = peers[0]
    plain = one.get("upgrade") == "off"
    if one["cipher"] == cipher and one.get("upgrade_state") == ("off" if plain else "upgraded"):
        return 0
    print(f"the session has {one['cipher'] or 'no cipher'}, where {cipher} is to be measured; "
          f"Upgrade = {one.get('upgrade')}, and it is: {one.get('upgrade_reason') or one.get('upgrade_state')}")
    return 1


def read_samples(path):
    """contender -> key -> list of values, in the order of the rounds"""
    samples = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            contender, _round, key, value = line.rstrip("\n").split("\t")
            samples.setdefault(contender, {}).setdefault(key, []).append(float(value))
    return samples


def read_facts(path):
    with open(path, encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(" ", 1) for line in file)


def summary(values):
    return {
        "median": statistics.median(values),
        "min": min(values),
        "max": max(values),
        "samples": values,
    }


def summaries(samples, names):
    return {name: {key: summary(values) for key, values in samples.get(name, {}).items()} for name in names}


def ratio(results, name, key, base):
    own, other = results[name].get(key), results.get(base, {}).get(key)
    return own["median"] / other["median"] if own and other and other["median"] else None


def value_cell(keys, key, decimals, factor):
    if key not in keys:
        return "-      "
    cell = keys[key]
    limited = keys.get(key.split("_")[0] + "_sender_limited") if key.endswith("_pps") else None
    text = f"{'<' if limited and limited['median'] else ''}{cell['median'] * factor:.{decimals}f}"
    spread = 50 * (cell["max"] - cell["min"]) / cell["median"] if cell["median"] else 0
    return f"{text} {f'±{spread:.0f}%' if decimals else '':>5}".rstrip() if decimals else f"{text}      "


def ratio_cell(value):
    return "-" if value is None else f"{value:.3g}" if value < 10 else f"{value:.0f}"


def table(title, names, rows, margin=0):
    """rows: (label, cells)"""
    margin = max(margin, 26, *(len(label) + 1 for label, _ in rows))
    widths = [max(len(name), *(len(cells[i]) for _, cells in rows)) + 2 for i, name in enumerate(names)]
    lines = [f"{title:{margin}}" + "".join(f"{name:>{width}}" for name, width in zip(names, widths))]
    for label, cells in rows:
        lines.append(f"{label:{margin}}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))
    return lines


def tables(results, names):
    present = [row for row in ROWS if any(row[0] in results[name] for name in names)]
    lines = table("medians", names, [
        (label, [value_cell(results[name], key, decimals, factor) for name in names])
        for key, label, decimals, factor, _ in present])
    for base, title in (("wireguard-go", "ratio to wireguard-go"), ("veth", "ratio to raw veth")):
        others = [name for name in names if name != base]
        if base not in names or not others:
            continue
        lines += [""] + table(title, others, [
            (label, [ratio_cell(ratio(results, name, key, base)) for name in others])
            for key, label, _, _, meaningful in present if meaningful and key in results[base]])
    return lines


def switches_of(spec):
    """The switches that make a contender's row, in words; none for one with all its offloads."""
    items = spec.split(":", 1)[1].split(",") if ":" in spec else []
    return [SWITCHES.get(item, item) for item in items if item.split("=")[0] in ("WITHOUT", "VETH_OFF")]


def without_table(results, short, specs):
    """A row for each contender of which only the one stream was measured, and beside it what it is with everything on."""
    columns = [("Gbit/s", "tcp1_gbit", 2), ("CPU s/GB", "tcp1_daemons_s_per_gb", 2), ("retransmits", "tcp1_retransmits", 0)]
    rows = []
    notes = []
    for name in short:
        base = "wireguard-go" if name.startswith("wireguard-go") else "adit"
        peer = name.replace("adit", "wireguard-go", 1) if base == "adit" else ""
        cells = [value_cell(results[name], key, decimals, 1) for _, key, decimals in columns]
        cells += [ratio_cell(ratio(results, name, key, base)) for _, key, _ in columns[:2]]
        cells += [ratio_cell(ratio(results, name, "tcp1_gbit", peer))]
        rows.append((name, cells))
        notes += [f"{name}: {text}" for text in switches_of(specs[name])]
    if not rows:
        return []
    heads = [head for head, _, _ in columns] + ["Gbit/s / with", "CPU / with", "/ wireguard-go, same"]
    return [""] + table("TCP 1 stream, offloads off", heads, rows) + [f"  {note}" for note in notes]


def target_lines(results, names, facts):
    """What the run reached of what is wanted. Reports, and fails nothing."""
    ciphers = dict(item.split(" ", 1) for item in facts.get("ciphers", "").split("; ") if " " in item)
    libsodium = [name for name in names if ciphers.get(name, "").startswith("libsodium")]
    who = {
        "libsodium": next((name for name in libsodium if ciphers[name] == "libsodium padded"), next(iter(libsodium), None)),
        "ipsec-mb": next((name for name in names if ciphers.get(name) == "ipsec-mb"), None),
        "default": "adit" if "adit" in names else None,
    }
    for cipher in ("AES-256-GCM", "AEGIS-256"):
        who[cipher] = next((name for name in names if ciphers.get(name, "").startswith(cipher + " ")), None)
    rows = []
    for label, key, base, must, aim, less, which in TARGETS:
        name = who[which]
        if not name or key not in results[name]:
            continue
        if base:
            value = ratio(results, name, key, base)
        elif key.endswith("_rtts"):
            value = results[name][key]["median"]
        else:
            value = results[name][key]["median"] * 1.048576 if key == "rss_mb" else results[name][key]["max"]
        if value is not None:
            rows.append(target(label, value, must, aim, less, name))
    return [""] + table("targets", TARGET_HEADS, rows, 42) if rows else []


TARGET_HEADS = ["reached", "must", "aim", "", "by"]


def target(label, value, must, aim, less, name):
    def good(limit):
        return value <= limit if less else value >= limit
    verdict = "reached, aim too" if good(aim) else "reached" if good(must) else "missed"
    bound = "<=" if less else ">="
    return label, [f"{value:.3g}" if value < 100 else f"{value:.0f}", f"{bound} {must:g}", f"{bound} {aim:g}", verdict, name]


def upgrade_notes(names, specs, facts):
    lines = []
    if any("CIPHER=" in specs[name].replace("CIPHER=any", "") for name in names):
        lines += UPGRADE_NOTES.format(**facts).splitlines()
    for name in names:
        mtu = next((int(item[4:]) for item in specs[name].partition(":")[2].split(",") if item.startswith("MTU=")), None)
        if mtu:  # of each packet 40 bytes are headers of TCP/IP, and 12 its timestamps
            lines.append(MTU_NOTE.format(name=name, mtu=mtu, percent=100 * ((1420 - 52) / (mtu - 52) - 1)))
    return lines


def processes(results, names):
    lines = []
    for name in names:
        parts = []
        for key, cell in sorted(results[name].items()):
            if key.startswith("process.") and key.endswith(".rss_mb"):
                pss = results[name][key[: -len("rss_mb")] + "pss_mb"]["median"]
                parts.append(f"{key.split('.')[1]} {cell['median']:.1f} ({pss:.1f})")
        if parts:
            lines.append(f"  {name}: " + ", ".join(parts))
    return ["RSS (PSS) of each process of one end, MiB"] + lines if lines else []


def quietness(samples, facts):
    """How far the numbers can be trusted."""
    busy = [value for keys in samples.values() for value in keys.get("machine_busy_percent", [])]
    steal = int(facts.get("machine_steal_ticks", 0)) / os.sysconf("SC_CLK_TCK")
    text = (f"The machine without us, before each turn: busy {statistics.median(busy):.0f} % (median), {max(busy):.0f} % (most); "
            f"{steal:.1f} CPU seconds were stolen by its host.")
    warning = "It was NOT quiet: measure again before you conclude anything."
    return [text] + ([warning] if statistics.median(busy) > 5 or max(busy) > 25 else [])


def draw(out, width, panels):
    """panels: lists of gnuplot lines, side by side in OUT.svg; the file's name, or None"""
    if not shutil.which("gnuplot"):
        return None
    script = [f"set terminal svg size {width * len(panels)},420 font 'sans,12' background 'white'", f"set output '{out}.svg'",
              f"set multiplot layout 1,{len(panels)}", "set grid ytics", "set datafile missing '-'"]
    for number, lines in enumerate(panels):
        script += ["unset key" if number else "set key outside bottom center"] + lines
    with open(f"{out}.gnuplot", "w", encoding="utf-8") as file:
        file.write("\n".join(script) + "\n")
    done = subprocess.run(["gnuplot", f"{out}.gnuplot"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"bench: gnuplot failed: {done.stderr.strip()[:300]}", file=sys.stderr)
        return None
    return f"{out}.svg"


def plot(out, results, names):
    """A panel for each kind of measure, a bar for each contender."""
    panels = []
    for title, bars, log in PANELS:
        bars = [(key, label) for key, label in bars if any(key in results[name] for name in names)]
        if not bars:
            continue
        data = f"$panel{len(panels)}"
        lines = ["set style data histogram", "set style histogram clustered gap 1", "set style fill solid 0.9 border -1",
                 f"set title '{title}'", "set logscale y" if log else "unset logscale y",
                 "set yrange [1:*]" if log else "set yrange [0:*]", f"{data} << END"]
        for key, label in bars:
            factor = next(row[3] for row in ROWS if row[0] == key)
            values = [str(results[name][key]["median"] * factor) if key in results[name] else "-" for name in names]
            lines.append(" ".join([f'"{label}"'] + values))
        series = [f"{data} using {i + 2}:xtic(1) title '{name}'" for i, name in enumerate(names)]
        panels.append(lines + ["END", "plot " + ", ".join(series)])
    return draw(out, 360, panels) if panels else None


def plot_scale(out, results, programs, counts):
    """A panel for each measure, a line over the number of peers for each program."""
    panels = []
    for title, key in SCALE_PANELS:
        data = f"$panel{len(panels)}"
        lines = [f"set title '{title}'", "set logscale x", "set yrange [0:*]", f"{data} << END"]
        for count in counts:
            cells = [results[f"{program}@{count}"].get(key) for program in programs]
            lines.append(" ".join([str(count)] + [str(cell["median"]) if cell else "-" for cell in cells]))
        series = [f"{data} using 1:{i + 2} with linespoints title '{name}'" for i, name in enumerate(programs)]
        panels.append(lines + ["END", "plot " + ", ".join(series)])
    return draw(out, 320, panels)


def fact_lines(facts):
    return [f"{key.replace('_', ' ')}: {value}" for key, value in facts.items() if key != "machine_steal_ticks"]


def read_run(folder):
    with open(f"{folder}/notes", encoding="utf-8") as file:
        notes = file.read().splitlines()
    return read_samples(f"{folder}/samples"), read_facts(f"{folder}/facts"), notes


def shortages(results, names, facts):
    """Notes on what was measured less often than it should be."""
    rounds = int(facts["rounds"])
    notes = []
    for name in names:
        lacking = sorted({key.split("_")[0] for key, cell in results[name].items() if len(cell["samples"]) < rounds})
        if lacking:
            notes.append(f"{name}: fewer than {rounds} samples of {', '.join(lacking)}")
    if rounds < 5:
        notes.append("medians of fewer than 5 rounds: for a look, not for a claim")
    return notes


def write(out, lines, document):
    print("\n".join(lines))
    with open(f"{out}.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    with open(f"{out}.json", "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def written(out, svg):
    print(f"written: {', '.join(filter(None, [f'{out}.txt', f'{out}.json', svg]))}")


def report(folder, out, contenders):
    samples, facts, notes = read_run(folder)
    specs = {spec.split(":")[0]: spec for spec in contenders.split()}
    names = [name for name in specs if len(samples.get(name, {})) > 1]
    if not names:
        return 1
    results = summaries(samples, names)
    short = [name for name in names if "ONLY=" in specs[name]]
    full = [name for name in names if name not in short]
    notes += shortages(results, names, facts)
    lines = fact_lines(facts) + [""] + (tables(results, full) if full else []) + without_table(results, short, specs)
    lines += target_lines(results, full, facts) + [""] + processes(results, full) + [""]
    lines += NOTES.format(**facts).splitlines() + upgrade_notes(full, specs, facts)
    lines += quietness(samples, facts) + [f"note: {text}" for text in notes]
    ratios = {base: {name: {row[0]: ratio(results, name, row[0], base) for row in ROWS if row[4] and row[0] in results[name]}
                     for name in names if name != base} for base in ("wireguard-go", "veth") if base in names}
    write(out, lines, {"facts": facts, "notes": notes, "results": results, "ratios": ratios})
    written(out, plot(out, results, full))
    return 0


def scale_tables(results, programs, counts):
    lines = []
    for program in programs:
        names = [f"{program}@{count}" for count in counts]
        present = [row for row in SCALE_ROWS if any(row[0] in results[name] for name in names)]
        lines += table(f"{program}, peers:", [str(count) for count in counts], [
            (label, [value_cell(results[name], key, decimals, factor) for name in names])
            for key, label, decimals, factor, _ in present]) + [""]
        if counts[0] == 1 and counts[1:]:
            lines += table("  ratio to 1 peer", [str(count) for count in counts[1:]], [
                (f"  {label}", [ratio_cell(ratio(results, name, key, names[0])) for name in names[1:]])
                for key, label, _, _, meaningful in present if meaningful]) + [""]
    if {"adit", "wireguard-go"} <= set(programs):
        lines += table("adit / wireguard-go", [str(count) for count in counts], [
            (label, [ratio_cell(ratio(results, f"adit@{count}", key, f"wireguard-go@{count}")) for count in counts])
            for key, label, _, _, _ in SCALE_ROWS if any(key in results[f"wireguard-go@{count}"] for count in counts)]) + [""]
    return lines


def scale_targets(results, counts):
    most = f"adit@{counts[-1]}"
    rows = []
    for key, what in (("peer_bytes", "idle peer"), ("session_peer_bytes", "idle peer with session")):
        if key in results.get(most, {}):
            rows.append(target(f"bytes an {what}, {counts[-1]} peers", results[most][key]["median"], 4096, 4096, True, "adit"))
    for label, key, must, aim in SCALE_ROUTES:
        if key in results.get("adit@1000", {}):
            rows.append(target(label, results["adit@1000"][key]["median"], must, aim, True, "adit"))
    for label, key, must, aim in SCALE_TARGETS:
        value = ratio(results, most, key, "adit@1") if most in results and "adit@1" in results else None
        if value is not None and counts[-1] > 1:
            lost = 100 * (value - 1 if key.startswith("rtt") else 1 - value)
            rows.append(target(f"{label}, 1 to {counts[-1]} peers", lost, must, aim, True, "adit"))
    return table("targets", TARGET_HEADS, rows, 42) + [""] if rows else []


def scale(folder, out, contenders):
    samples, facts, notes = read_run(folder)
    names = [name for name in contenders.split() if len(samples.get(name, {})) > 1]
    if not names:
        return 1
    results = summaries(samples, contenders.split())
    for name in names:
        pairs = zip(samples[name].get("storm_gbit", []), samples[name].get("load_gbit", []))
        kept = [storm / load for storm, load in pairs if load]
        if kept:
            results[name]["storm_kept"] = summary(kept)
    programs = list(dict.fromkeys(name.split("@")[0] for name in contenders.split()))
    counts = sorted({int(name.split("@")[1]) for name in contenders.split()})
    notes += shortages(results, names, facts)
    lines = fact_lines(facts) + [""] + scale_tables(results, programs, counts) + scale_targets(results, counts)
    lines += SCALE_NOTES.format(**facts).splitlines() + quietness(samples, facts) + [f"note: {text}" for text in notes]
    ratios = {name: {row[0]: ratio(results, name, row[0], f"{name.split('@')[0]}@1") for row in SCALE_ROWS if row[0] in results[name]}
              for name in names if not name.endswith("@1")}
    write(out, lines, {"facts": facts, "notes": notes, "results": results, "ratios_to_1": ratios})
    written(out, plot_scale(out, results, programs, counts))
    return 0


if __name__ == "__main__":
    commands = {("iperf", 5): iperf, ("carries", 4): carries, ("report", 5): report, ("scale", 5): scale}
    command = commands.get((sys.argv[1] if len(sys.argv) > 1 else "", len(sys.argv)))
    if not command:
        sys.exit(__doc__)
    sys.exit(command(*sys.argv[2:]))
