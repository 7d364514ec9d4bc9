"""Frozen records that the stages hand to each other.

Stages import these records, never each other. The modules are imported when a record of theirs is
first used: predicting needs one of the eight.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apparel.core.records.comparison import (
        SIGNIFICANCE,
        Difference,
        GroupComparison,
        PairComparison,
        SeedsResult,
        Spread,
        TestedRun,
    )
    from apparel.core.records.data import (
        ARRAYS,
        Dataset,
        Files,
        ImageList,
        Splits,
        source_name,
        without_folders,
    )
    from apparel.core.records.data_check import (
        FEWEST_TO_TRAIN,
        IMBALANCE,
        CheckedImage,
        CopiedImage,
        DataCheck,
        Duplicates,
        SplitName,
        Unusual,
    )
    from apparel.core.records.evaluation import (
        UNCALIBRATED,
        Abstention,
        Attack,
        Calibration,
        ClassScores,
        CorruptionCurve,
        Evaluation,
        Interval,
        LabelIssues,
        Reliability,
        ReliabilityBin,
        Robustness,
    )
    from apparel.core.records.export import (
        Comparison,
        Exported,
        Precision,
    )
    from apparel.core.records.prediction import (
        Answer,
        FailedImage,
        Images,
        Novelty,
        Prediction,
    )
    from apparel.core.records.report import (
        Evidence,
        Finding,
        Report,
        Saliency,
        Topic,
    )
    from apparel.core.records.training import (
        History,
        Trial,
        TrialState,
        TuningResult,
        best_trial,
    )

__all__ = [
    "ARRAYS",
    "FEWEST_TO_TRAIN",
    "IMBALANCE",
    "SIGNIFICANCE",
    "UNCALIBRATED",
    "Abstention",
    "Answer",
    "Attack",
    "Calibration",
    "CheckedImage",
    "ClassScores",
    "Comparison",
    "CopiedImage",
    "CorruptionCurve",
    "DataCheck",
    "Dataset",
    "Difference",
    "Duplicates",
    "Evaluation",
    "Evidence",
    "Exported",
    "FailedImage",
    "Files",
    "Finding",
    "GroupComparison",
    "History",
    "ImageList",
    "Images",
    "Interval",
    "LabelIssues",
    "Novelty",
    "PairComparison",
    "Precision",
    "Prediction",
    "Reliability",
    "ReliabilityBin",
    "Report",
    "Robustness",
    "Saliency",
    "SeedsResult",
    "SplitName",
    "Splits",
    "Spread",
    "TestedRun",
    "Topic",
    "Trial",
    "TrialState",
    "TuningResult",
    "Unusual",
    "best_trial",
    "source_name",
    "without_folders",
]

# What predicts is first.
_MODULES = ("prediction", "data", "evaluation", "data_check", "training", "report", "comparison",
            "export")  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a record (PEP 562)."""
    for module in _MODULES if name in __all__ else ():
        records = vars(import_module(f"{__name__}.{module}"))
        if name in records:
            return records[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
