"""Kill, corrupt and attack: whether what is promised holds. `make torture` runs all of it."""
