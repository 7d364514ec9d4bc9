"""Counts of the server's work, in Prometheus's format."""

from collections.abc import Callable, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from apparel.core.records import Answer, FailedImage

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
BATCHES = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """Counts of one server.

    Attributes:
        requests: requests by path and status.
        seconds: duration of requests by path.
        batch_sizes: images in each batch.
        images: answered images by predicted class.
        doubtful: images that need a second look, by reason.
        turned_away: requests that found the queue full.
    """

    def __init__(self, count_waiting: Callable[[], float]) -> None:
        """Start with zeros.

        Args:
            count_waiting: returns the number of images that wait for an answer.
        """
        # A registry of its own: all servers of a process would share the library's.
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self.requests = Counter(
            "apparel_requests", "Requests.", ["path", "status"], registry=registry
        )
        self.seconds = Histogram(
            "apparel_request_seconds",
            "From a request's headers to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=registry,
        )
        self.batch_sizes = Histogram(
            "apparel_batch_images", "Images answered at once.", buckets=BATCHES, registry=registry
        )
        self.images = Counter(
            "apparel_images", "Images by predicted class.", ["label"], registry=registry
        )
        self.turned_away = Counter(
            "apparel_turned_away_requests", "Requests that found the queue full.", registry=registry
        )
        self.doubtful = Counter(
            "apparel_doubtful_images",
            "Images that could not be read, are unlike the training images, or whose answer is not "
            "sure.",
            ["why"],
            registry=registry,
        )
        Gauge(
            "apparel_waiting_images", "Images that wait for an answer.", registry=registry
        ).set_function(count_waiting)

    def count_answers(self, answers: Sequence[Answer], threshold: float) -> None:
        """Count the answers to images.

        Args:
            answers: answers to any number of images.
            threshold: confidence below which an answer is not sure.
        """
        for answer in answers:
            if isinstance(answer, FailedImage):
                self.doubtful.labels("unreadable").inc()
                continue
            self.images.labels(answer.label).inc()
            if answer.confidence < threshold:
                self.doubtful.labels("not sure").inc()
            if answer.is_unlike:
                self.doubtful.labels("unlike").inc()

    def text(self) -> bytes:
        """Write all counts in Prometheus's text format."""
        return generate_latest(self._registry)
