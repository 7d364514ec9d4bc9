"""Dynamic batching, with a made-up model that takes as long as the test says."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from apparel.serve import batching
from apparel.serve.batching import Batcher
from apparel.serve.http_errors import HttpError


class SlowModel:
    """Answers each image with its first pixel, once it may."""

    def __init__(self):
        self.batches = []
        self.may_go = threading.Event()

    def answer(self, images):
        self.may_go.wait(10)
        self.batches.append(images.ravel().tolist())
        if 255 in images:
            raise ValueError("255")
        return images[:, 0].tolist()


def images(*pixels):
    return np.array(pixels, np.uint8)[:, None]


def soon(seconds=10.0):
    return time.monotonic() + seconds


def run(steps, *, capacity=8):
    """Run `steps(batcher, model)` in an event loop."""
    model = SlowModel()

    async def main():
        with ThreadPoolExecutor(1) as executor:
            batcher = Batcher(model.answer, executor, capacity=capacity, note_batch=sizes.append)
            try:
                return await steps(batcher, model)
            finally:
                model.may_go.set()

    sizes = []
    found = asyncio.run(main())
    assert sizes == [len(batch) for batch in model.batches]
    return found, model


def test_a_lone_request_is_answered_at_once():
    async def steps(batcher, model):
        model.may_go.set()
        return await batcher.answer(images(3, 4), soon())

    found, model = run(steps)
    assert found == [3, 4]
    assert model.batches == [[3, 4]]


async def begun(batcher, *requests, seconds=10.0):
    """Send requests, the first of which the model is at."""
    tasks = []
    for request in requests:
        tasks.append(asyncio.create_task(batcher.answer(images(*request), soon(seconds))))
        await asyncio.sleep(0.01)
    return tasks


def test_requests_that_wait_are_answered_together_each_with_its_own():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [2, 3], [4])
        assert batcher.n_waiting == 3
        model.may_go.set()
        return await asyncio.gather(*tasks)

    found, model = run(steps)
    assert found == [[1], [2, 3], [4]]
    assert model.batches == [[1], [2, 3, 4]]


def test_a_batch_has_a_largest_size_and_order_is_kept(monkeypatch):
    monkeypatch.setattr(batching, "LARGEST_BATCH", 3)

    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [2, 3], [4, 5], [6], [7, 8])
        model.may_go.set()
        return await asyncio.gather(*tasks)

    found, model = run(steps)
    assert found == [[1], [2, 3], [4, 5], [6], [7, 8]]
    assert model.batches == [[1], [2, 3], [4, 5, 6], [7, 8]]


def test_a_full_queue_turns_requests_away_at_once():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [2, 3, 4], [5, 6, 7])
        assert not batcher.is_full
        with pytest.raises(HttpError) as caught:
            await batcher.answer(images(8, 9, 10), soon())
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
        tasks += await begun(batcher, [8, 9])
        assert batcher.is_full
        model.may_go.set()
        return await asyncio.gather(*tasks)

    found, _ = run(steps)
    assert found == [[1], [2, 3, 4], [5, 6, 7], [8, 9]]


def test_what_has_waited_too_long_is_dropped_before_it_costs_anything():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1])
        tasks += await begun(batcher, [2], seconds=0.08)
        await asyncio.sleep(0.1)
        tasks += await begun(batcher, [3])
        model.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found, model = run(steps)
    assert [found[0], found[2]] == [[1], [3]]
    assert found[1].status == 503
    assert model.batches == [[1], [3]]


def test_nobody_waits_beyond_the_deadline_for_a_batch_that_runs():
    async def steps(batcher, model):
        begin = time.monotonic()
        with pytest.raises(HttpError) as caught:
            await batcher.answer(images(1), soon(0.1))
        assert caught.value.status == 503
        assert time.monotonic() - begin < 5
        model.may_go.set()
        return await batcher.answer(images(2), soon())

    found, model = run(steps)
    assert found == [2]
    assert model.batches == [[1], [2]]


def test_a_client_that_has_gone_costs_nothing():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [2], [3])
        tasks[1].cancel()
        await asyncio.sleep(0)
        model.may_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found, model = run(steps)
    assert (found[0], found[2]) == ([1], [3])
    assert isinstance(found[1], asyncio.CancelledError)
    assert model.batches == [[1], [3]]


def test_a_batch_that_fails_fails_alone():
    async def steps(batcher, model):
        tasks = await begun(batcher, [1], [255], [2])
        model.may_go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [*found, await batcher.answer(images(4), soon())]

    found, _ = run(steps)
    assert found[0] == [1]
    assert [str(found[1]), str(found[2])] == ["255", "255"]
    assert found[3] == [4]


def test_an_earlier_deadline_that_comes_later_is_kept():
    async def steps(batcher, model):
        patient = (await begun(batcher, [1], seconds=0.5))[0]
        hasty = (await begun(batcher, [2], seconds=0.05))[0]
        start = time.monotonic()
        with pytest.raises(HttpError, match="waited too long"):
            await hasty
        assert time.monotonic() - start < 0.3
        assert not patient.done()
        with pytest.raises(HttpError, match="waited too long"):
            await patient
        model.may_go.set()

    run(steps)
