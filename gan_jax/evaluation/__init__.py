"""Scores generated examples against real ones."""

from gan_jax.evaluation.evaluator import Evaluator, make_evaluator
from gan_jax.evaluation.feature_extractors import FeatureExtractor
from gan_jax.evaluation.registry import METRICS

__all__ = ['Evaluator', 'FeatureExtractor', 'METRICS', 'make_evaluator']
