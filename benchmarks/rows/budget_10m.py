"""What `--budget 10m` buys, whatever that is on this machine."""

from benchmarks.record import Row, main

ROW = Row(name="budget_10m", title="`--budget 10m`", options={"budget": "10m"}, target=0.946)

if __name__ == "__main__":
    main(ROW)
