"""Evaluates generated examples against baselines of real examples."""

from gan_jax.evaluation.evaluator import Evaluator, make_evaluator
from gan_jax.evaluation.feature_extractors import (
  FEATURE_EXTRACTORS,
  FeatureExtractor,
)
from gan_jax.evaluation.registry import METRICS

__all__ = [
  'Evaluator',
  'FEATURE_EXTRACTORS',
  'FeatureExtractor',
  'METRICS',
  'make_evaluator',
]
