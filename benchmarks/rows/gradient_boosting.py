"""What a user would pick instead: scikit-learn's histogram gradient boosting."""

from benchmarks.record import Row, main

ROW = Row(
    name="gradient_boosting",
    title="scikit-learn HistGradientBoosting",
    way="gradient_boosting",
)

if __name__ == "__main__":
    main(ROW)
