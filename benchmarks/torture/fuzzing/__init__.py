"""A small fuzzer, guided by the lines that its mutants reach."""
