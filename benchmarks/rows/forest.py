"""What a user would pick instead: scikit-learn's histogram gradient boosting."""

from benchmarks.record import Row, main

ROW = Row(name="forest", title="scikit-learn HistGradientBoosting", way="forest")

if __name__ == "__main__":
    main(ROW)
