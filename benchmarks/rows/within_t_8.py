"""92.5 % within T/8; hoped for 93.5 %."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_8",
    title="`--model fast --epochs 4`: 92.5 % within T/8, hoped for 93.5 %",
    options={"model_name": "fast", "epochs": 4},
    target=0.925,
    limit=1 / 8,
)

if __name__ == "__main__":
    main(ROW)
