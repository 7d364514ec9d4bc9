"""The work of one shard: its images → a file with the answers, and a record of what was counted."""

import json
import socket
import time
from dataclasses import dataclass

from apparel.core.errors import ApparelError
from apparel.data.inputs.shards import Shard, describe, images_of
from apparel.data.parquet.reader import ParquetReader
from apparel.predict.model_file import ModelFile
from apparel.predict.predictor import Predictor
from apparel.predict.writers import writing
from apparel.reporting import text
from apparel.scale.job import JOB, JobFolder, Record, record_name, shard_name

# A shard that ended its process this often is given up.
MOST_TRIES = 3


@dataclass(frozen=True, kw_only=True)
class Work:
    """Everything that the shards of a job share.

    Attributes:
        model: model file, which the driver examined.
        runtime: name and version of the runtime that every worker must use.
        exact: compute in float32, even where bfloat16 is faster.
        raw: take photos as they are.
        output: path or URL of the folder to write to.
        suffix: ending of the files to write.
        job: identity of the job, as it is in the folder.
        session: identity of the command that works on the job, another one each time.
    """

    model: ModelFile
    runtime: str
    exact: bool
    raw: bool
    output: str
    suffix: str
    job: str
    session: str


# The predictor of this process's session: a worker's process answers many shards.
_opened: dict[str, Predictor] = {}


def open_predictor(work: Work) -> Predictor:
    """Open the model in this process, a worker's, for one processor.

    Raises:
        ApparelError: the node has another runtime, or does not see the folder.
        ModelFileError: the runtime cannot open it.
    """
    node = socket.gethostname()
    if JobFolder(work.output).read(JOB) != work.job:
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


def answer_shard(work: Work, number: int, shard: Shard) -> Record:
    """Classify the images of a shard and write the answers, unless that was done before.

    If a process died at work on the shard, each image file is now decoded in a process of its own,
    as `decode.processes` does, so that the one to blame is found.

    Args:
        work: everything that all shards share.
        number: number of the shard.
        shard: its images.

    Returns:
        The counts, as `text.PredictionNotes` has them, and the seconds that it took.

    Raises:
        ApparelError: the shard has ended too many processes, a table is damaged, or a storage
            refuses.
        OSError: the answers cannot be written.
    """
    folder, record = JobFolder(work.output), record_name(number)
    name = shard_name(number, work.suffix)
    known: Record = json.loads(folder.read(record) or "{}")
    if "images" in known and folder.has(name):
        return known
    tries = 1 + (known["tries"] if known.get("session") == work.session else 0)
    if tries > MOST_TRIES:
        raise ApparelError(
            f"{name} ended the process that worked on it {MOST_TRIES} times: {describe(shard)}. "
            "Perhaps there is too little memory, or a table is damaged. Leave these images out, or "
            "give the nodes more memory."
        )
    if work.session not in _opened:
        _opened.clear()
        _opened[work.session] = open_predictor(work)
    predictor = _opened[work.session]
    begun = {"session": work.session, "tries": tries}
    folder.write(record, json.dumps(begun))
    begin = time.perf_counter()
    notes = text.PredictionNotes()
    images = images_of(shard, ParquetReader())
    names, tells = predictor.class_names, predictor.tells_novelty
    with folder.target(name) as path, writing(path, names, has_novelty=tells) as write:
        for answers in predictor.predict_parts(
            [images], raw=work.raw, n_processes=1 if known else 0
        ):
            write(answers)
            notes.add(answers)
        done = {**begun, **notes.counts(), "seconds": time.perf_counter() - begin}
        folder.write(record, json.dumps(done))  # before the answers, so that none lack it
    return done
