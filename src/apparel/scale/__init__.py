"""The same work on a Ray cluster: predict, tune, many seeds, several workers."""
