"""``python -m benchmarks``: the benchmark of whole scenes."""

from benchmarks.suite import main

main(prog_name="python -m benchmarks")
