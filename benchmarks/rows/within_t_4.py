"""94.2 % hoped for within T/4."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_4",
    title="`--model fast --epochs 8`: 94.2 % hoped for within T/4",
    options={"model_name": "fast", "epochs": 8},
    target=0.942,
    limit=1 / 4,
)

if __name__ == "__main__":
    main(ROW)
