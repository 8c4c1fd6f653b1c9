"""Facts about the metrics, and the options of evaluation.

`gan_jax.metrics` holds the functions. This module holds what the
rules of a config need to know, so that a config is checked without JAX.
"""

import dataclasses
from typing import NamedTuple

from gan_jax.config.fields import option


class MetricFacts(NamedTuple):
  """Properties of a metric.

  Attributes:
    inception: Whether it is defined on the features of the FID Inception
      network alone.
    needs_labels: Whether both sets need classes.
    needs_class_head: Whether it is defined on features with a class head
      alone, those in CLASS_HEAD_FEATURES.
    sources: Data whose distribution is known, which it needs; () for any data.
  """

  inception: bool = False
  needs_labels: bool = False
  needs_class_head: bool = False
  sources: tuple[str, ...] = ()


METRICS: dict[str, MetricFacts] = {
  'fid': MetricFacts(inception=True),
  'fd': MetricFacts(),
  'kid': MetricFacts(inception=True),
  'kd': MetricFacts(),
  'is': MetricFacts(inception=True),
  'classifier_score': MetricFacts(needs_class_head=True),
  'prdc': MetricFacts(),
  'swd': MetricFacts(),
  'mmd': MetricFacts(),
  'c2st': MetricFacts(),
  'nn': MetricFacts(),
  'intra_fd': MetricFacts(needs_labels=True),
  'cas': MetricFacts(needs_labels=True),
  'class_accuracy': MetricFacts(needs_labels=True),
  'class_diversity': MetricFacts(needs_labels=True),
  'kl': MetricFacts(sources=('gaussian',)),
  'modes': MetricFacts(sources=('ring', 'grid')),
  'stacked_modes': MetricFacts(sources=('stacked_mnist',)),
}
METRIC_ALIASES = {
  'frechet_inception_distance': 'fid',
  'inception_score': 'is',
  'precision': 'prdc',
  'recall': 'prdc',
  'density': 'prdc',
  'coverage': 'prdc',
  'gan_test': 'class_accuracy',
  'gan_train': 'cas',
}
FEATURES = ('pixels', 'inception', 'mnist', 'spoken_digits')
CLASS_HEAD_FEATURES = ('inception', 'spoken_digits')
PROTOCOLS = ('legacy_tensorflow', 'legacy_pytorch', 'clean')


@dataclasses.dataclass(frozen=True)
class Eval:
  """How samples are scored; `eval_every` says when.

  Attributes:
    metrics: Names in METRICS, separated by commas. '' takes those that fit the
      data. Checkpoints are ranked by the first.
    num_samples: Samples to score.
    num_real: Real examples to compare with. 0 takes all.
    features: Features of the examples, one of FEATURES. '' takes Inception's
      if a metric needs them, else pixels.
    feature_weights: File of the feature network's weights; '' for the usual.
    protocol: How images are resized for Inception, one of PROTOCOLS.
    reference_split: Split to compare with, 'train' or 'test', or 'all' if
      none is held out. '' takes each metric's own.
  """

  metrics: str = option('')
  num_samples: int = option(1000, at_least=2)
  num_real: int = option(0, at_least=0)
  features: str = option('', choices=('', *FEATURES))
  feature_weights: str = option('')
  protocol: str = option('legacy_tensorflow', choices=PROTOCOLS)
  reference_split: str = option('', choices=('', 'train', 'test', 'all'))
