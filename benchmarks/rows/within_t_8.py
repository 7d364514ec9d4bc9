"""92.5 % within T/8."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_8",
    title="`--model fast --width 16 --epochs 4`: 92.5 % within T/8",
    options={"model_name": "fast", "width": 16, "epochs": 4},
    target=0.925,
    limit=1 / 8,
)

if __name__ == "__main__":
    main(ROW)
