"""93.5 % within T/3."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_3",
    title="93.5 % within T/3",
    options={"model_name": "fast", "epochs": 10},
    target=0.935,
    limit=1 / 3,
)

if __name__ == "__main__":
    main(ROW)
