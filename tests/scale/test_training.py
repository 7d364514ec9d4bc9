"""Training on workers of a made-up cluster: what the driver asks for, shows and raises."""

from types import SimpleNamespace

import pytest

from apparel.core import backend
from apparel.core.errors import ApparelError
from apparel.scale import training
from apparel.scale.training import RayWorkers
from tests.scale.fake_ray import TrainingFailedError


@pytest.fixture
def asked(monkeypatch):
    """What workers were asked to prepare."""
    asked = []

    def prepared(*arguments):
        asked.append(arguments)
        return fit

    monkeypatch.setattr(training, "_prepared", prepared)
    monkeypatch.setattr(backend, "use_threads", lambda n: None)
    return asked


def fit(worker):
    print(f"epoch 1/2 of {worker}\nepoch 2", end="/2\n")


def train(folder, n_workers=1, source="fashion-mnist"):
    workers = RayWorkers(n_workers, "local", source, None)
    workers.train(SimpleNamespace(path=folder))


def test_workers_train_and_their_lines_are_shown(fake_ray, asked, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    train(tmp_path, source="images")
    assert asked == [(tmp_path, str(tmp_path / "images"), None)]
    assert ("train", 1, {"CPU": 1}) in fake_ray.calls
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "Training on 1 workers of the Ray cluster, 1 CPUs each",
        "epoch 1/2 of Worker(rank=0, size=1)",
        "epoch 2/2",
    ]


def test_workers_that_cannot_train_are_told_of(fake_ray, asked, tmp_path):
    fake_ray.fails["train"] = TrainingFailedError("a trace\nand the actor died\n")
    with pytest.raises(ApparelError, match="more than 5 times, at last with: and the actor died"):
        train(tmp_path)
    fake_ray.fails["train"] = TrainingFailedError()
    with pytest.raises(ApparelError, match="at last with: TrainingFailedError"):
        train(tmp_path)
    with pytest.raises(ApparelError, match=r"--workers 5 needs as many .* the Ray cluster has 2"):
        train(tmp_path, n_workers=5)


def test_why_a_worker_cannot_do_its_share_is_raised_here(fake_ray, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backend, "use_threads", lambda n: None)
    with pytest.raises(ApparelError, match="does not see the run directory"):
        train(tmp_path / "nowhere")
    assert "epoch" not in capsys.readouterr().err
