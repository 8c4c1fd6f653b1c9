"""Scores: pure functions of arrays."""

from gan_jax.evaluation import (
  conditional,
  frechet,
  gaussian,
  inception,
  inception_score,
  kernel,
  manifold,
  mixtures,
  mnist_classifier,
  resampling,
  resize,
  sliced,
  small_classifier,
  stacked,
  two_sample,
)
