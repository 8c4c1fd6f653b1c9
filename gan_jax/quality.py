"""The score that fits a run's data, beside its floor.

A Gaussian is scored by the KL of a Gaussian fitted to samples, a mixture by
its modes, anything else by a two-sample test on pixels. Each row of the
result is a mean and a standard error over repeated draws of samples; the
floor row is the same score of real data at the same sample size.
"""

from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax.data import synthetic
from gan_jax.evaluation import gaussian, mixtures, two_sample
from gan_jax.steps import to_float

_SEEDS = range(1, 6)


class Row(NamedTuple):
  """One score.

  Attributes:
    name: what is scored, with its protocol.
    value: mean over draws of samples.
    error: standard error of that mean.
    floor: the same of real data; for a share, the ceiling.
    floor_error: its standard error.
  """

  name: str
  value: float
  error: float
  floor: float
  floor_error: float


def _row(name: str, values: list, floors: list) -> Row:
  def summary(x):
    x = np.asarray(x, np.float64)
    return float(x.mean()), float(x.std(ddof=1) / np.sqrt(len(x)))

  return Row(name, *summary(values), *summary(floors))


def _rounded(x) -> list:
  return np.round(np.asarray(x, np.float64), 3).tolist()


def _score_gaussian(sample, truth, size):
  kl = lambda x: float(
    gaussian.kl_divergence(*gaussian.fit(x), truth.mean, truth.covariance)
  )
  mean, covariance = gaussian.fit(sample(size, 1))
  pairs = (
    ('mean', mean, truth.mean),
    ('covariance', covariance, truth.covariance),
  )
  notes = [
    f'{what} {_rounded(fitted)}, truth {_rounded(true)}'
    for what, fitted, true in pairs
  ]
  row = _row(
    f'KL of the fitted Gaussian to the truth, {size} samples, nats',
    [kl(sample(size, seed)) for seed in _SEEDS],
    [kl(truth.sample(size, [seed, 2])) for seed in range(50)],
  )
  return [row], notes


def _score_mixture(sample, truth, size):
  scores = lambda x: jax.device_get(
    mixtures.mode_scores(x, truth.centres, truth.sigma)
  )
  found = [scores(sample(size, seed)) for seed in _SEEDS]
  best = [scores(truth.sample(size, [seed, 2])) for seed in range(20)]
  names = (
    f'modes found of {len(truth.centres)}, {size} samples',
    'share within 3 sigma of a mode',
    'reverse KL of the modes to uniform, nats',
  )
  return [_row(*each) for each in zip(names, zip(*found), zip(*best))], []


def _score_images(sample, train, test, size):
  size = min(size, len(test), len(train))

  def pick(source, seed):
    chosen = np.random.default_rng(seed).permutation(len(source))[:size]
    return to_float(jnp.asarray(source[chosen]['x']))

  accuracy = jax.jit(two_sample.nearest_neighbour_accuracy)
  held_out = [pick(test, seed) for seed in _SEEDS]
  row = _row(
    f'1-NN two-sample accuracy on pixels, {size} a side against held-out '
    'data (0.5: alike, 1: told apart)',
    [accuracy(sample(size, s), x) for s, x in zip(_SEEDS, held_out)],
    [accuracy(pick(train, s), x) for s, x in zip(_SEEDS, held_out)],
  )
  return [row], []


def score(
  sample: Callable[[int, int], np.ndarray], train: Any, test: Any, size: int
) -> tuple[list[Row], list[str]]:
  """Scores a generator against its data.

  Args:
    sample: (count, seed) -> generated examples `[count, ...]` float32.
    train: the training source.
    test: the held-out source.
    size: samples per set; fewer where the held-out source has fewer.

  Returns:
    The rows, and sentences that go with them.
  """
  truth = getattr(train, 'truth', None)
  if isinstance(truth, synthetic.Gaussian):
    return _score_gaussian(sample, truth, size)
  if isinstance(truth, synthetic.Mixture):
    return _score_mixture(sample, truth, size)
  return _score_images(sample, train, test, size)
