"""The best single network: 95.7 % within 12 T."""

from benchmarks.record import Row, main

ROW = Row(
    name="within_12_t",
    title="95.7 % within 12 T, `--model best`",
    options={"model_name": "best"},
    target=0.957,
    limit=12,
)

if __name__ == "__main__":
    main(ROW)
