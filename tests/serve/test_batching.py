"""Dynamic batching, with a made-up model that answers when the test lets it."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from apparel.serve import batching
from apparel.serve.batching import Batcher
from apparel.serve.limits import HttpError


class SlowModel:
    """Answers each image with its first pixel, once it may."""

    def __init__(self):
        self.batches = []
        self.may_answer = threading.Event()

    def answer(self, images):
        self.may_answer.wait(30)
        self.batches.append(images.ravel().tolist())
        if 255 in images:
            raise ValueError("255")
        return images[:, 0].tolist()


def run(steps):
    """Run `steps(batcher, model)` in an event loop, with room for eight images."""
    model, sizes = SlowModel(), []

    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(model.answer, executor, capacity=8, note_batch=sizes.append)
            try:
                return await steps(batcher, model)
            finally:
                model.may_answer.set()

    found = asyncio.run(main())
    assert sizes == [len(batch) for batch in model.batches]
    return found, model


async def begun(batcher, *requests, seconds=30.0):
    """Send requests; the model starts with the first, the others wait."""
    tasks = []
    for pixels in requests:
        images = np.array(pixels, np.uint8)[:, None]
        answer = batcher.answer(images, time.monotonic() + seconds)
        tasks.append(asyncio.create_task(answer))
        for _ in range(3):  # until the request is in the queue, and the first has left it
            await asyncio.sleep(0)
    return tasks


def test_requests_that_wait_are_answered_together_in_order_up_to_a_size(monkeypatch):
    monkeypatch.setattr(batching, "MAX_BATCH", 3)

    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [2, 3], [4, 5], [6], [7, 8])
        assert batcher.n_waiting == 7
        model.may_answer.set()
        return await asyncio.gather(*tasks)

    found, model = run(steps)
    assert found == [[1], [2, 3], [4, 5], [6], [7, 8]]
    assert model.batches == [[1], [2, 3], [4, 5, 6], [7, 8]]


def test_a_full_queue_turns_requests_away_at_once():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [2, 3, 4], [5, 6, 7])
        assert not batcher.is_full
        (refused,) = await begun(batcher, [8, 9, 10])
        with pytest.raises(HttpError, match="6 images wait already") as caught:
            await refused
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
        tasks += await begun(batcher, [8, 9])
        assert batcher.is_full
        model.may_answer.set()
        return await asyncio.gather(*tasks)

    found, _ = run(steps)
    assert found == [[1], [2, 3, 4], [5, 6, 7], [8, 9]]


def test_requests_that_are_late_or_given_up_are_not_answered():
    async def steps(batcher, model):
        (first,) = await begun(batcher, [1], seconds=0.02)
        (second,) = await begun(batcher, [2], seconds=0.01)
        given_up, last = await begun(batcher, [3], [4])
        given_up.cancel()
        for late in (first, second):
            with pytest.raises(HttpError, match="waited too long"):
                await late
        model.may_answer.set()
        return await last

    found, model = run(steps)
    assert found == [4]
    assert model.batches == [[1], [4]]  # the first was at the model already


def test_a_batch_that_fails_fails_alone():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [255], [2])
        model.may_answer.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [*found, *await asyncio.gather(*await begun(batcher, [4]))]

    found, _ = run(steps)
    assert found[0] == [1]
    assert [str(found[1]), str(found[2])] == ["255", "255"]
    assert found[3] == [4]
