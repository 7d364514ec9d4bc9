"""92.5 % hoped for within T/20."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_t_20",
    title="`--model fast --width 16 --epochs 3`: 92.5 % hoped for within T/20",
    options={"model_name": "fast", "width": 16, "epochs": 3},
    target=0.925,
    limit=1 / 20,
)

if __name__ == "__main__":
    main(ROW)
