"""93.5 % within T/3; hoped for 94.2 % within T/4."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_4",
    title="`--model fast --epochs 8`: 93.5 % within T/3, hoped for 94.2 % within T/4",
    options={"model_name": "fast", "epochs": 8},
    target=0.935,
    limit=1 / 3,
)

if __name__ == "__main__":
    main(ROW)
