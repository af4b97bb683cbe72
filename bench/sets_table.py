"""sets_table.py: Markdown tables from the results of sets.sh on standard input.

Lines: "phase tool seconds user sys" and "bytes phase number". The first tool of a phase is what the
others are compared with.
"""
import statistics
import sys

TITLES = {
    "warm": "An incremental of an unchanged disk, page cache warm",
    "cold": "An incremental of an unchanged disk, page cache cold",
    "merge": "Five incrementals become one",
    "roll": "A full is rolled forward over five incrementals",
}
NAMES = {"read": "reading the used clusters", "direct": "the same past the page cache"}


def read(lines):
    phases, size = {}, {}
    for line in lines:
        phase, tool, *values = line.split()
        if phase == "bytes":
            size[tool] = int(values[0])
            continue
        numbers = [float(v.replace(",", ".")) for v in values]
        phases.setdefault(phase, {}).setdefault(tool, []).append((numbers[0], numbers[1] + numbers[2]))
    return phases, size


def table(title, tools, size):
    print(f"\n### {title}: {size / 1e6:.0f} MB\n")
    print("| | seconds (from – to) | MB/s | CPU seconds | against the first |")
    print("| --- | ---: | ---: | ---: | ---: |")
    first = None
    for tool, runs in tools.items():
        seconds = [s for s, _ in runs]
        median = statistics.median(seconds)
        first = first or median
        print(f"| {NAMES.get(tool, tool)} | {median:.2f} ({min(seconds):.2f} – {max(seconds):.2f}) | {size / median / 1e6:.0f} "
              f"| {statistics.median(c for _, c in runs):.2f} | {median / first:.2f} |")


def main():
    phases, size = read(sys.stdin)
    for phase, title in TITLES.items():
        if phase in phases:
            table(title, phases[phase], size[phase])


main()
