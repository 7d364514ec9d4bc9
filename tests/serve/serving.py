"""What the tests of the server send."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def tensor(images: NDArray[np.uint8], **further: Any) -> dict[str, Any]:
    """Images as the protocol's input."""
    return {
        "name": "images",
        "datatype": "UINT8",
        "shape": list(images.shape),
        "data": images.ravel().tolist(),
        **further,
    }
