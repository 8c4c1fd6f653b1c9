"""Experiments: from a config to everything that a program needs."""

from gan_jax.experiment.ensemble import EnsembleExperiment, build_ensemble
from gan_jax.experiment.experiment import Experiment, build

__all__ = [
  'EnsembleExperiment',
  'Experiment',
  'build',
  'build_ensemble',
]
