"""What a server has done, in Prometheus's format."""

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
        requests: by path and status.
        seconds: that requests took, by path.
        batch_sizes: images that were answered at once.
        images: that were answered, by what was said of them.
        turned_away: requests that found the queue full.
    """

    def __init__(self) -> None:
        # A registry of its own: the library's would be shared by all servers of a process.
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self.requests = Counter(
            "apparel_requests", "Requests.", ["path", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "apparel_request_seconds",
            "From a request's headers to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.batch_sizes = Histogram(
            "apparel_batch_images",
            "Images answered at once.",
            buckets=BATCHES,
            registry=self._registry,
        )
        self.images = Counter(
            "apparel_images", "Images by predicted class.", ["label"], registry=self._registry
        )
        self.turned_away = Counter(
            "apparel_turned_away_requests",
            "Requests that found the queue full.",
            registry=self._registry,
        )
        self.doubtful = Counter(
            "apparel_doubtful_images",
            "Images that could not be read, are unlike the training images, or whose answer is not "
            "sure.",
            ["why"],
            registry=self._registry,
        )
        self._waiting = Gauge(
            "apparel_waiting_images", "Images that wait for an answer.", registry=self._registry
        )

    def watch_queue(self, n_waiting: Callable[[], float]) -> None:
        """Let the number of waiting images be asked for when the counts are."""
        self._waiting.set_function(n_waiting)

    def count_answers(self, answers: Sequence[Answer], threshold: float) -> None:
        """Count what was said of images.

        Args:
            answers: of any number of images.
            threshold: the confidence below which an answer is not sure.
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
        """Everything, in Prometheus's text format."""
        return generate_latest(self._registry)
