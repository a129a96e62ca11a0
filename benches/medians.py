"""Medians and ratio of the lines that compare.sh prints: program, threads, build s, run s, rate Hz."""
import statistics
import sys

rows = [line.split() for line in sys.stdin]
for threads in sorted({r[1] for r in rows}):
    def median(program, column):
        return statistics.median(float(r[column]) for r in rows if r[0] == program and r[1] == threads)

    for program in ("nsmc", "nest"):
        build, run, rate = (median(program, k) for k in (2, 3, 4))
        print(f"{threads} thread(s) {program}: build {build:.2f} s, run {run:.2f} s, {rate:.1f} Hz")
    print(f"{threads} thread(s): NEST / nsmc = {median('nest', 3) / median('nsmc', 3):.1f} (run), {median('nest', 2) / median('nsmc', 2):.1f} (build)")
