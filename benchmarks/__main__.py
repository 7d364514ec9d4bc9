"""Measure every row of the table, or those that are named, and write the table.

    python -m benchmarks [ROW …] [--seeds N …] [--results FILE]
    python -m benchmarks --table

Results are kept run by run: started again on the same file, only what is missing is measured.
"""

import argparse
from pathlib import Path

from benchmarks.record import RESULTS, today
from benchmarks.rows import ROWS, SEEDS, measure_row
from benchmarks.table import write_table


def main() -> None:
    """Measure the rows one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(names)}")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    parser.add_argument("--results", type=Path, default=RESULTS / f"{today()}.json")
    parser.add_argument("--table", action="store_true", help="write the table alone")
    asked = parser.parse_args()
    if unknown := set(asked.rows) - set(names):
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    for row in ROWS:
        if not asked.table and row.name in (asked.rows or names):
            measure_row(row, asked.results, asked.seeds, today())
    write_table(names)


if __name__ == "__main__":
    main()
