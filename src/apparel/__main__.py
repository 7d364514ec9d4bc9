"""`python -m apparel`: every step with its defaults; with arguments, the command."""

import sys

from apparel.cli.main import main
from apparel.core.model_formats import SAVED_FILE

if __name__ == "__main__":
    # On its own, it also saves the model in the current folder, as the first program did.
    sys.exit(main(sys.argv[1:] or ["run", "--save", SAVED_FILE]))
