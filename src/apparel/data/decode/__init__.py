"""Image files → pixels, by one rule for training and for predicting.

The rule: the content decides the format, not the name; of several frames, the first is read. A
photo's own rotation is applied. Transparency shows white. 16-bit grey is scaled to 8 bits and
rounded, 16-bit colour keeps its upper 8 bits. An image of another size is shrunk or enlarged as a
whole (bicubic, antialiased) and centred, and the rest takes the colour of its upper left corner.
Last, colours become grey by the luma of ITU-R BT.601, or grey becomes three equal channels. So
reading a file as grey gives the luma of reading it in colour, exactly.
"""

from apparel.data.decode.image import (
    RULE_VERSION,
    DecodedImage,
    decode,
    decode_within,
    image_size,
    read,
)
from apparel.data.decode.opening import BadImageError, NamedSource, Source

__all__ = [
    "RULE_VERSION",
    "BadImageError",
    "DecodedImage",
    "NamedSource",
    "Source",
    "decode",
    "decode_within",
    "image_size",
    "read",
]
