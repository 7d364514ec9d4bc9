"""A search on a made-up cluster: its record is that of a search on one machine."""

import pytest

from apparel.core.errors import ApparelError
from apparel.scale import tuning as on_ray
from apparel.scale.cluster import HERE, connected
from apparel.training.tuning.search import open_study
from apparel.training.tuning.search import search as search_alone
from apparel.training.tuning.space import DEFAULT
from tests.training.trials import Counting, MadeUp


@pytest.fixture(autouse=True)
def _one_thread(monkeypatch):
    monkeypatch.setattr(on_ray, "use_threads", lambda n: None)


def search(folder, n_trials):
    with connected(HERE) as cluster:
        on_ray.search(cluster, seed=3, clock=Counting(folder, n_trials), trials=MadeUp(folder))


def test_trials_run_side_by_side_and_poor_ones_are_stopped(fake_ray, tmp_path, capsys):
    search(tmp_path, 7)
    trials = open_study(tmp_path).get_trials()
    assert [trial.number for trial in trials] == list(range(7))
    assert {trial.state.name for trial in trials} == {"COMPLETE", "PRUNED"}
    assert trials[0].params == dict(DEFAULT)
    assert trials[3].state.name == "PRUNED"
    lines = capsys.readouterr().err.splitlines()
    assert sorted(int(line.split()[1][:-1]) for line in lines) == list(range(7))
    assert "trial 3: 0.50% on the validation images, stopped early" in lines
    assert fake_ray.calls.count(("submit", "train_trial", 1)) == 7
    search(tmp_path, 7)  # nothing is left
    assert fake_ray.calls.count(("submit", "train_trial", 1)) == 7


def test_an_interrupted_search_is_resumed_with_or_without_ray(fake_ray, tmp_path):
    (tmp_path / "interrupt").touch()
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, 5)
    begun = {trial.number: trial.params for trial in open_study(tmp_path).get_trials()}
    assert set(begun) == {0, 1, 2}
    search(tmp_path, 5)
    search_alone(seed=3, clock=Counting(tmp_path, 6), trials=MadeUp(tmp_path))
    trials = open_study(tmp_path).get_trials()
    assert all(trial.state.is_finished() for trial in trials)
    assert [trial.params for trial in trials[:3]] == list(begun.values())
    assert len(trials) == 6


def test_a_node_that_does_not_see_the_folder_is_named(tmp_path):
    with pytest.raises(ApparelError, match="does not see the folder"):
        on_ray.train_trial(MadeUp(tmp_path / "nowhere"), 0, {})
