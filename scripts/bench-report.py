#!/usr/bin/env python3
"""The statistics of scripts/bench.

bench-report.py iperf FILE DAEMON-TICKS MACHINE-TICKS   lines `KEY VALUE` of one iperf3 -J result and the CPU spent on it
bench-report.py report DIR OUT CONTENDERS               from DIR/samples, DIR/facts and DIR/notes: tables on stdout, and
                                                        OUT.txt (the same), OUT.json, OUT.svg (when gnuplot is there)
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
    ("tcp1_daemons_s_per_gb", "CPU of daemons, s/GB", 2, 1, True),
    ("tcp1_machine_s_per_gb", "CPU of machine, s/GB", 2, 1, True),
    ("rss_mb", "RSS under load, MiB", 1, 1, True),
    ("pss_mb", "PSS under load, MiB", 1, 1, True),
]
NOTES = """\
Each value is the median of the rounds; after it, half of what lies between the lowest and the highest, in percent.
TCP by iperf3, 4 reversed is -P 4 -R. UDP sizes are whole IP packets: `no loss` is the best rate with a part of at most
{loss_allowed} lost, `flood` what arrived of all that could be sent (`<` where the sender, not the link, was the limit in most rounds).
RTT by ICMP: idle 20 ms apart, warm 0.5 ms apart, under load 5 ms apart beside one TCP stream. CPU over the 1-stream test: of both
daemons (user and system time of all their processes), and of the whole machine with iperf3 and the kernel. RSS and PSS:
of all processes of the daemon at one end (the larger end), late in the 1-stream test. Handshakes: 400 peers that call the right end at
once, 16 unanswered at a time, from the first initiation to the last response."""
PANELS = [
    ("TCP, Gbit/s", [("tcp1_gbit", "1"), ("tcp4_gbit", "4"), ("tcp4r_gbit", "4 reversed")], False),
    ("UDP without loss, kpps", [("udp64_noloss_pps", "64 B"), ("udp1400_noloss_pps", "1400 B")], False),
    ("RTT p50, us", [("rtt_idle_p50_us", "idle"), ("rtt_warm_p50_us", "warm"), ("rtt_load_p50_us", "load")], True),
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


def table(title, names, rows):
    """rows: (label, cells)"""
    widths = [max(len(name), *(len(cells[i]) for _, cells in rows)) + 2 for i, name in enumerate(names)]
    lines = [f"{title:26}" + "".join(f"{name:>{width}}" for name, width in zip(names, widths))]
    for label, cells in rows:
        lines.append(f"{label:26}" + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths)))
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


def plot(out, results, names):
    if not shutil.which("gnuplot"):
        return None
    panels = [(title, [(key, label) for key, label in bars if any(key in results[name] for name in names)], log)
              for title, bars, log in PANELS]
    panels = [panel for panel in panels if panel[1]]
    script = [f"set terminal svg size {360 * len(panels)},420 font 'sans,12' background 'white'", f"set output '{out}.svg'",
              f"set multiplot layout 1,{len(panels)}", "set style data histogram", "set style histogram clustered gap 1",
              "set style fill solid 0.9 border -1", "set grid ytics", "set datafile missing '-'"]
    for number, (title, bars, log) in enumerate(panels):
        script += [f"set title '{title}'", "set logscale y" if log else "unset logscale y",
                   "set yrange [1:*]" if log else "set yrange [0:*]", "unset key" if number else "set key outside bottom center",
                   f"$panel{number} << END"]
        for key, label in bars:
            factor = next(row[3] for row in ROWS if row[0] == key)
            values = [str(results[name][key]["median"] * factor) if key in results[name] else "-" for name in names]
            script.append(" ".join([f'"{label}"'] + values))
        series = [f"$panel{number} using {i + 2}:xtic(1) title '{name}'" for i, name in enumerate(names)]
        script += ["END", "plot " + ", ".join(series)]
    with open(f"{out}.gnuplot", "w", encoding="utf-8") as file:
        file.write("\n".join(script) + "\n")
    done = subprocess.run(["gnuplot", f"{out}.gnuplot"], capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"bench: gnuplot failed: {done.stderr.strip()[:300]}", file=sys.stderr)
        return None
    return f"{out}.svg"


def report(folder, out, contenders):
    samples = read_samples(f"{folder}/samples")
    facts = read_facts(f"{folder}/facts")
    with open(f"{folder}/notes", encoding="utf-8") as file:
        notes = file.read().splitlines()
    names = [name.split(":")[0] for name in contenders.split()]
    names = [name for name in names if len(samples.get(name, {})) > 1]
    if not names:
        return 1
    results = summaries(samples, names)
    rounds = int(facts["rounds"])
    for name in names:
        short = sorted({key.split("_")[0] for key, cell in results[name].items() if len(cell["samples"]) < rounds})
        if short:
            notes.append(f"{name}: fewer than {rounds} samples of {', '.join(short)}")
    if rounds < 5:
        notes.append("medians of fewer than 5 rounds: for a look, not for a claim")
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in facts.items() if key != "machine_steal_ticks"]
    lines += [""] + tables(results, names) + [""] + processes(results, names) + [""]
    lines += NOTES.format(**facts).splitlines() + quietness(samples, facts) + [f"note: {text}" for text in notes]
    print("\n".join(lines))
    with open(f"{out}.txt", "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    ratios = {base: {name: {row[0]: ratio(results, name, row[0], base) for row in ROWS if row[4] and row[0] in results[name]}
                     for name in names if name != base} for base in ("wireguard-go", "veth") if base in names}
    with open(f"{out}.json", "w", encoding="utf-8") as file:
        json.dump({"facts": facts, "notes": notes, "results": results, "ratios": ratios}, file, indent=1)
        file.write("\n")
    svg = plot(out, results, names)
    print(f"written: {', '.join(filter(None, [f'{out}.txt', f'{out}.json', svg]))}")
    return 0


if __name__ == "__main__":
    commands = {("iperf", 5): iperf, ("report", 5): report}
    command = commands.get((sys.argv[1] if len(sys.argv) > 1 else "", len(sys.argv)))
    if not command:
        sys.exit(__doc__)
    sys.exit(command(*sys.argv[2:]))
