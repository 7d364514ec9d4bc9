"""92.5 % within T/8."""

from benchmarks.record import Row, main

ROW = Row(
    name="accuracy_92_5",
    title="92.5 %",
    options={"model_name": "fast", "epochs": 2},
    target=0.925,
    must=1 / 8,
    aim=1 / 20,
)

if __name__ == "__main__":
    main(ROW)
