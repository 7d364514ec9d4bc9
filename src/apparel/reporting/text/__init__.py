"""Records as lines of text for a terminal, a notebook or a table.

The modules are imported when they are first used: predicting needs one of the four.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apparel.reporting.text.data import *  # noqa: F403  # every function
    from apparel.reporting.text.evaluation import *  # noqa: F403  # as above
    from apparel.reporting.text.prediction import *  # noqa: F403  # as above
    from apparel.reporting.text.runs import *  # noqa: F403  # as above
else:

    def __getattr__(name: str) -> Any:
        """Import a function (PEP 562)."""
        modules = ("prediction", "data", "evaluation", "runs")
        for module in modules if not name.startswith("_") else ():
            functions = vars(import_module(f"{__name__}.{module}"))
            if name in functions:
                return functions[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
