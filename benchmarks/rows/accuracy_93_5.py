"""93.5 % within T/3."""

from benchmarks.record import Row, main

ROW = Row(
    name="accuracy_93_5",
    title="93.5 %",
    options={"model_name": "fast"},
    target=0.935,
    must=1 / 3,
    aim=1 / 8,
)

if __name__ == "__main__":
    main(ROW)
