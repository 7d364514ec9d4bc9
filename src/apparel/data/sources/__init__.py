"""One module for each kind of source: folder, table, IDX, npz, Fashion-MNIST."""
