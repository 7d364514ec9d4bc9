"""What a worker does: the images of a part → a file with the answers, and what was counted."""

import json
import pickle
import socket
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from apparel.core.errors import (
    ApparelError,
    DataError,
    DataUnavailableError,
    ModelFileError,
    UsageError,
)
from apparel.data.inputs import Part, images_of, shown
from apparel.data.parquet.rows import RowsHere
from apparel.predict.model_file import ModelFile
from apparel.predict.predictor import Predictor
from apparel.predict.writers import writing
from apparel.reporting import text
from apparel.scale.job import JOB, Record, part_name, record_name
from apparel.scale.job_folder import open_folder

# A part that ended its process so often is given up.
MOST_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Work:
    """What all parts of a job share.

    Attributes:
        model: the model file, which was examined.
        runtime: that is to compute, so that all answers are alike.
        exact: compute in float32, even where bfloat16 is faster.
        raw: take photos as they are.
        output: the folder to write to.
        suffix: of the files to write.
        job: what the folder says that it is for.
        session: of the command that works on the job, different each time.
    """

    model: ModelFile
    runtime: str
    exact: bool
    raw: bool
    output: str
    suffix: str
    job: str
    session: str


def open_predictor(work: Work) -> Predictor:
    """Open the model, for one processor, where a worker runs.

    Raises:
        ApparelError: the node has another runtime, or does not see the folder.
        ModelFileError: the runtime cannot open it.
    """
    node = socket.gethostname()
    if open_folder(work.output).read(JOB) != work.job:
        raise ApparelError(
            f"the node {node} does not see what is in {work.output}. Name a folder with --output "
            "that all nodes share, or a URL."
        )
    predictor = Predictor(work.model, exact=work.exact, n_threads=1)
    if predictor.runtime != work.runtime:
        raise ApparelError(
            f"the node {node} would compute with {predictor.runtime}, and this job with "
            f"{work.runtime}, so that answers would differ. Install the same packages on every "
            "node, or give --exact where processors differ."
        )
    return predictor


def answer_part(work: Work, predictor: Predictor, number: int, part: Part) -> Record:
    """Classify the images of a part, and write the answers, unless that was done.

    Where a process died at work on the part, each image file is now decoded in a process of its
    own, as `decode.processes` does, so that the one which is to blame is found.

    Args:
        work: what all parts share.
        predictor: as `open_predictor` gave it.
        number: of the part.
        part: of the images.

    Returns:
        What was counted, as `text.PredictionNotes` does, and the seconds that it took.

    Raises:
        ApparelError: the part has ended too many processes, a table is damaged, or a storage
            refuses.
        OSError: the answers cannot be written.
    """
    folder, record = open_folder(work.output), record_name(number)
    name = part_name(number, work.suffix)
    known: Record = json.loads(folder.read(record) or "{}")
    if "images" in known and folder.has(name):
        return known
    tries = 1 + (known["tries"] if known.get("session") == work.session else 0)
    if tries > MOST_TRIES:
        raise ApparelError(
            f"{name} ended the process that worked on it {MOST_TRIES} times: {shown(part)}. "
            "Perhaps there is too little memory, or a table is damaged. Leave these images out, or "
            "give the nodes more memory."
        )
    begun = {"session": work.session, "tries": tries}
    folder.write(record, json.dumps(begun))
    begin = time.perf_counter()
    notes = text.PredictionNotes()
    images = images_of(part, RowsHere())
    names, tells = predictor.class_names, predictor.tells_novelty
    with folder.target(name) as path, writing(path, names, has_novelty=tells) as write:
        for answers in predictor.predict_parts(
            [images], raw=work.raw, n_processes=1 if known else 0
        ):
            write(answers)
            notes.add(answers)
        done = {**begun, **notes.counts(), "seconds": time.perf_counter() - begin}
        folder.write(record, json.dumps(done))  # before the part, so that no part lacks it
    return done


class PartWorker:
    """Answers parts in a process of its own; what goes wrong is told, and not raised.

    Ray Data makes one in each actor, and calls it with tables of one row: `number`, of a part, and
    `part`, pickled. It gives back tables of one row: `record`, as JSON.
    """

    def __init__(self, shared: Any) -> None:
        """Open the model.

        Args:
            shared: the reference of a `Work`.
        """
        import ray  # noqa: PLC0415  # an extra

        self._work: Work = ray.get(shared)
        self._predictor: Predictor | None = None

    def __call__(self, table: Any) -> Any:
        """Answer a part."""
        import pyarrow as pa  # noqa: PLC0415  # comes with Ray Data

        (row,) = table.to_pylist()
        return pa.table({"record": [json.dumps(self._answered(row["number"], row["part"]))]})

    def _answered(self, number: int, pickled: bytes) -> Record:
        try:
            self._predictor = self._predictor or open_predictor(self._work)
            # The driver pickled it, as Ray pickles everything.
            part: Part = pickle.loads(pickled)  # noqa: S301
            return answer_part(self._work, self._predictor, number, part)
        except (ApparelError, OSError) as error:
            return {"problem": problem_of(error)}


def problem_of(error: ApparelError | OSError) -> Record:
    """An error, as JSON."""
    if isinstance(error, ApparelError):
        return {"kind": type(error).__name__, "message": str(error)}
    return {"errno": error.errno, "message": error.strerror, "file": error.filename}


def raise_problem(problem: Record) -> NoReturn:
    """Raise an error that a worker met.

    Raises:
        ApparelError: it was such a one.
        OSError: the answers could not be written.
    """
    if "kind" not in problem:
        raise OSError(problem["errno"], problem["message"], problem["file"])
    kinds = (DataError, DataUnavailableError, ModelFileError, UsageError)
    raise {kind.__name__: kind for kind in kinds}.get(problem["kind"], ApparelError)(
        problem["message"]
    )
