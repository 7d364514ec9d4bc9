"""Frozen records that the stages hand to each other.

Stages import these records, never each other. A module is imported when a record of it is first
used: predicting needs one of the eight.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apparel.core.records.comparison import *  # noqa: F403  # every record
    from apparel.core.records.data import *  # noqa: F403  # as above
    from apparel.core.records.data_check import *  # noqa: F403  # as above
    from apparel.core.records.evaluation import *  # noqa: F403  # as above
    from apparel.core.records.export import *  # noqa: F403  # as above
    from apparel.core.records.prediction import *  # noqa: F403  # as above
    from apparel.core.records.report import *  # noqa: F403  # as above
    from apparel.core.records.training import *  # noqa: F403  # as above
else:
    # Prediction first: `apparel predict` needs only this module.
    _MODULES = ("prediction", "data", "evaluation", "data_check", "training", "report",
                "comparison", "export")  # fmt: skip

    def __getattr__(name: str) -> Any:
        """Import a record (PEP 562)."""
        for module in _MODULES if not name.startswith("_") else ():
            records = vars(import_module(f"{__name__}.{module}"))
            if name in records:
                return records[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
