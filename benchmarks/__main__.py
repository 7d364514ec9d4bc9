"""Measure every row of the table, or those that are named, and write the table.

    python -m benchmarks [ROW …] [--results FILE]

Results are kept run by run: started again on the same file, only what is missing is measured.
"""

import argparse
import subprocess
import sys

from benchmarks.record import FOLDER, default_results
from benchmarks.table import write_table

# Plain Keras first, whose time is T.
ROWS = (
    "plain_keras",
    "seed_model",
    "seed_model_averaged",
    "within_t_20",
    "within_t_8",
    "within_t_3",
    "within_t_4",
    "within_0_8_t",
    "budget_10m",
    "within_4_t",
    "within_12_t",
    "svm",
    "gradient_boosting",
)


def main() -> None:
    """Run the rows one after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=main.__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"one of {', '.join(ROWS)}")
    parser.add_argument("--results", type=str, default=str(default_results()), metavar="FILE")
    parser.add_argument("--table", action="store_true", help="write the table alone")
    asked = parser.parse_args()
    unknown = set(asked.rows) - set(ROWS)
    if unknown:
        parser.error(f"there is no row {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    for name in () if asked.table else asked.rows or ROWS:
        subprocess.run(
            [sys.executable, "-m", f"benchmarks.rows.{name}", "--results", asked.results],
            check=True,
            cwd=FOLDER.parent,
        )
    write_table(ROWS)


if __name__ == "__main__":
    main()
