"""convert_table.py USED: a Markdown table from the results of convert.sh on standard input.

Lines: "case tool seconds user sys" and "size case bytes". USED is what the volume uses, in bytes.
"""
import statistics
import sys

TOOLS = ["ingot", "ingot-all", "qemu-img"]


def main():
    used = int(sys.argv[1])
    runs, size = {}, {}
    for line in sys.stdin:
        case, tool, *values = line.split()
        if case == "size":
            size[tool] = int(values[0])
            continue
        seconds, user, system = (float(v.replace(",", ".")) for v in values)
        runs.setdefault(case, {}).setdefault(tool, []).append((seconds, user + system))
    print("\n| conversion | " + " | ".join(f"{t}, s (CPU s)" for t in TOOLS) + " | ingot, MB/s of used data | file MB | qemu-img / ingot |")
    print("| --- |" + " ---: |" * (len(TOOLS) + 3))
    for case, tools in runs.items():
        median = {t: statistics.median(s for s, _ in r) for t, r in tools.items()}
        cells = [f"{median[t]:.2f} ({statistics.median(c for _, c in tools[t]):.2f})" for t in TOOLS]
        print(f"| {case} | " + " | ".join(cells) + f" | {used / median['ingot'] / 1e6:.0f} | {size[case] / 1e6:.0f} | {median['qemu-img'] / median['ingot']:.2f} |")
    spread = [f"{case} {t} {min(s for s, _ in r):.2f}–{max(s for s, _ in r):.2f}" for case, tools in runs.items() for t, r in tools.items()]
    print("\nSeconds from – to: " + ", ".join(spread) + ".")


main()
