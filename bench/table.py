"""table.py USED: Markdown tables from the results of bench.sh on standard input.

Lines: "phase tool seconds user sys" and "size tool bytes". USED is what the volume uses, in bytes.
"""
import statistics
import sys

TITLES = {"image": "Imaging", "verify": "Verifying", "restore": "Restoring"}


def read(lines):
    seconds, cpu, size = {}, {}, {}
    for line in lines:
        kind, tool, *values = line.split()
        numbers = [float(v.replace(",", ".")) for v in values]
        if kind == "size":
            size[tool] = numbers[0]
            continue
        seconds.setdefault(kind, {}).setdefault(tool, []).append(numbers[0])
        cpu.setdefault(kind, {}).setdefault(tool, []).append(numbers[1] + numbers[2])
    return seconds, cpu, size


def ratio(value, own):
    return f"{value / own:.2f}" if own else "–"


def table(phase, seconds, cpu, size, used):
    print(f"\n### {TITLES[phase]}\n")
    print("| tool | seconds | MB/s of used data | CPU seconds | image MB | seconds / ingot's | size / ingot's |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    median = {tool: statistics.median(runs) for tool, runs in seconds.items()}
    for tool in sorted(median, key=median.get):
        print(f"| {tool} | {median[tool]:.1f} | {used / median[tool] / 1e6:.0f} | {statistics.median(cpu[tool]):.1f} "
              f"| {size[tool] / 1e6:.0f} | {ratio(median[tool], median.get('ingot'))} "
              f"| {ratio(size[tool], size.get('ingot'))} |")
    spread = ", ".join(f"{tool} {min(runs):.1f}–{max(runs):.1f}" for tool, runs in seconds.items())
    print(f"\nSeconds from – to: {spread}.")


def main(used):
    seconds, cpu, size = read(sys.stdin)
    for phase in TITLES:
        if phase in seconds:
            table(phase, seconds[phase], cpu[phase], size, used)


main(int(sys.argv[1]))
