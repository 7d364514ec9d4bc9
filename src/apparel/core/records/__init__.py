"""What the stages hand to each other: frozen records, checked where they are made.

No stage imports another; each takes and gives the records defined here.
"""

from apparel.core.records.check import CheckedImage, CopiedImage, DataCheck, SplitName
from apparel.core.records.comparison import (
    SIGNIFICANCE,
    Difference,
    GroupComparison,
    PairComparison,
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
from apparel.core.records.duplicates import Duplicates
from apparel.core.records.evaluation import (
    UNCALIBRATED,
    Abstention,
    Calibration,
    ClassScores,
    Evaluation,
    Interval,
    Reliability,
    ReliabilityBin,
)
from apparel.core.records.export import Comparison, Exported, Precision
from apparel.core.records.finding import Evidence, Finding, Topic
from apparel.core.records.novelty import Novelty
from apparel.core.records.prediction import Answer, FailedImage, Images, Prediction
from apparel.core.records.report import Report
from apparel.core.records.robustness import Attack, CorruptionCurve, Robustness
from apparel.core.records.saliency import Saliency
from apparel.core.records.seeds import SeedsResult, Spread
from apparel.core.records.suspects import LabelSuspects
from apparel.core.records.training import History
from apparel.core.records.tuning import Trial, TrialState, best_trial
from apparel.core.records.unusual import Unusual

__all__ = [
    "ARRAYS",
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
    "LabelSuspects",
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
    "Unusual",
    "best_trial",
    "source_name",
    "without_folders",
]
