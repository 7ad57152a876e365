"""Signals chosen by name, in Python and in YAML."""

import pickle

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from stabilimeter.callbacks.catalogue import CATALOGUE, chosen_signals
from stabilimeter.callbacks.signals import DEFAULT_SIGNALS
from stabilimeter.callbacks.signals.data_wait import DATA_WAIT
from stabilimeter.callbacks.signals.loss import LOSS


def test_every_key_is_in_one_group_only():
    keys = [signal.spec.key for group in CATALOGUE.values() for signal in group]
    assert len(keys) == len(set(keys)) >= 20


def test_signals_travel_to_spawned_processes():
    arrived = pickle.loads(pickle.dumps(CATALOGUE))
    for name, signals in CATALOGUE.items():
        assert [s.spec for s in arrived[name]] == [s.spec for s in signals]
        probes = [
            (getattr(a, "probe", None), getattr(b, "probe", None)) for a, b in zip(arrived[name], signals, strict=True)
        ]
        assert all(a == b for a, b in probes)  # a view finds them by their equality


def test_names_and_signals_may_be_mixed():
    assert chosen_signals(None) == chosen_signals(["default"]) == DEFAULT_SIGNALS
    assert chosen_signals([LOSS, "data_wait"]) == (LOSS, DATA_WAIT)
    assert chosen_signals(["data_wait", *DEFAULT_SIGNALS]) == (DATA_WAIT, *DEFAULT_SIGNALS)


@pytest.mark.parametrize(
    ("choice", "message"),
    [(["defaults"], "no signal is called 'defaults'; choose from default, loss_spread"), ("default", "must be a list")],
)
def test_a_wrong_name_is_told_at_once(choice, message):
    with pytest.raises(ValueError, match=message):
        chosen_signals(choice)


def test_names_in_yaml(make_trainer, probe_class, tmp_path):
    config = OmegaConf.create("{_target_: stabilimeter.StabilityMonitor, signals: [default, data_wait]}")
    monitor = instantiate(config)
    make_trainer(monitor, limit_val_batches=0).fit(probe_class())
    assert "data_wait_s" in (tmp_path / "stability" / "manifest.json").read_text()
