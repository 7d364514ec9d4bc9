"""Why a `.keras` file is refused."""

from apparel.core import messages

REMEDY = "Give a .keras file that apparel or Keras 3 saved."
# Later versions of Keras may write more than is known here.
UPDATE = f"{REMEDY.removesuffix('.')}; if a newer Keras saved it, update: pip install -U apparel"


class ProblemError(messages.ProblemError):
    """Something in a file that image classifiers of Keras's own layers do not have."""

    verdict = "is a Keras model, but not one that apparel opens"
    remedy = REMEDY


class MalformedError(ProblemError):
    """Bytes that are no Keras file, or no longer one."""

    verdict = "is not a model that Keras can open"
