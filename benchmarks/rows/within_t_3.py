"""93.5 % within T/3, hoped for within T/8."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_3",
    title="`--model fast --epochs 4`: 93.5 % within T/3, hoped for within T/8",
    options={"model_name": "fast", "epochs": 4},
    target=0.935,
    limit=1 / 3,
)

if __name__ == "__main__":
    main(ROW)
