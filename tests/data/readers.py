"""Functions that stand for `read_task`, for other processes to import."""

import os
import time
from pathlib import Path

from apparel.data.decode import decode, tasks


def read_or_die(task):
    for name in task.names:
        if "killer" in name:
            os._exit(1)  # like a decoder that crashes
    return tasks.read_task(task)


def read_slowly(task):
    def slowly(source, size, *, name):
        time.sleep(1)
        return decode(source, size, name=name)

    tasks.decode = slowly
    Path(task.sources[0]).parent.with_name("begun").touch()
    return tasks.read_task(task)


def never(task):
    raise AssertionError("the files were to come from the cache")
