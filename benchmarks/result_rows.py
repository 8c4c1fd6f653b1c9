"""The rows of docs/results.md: protocols, configs, published numbers."""

import dataclasses
from typing import Any, Mapping, NamedTuple

from gan_jax.runner import config_file


class Score(NamedTuple):
  """A column of a row's table.

  Attributes:
    name: name of the score in the records.
    header: header of the column.
    scale: factor for the table, such as 100 for percent.
  """

  name: str
  header: str
  scale: float = 1.0


@dataclasses.dataclass(frozen=True)
class Row:
  """A result: what is trained, how it is scored, and what it stands beside.

  Attributes:
    title: title of its section.
    config: config of the library, such as 'ring' or 'sngan_cifar10:conditional'.
    protocol: data, sizes, and what is scored, in a sentence.
    scores: columns.
    published: published rows, each (source, cells of the columns).
    changes: fields of the config that differ, by dotted name.
    seeds: members of an ensemble; 1 for a single run.
    scoring: fields of config.eval for the scores after a single run; empty for
      an ensemble, whose members are scored at the end of training.
    marks: number of times that samples are saved during a run with --minutes.
    needs: data that must be given, in words.
  """

  title: str
  config: str
  protocol: str
  scores: tuple[Score, ...]
  published: tuple[tuple[str, tuple[str, ...]], ...] = ()
  changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  seeds: int = 1
  scoring: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  marks: int = 0
  needs: str = ''

  def make_config(self, options: Mapping[str, Any] | None = None) -> Any:
    """Returns the config of the row.

    Args:
      options: further fields by dotted name, such as those of the data.
    """
    config = config_file.load_config(self.config)
    more = {'ensemble.seeds': self.seeds} if self.seeds > 1 else {}
    fields = dict(self.changes) | more | dict(options or {})
    for name, value in fields.items():
      section, *names = config, *name.split('.')
      for part in names[:-1]:
        section = section[part]
      section[names[-1]] = value
    return config

  def command(self) -> str:
    """Returns the command of train.py that trains the same."""
    parts = [f'python train.py --config={self.config}']
    more = {'ensemble.seeds': self.seeds} if self.seeds > 1 else {}
    fields = {**self.changes, **more}
    return ' '.join([*parts, *(f'--config.{n}={v}' for n, v in fields.items())])


_MNIST = 'python -m gan_jax.data.prepare mnist'
_CIFAR10 = 'python -m gan_jax.data.prepare cifar10'
_KL = (Score('KL to the truth, nats', 'KL, nats'),)
_MODES = (
  Score('modes found', 'modes'),
  Score('share within 3 sigma', 'within 3 sigma, %', 100),
  Score('reverse KL, nats', 'reverse KL'),
)
_STACKED = (
  Score('modes found of 1,000', 'modes'),
  Score('reverse KL, nats', 'reverse KL'),
)
_BY_CLASS = (
  Score('class accuracy', 'class accuracy'),
  Score('class diversity', 'class diversity'),
  Score('Frechet distance', 'Frechet distance'),
)
_DIGITS = dict(
  metrics='class_accuracy,class_diversity,fd',
  features='mnist',
  num_samples=10_000,
)
_FID = (Score('FID', 'FID'), Score('Inception Score', 'IS'))
_FID_50K = dict(metrics='fid,is', num_samples=50_000)
_FID_10K = dict(metrics='fid', num_samples=10_000)
_PACGAN = (
  '100,000 points; 2,500 samples; 10 seeds. The published rows have 400 epochs '
  'of batch 100 and other networks.'
)
_MIMICRY = (
  "Mimicry's: 100,000 steps of batch 64, 5 D steps each; 50,000 samples against "
  'the 50,000 training images. The published rows are means of 3 seeds.'
)

ROWS: dict[str, Row] = {
  'd2l': Row(
    'The toy of Dive into Deep Learning',
    'd2l_gaussian',
    "The book's semantics: 1,000 points of a 2-D Gaussian, batch 8, 20 epochs, "
    'sums as losses; KL of the Gaussian fitted to 1,000 samples, 64 seeds.',
    _KL,
    (('Dive into Deep Learning, JAX, one seed', ('0.051',)),),
    seeds=64,
  ),
  'd2l_stable': Row(
    'The same toy with a better recipe',
    'd2l_gaussian:stable',
    'The same data, G and score; a larger D and another game (see the config).',
    _KL,
    (('Dive into Deep Learning, JAX, one seed', ('0.051',)),),
    seeds=64,
  ),
  'ring': Row(
    'Ring of 8 Gaussians',
    'ring',
    f'8 modes, radius 1, sigma 0.01; {_PACGAN}',
    _MODES,
    (
      ('GAN (PacGAN, table 1)', ('6.3', '98.2', '0.45')),
      ('ALI', ('6.6', '97.6', '0.36')),
      ('PacGAN2', ('7.9', '95.6', '0.07')),
      ('PacGAN4', ('7.8', '95.9', '0.07')),
    ),
    seeds=10,
  ),
  'grid': Row(
    'Grid of 25 Gaussians',
    'grid',
    f'25 modes, spacing 2, sigma 0.05; {_PACGAN}',
    _MODES,
    (
      ('GAN (PacGAN, table 2)', ('17.3', '94.8', '0.70')),
      ('ALI', ('24.1', '95.7', '0.14')),
      ('PacGAN2', ('23.8', '91.3', '0.13')),
      ('PacGAN4', ('24.8', '93.6', '0.04')),
    ),
    seeds=10,
  ),
  'ring_pacgan': Row(
    'Ring, in the protocol to the letter',
    'ring:pacgan',
    "PacGAN's networks, batches, Adam and 400,000 steps; 10 seeds.",
    _MODES,
    (('GAN (PacGAN, table 1)', ('6.3', '98.2', '0.45')),),
    seeds=10,
  ),
  'grid_pacgan': Row(
    'Grid, in the protocol to the letter',
    'grid:pacgan',
    "PacGAN's networks, batches, Adam and 400,000 steps; 10 seeds.",
    _MODES,
    (('GAN (PacGAN, table 2)', ('17.3', '94.8', '0.70')),),
    seeds=10,
  ),
  'stacked_mnist': Row(
    'Stacked MNIST, DCGAN',
    'stacked_mnist',
    '128,000 stacks of three digits, 100,000 steps of batch 64; 26,000 samples; '
    '5 seeds as one program. PacGAN halves the images four times, not twice.',
    _STACKED,
    (
      ('DCGAN (PacGAN)', ('78.9', '4.50')),
      ('VEEGAN', ('150', '2.95')),
      ('PacDCGAN2', ('1000', '0.06')),
    ),
    seeds=5,
    needs=_MNIST,
  ),
  'stacked_mnist_rpgan': Row(
    'Stacked MNIST, RpGAN + R1 + R2',
    'stacked_mnist:rpgan',
    'The same data, steps and score.',
    _STACKED,
    (
      ('PacDCGAN2', ('1000', '0.06')),
      ('RpGAN + R1 + R2 (R3GAN, ablation)', ('1000', '0.078')),
      ('GAN + R1 + R2 (R3GAN, ablation)', ('693', '0.927')),
    ),
    seeds=5,
    needs=_MNIST,
  ),
  'mnist': Row(
    'MNIST by class',
    'mnist',
    '10 epochs; 10,000 samples against the training digits, by the features of '
    'the digit classifier of the package. No published row has this protocol.',
    _BY_CLASS,
    changes={'conditional': True},
    scoring=_DIGITS,
    needs=_MNIST,
  ),
  'fashion_mnist': Row(
    'Fashion-MNIST by class',
    'fashion_mnist',
    '10 epochs; 10,000 samples against the training images; class accuracy and '
    'diversity on pixels. No published row has this protocol.',
    _BY_CLASS[:2],
    changes={'conditional': True},
    scoring=dict(
      metrics='class_accuracy,class_diversity',
      features='pixels',
      num_samples=10_000,
    ),
    needs='python -m gan_jax.data.prepare fashion_mnist',
  ),
  'fsdd': Row(
    'Spoken digits by class, WaveGAN',
    'wavegan_digits',
    'Free Spoken Digit Dataset, 20,000 steps of batch 32; 1,000 samples, by the '
    'classifier of spoken digits of the package. No published row has this '
    'protocol.',
    (*_BY_CLASS, Score('classifier score', 'classifier score')),
    scoring=dict(
      metrics='class_accuracy,class_diversity,fd,classifier_score',
      features='spoken_digits',
      num_samples=1000,
    ),
    needs='--audio=PATH (docs/sound.md)',
  ),
  'sngan_minutes': Row(
    'SNGAN of half the width, FID against minutes',
    'sngan_cifar10',
    'CIFAR-10; 32 channels of 64, batch 128, bfloat16, a constant learning rate '
    'and an EMA, for as long as --minutes says; 10,000 samples against the '
    'training images, never to be compared with rows of 50,000.',
    _FID[:1],
    changes={
      'generator.sngan.width': 32,
      'discriminator.sngan.width': 32,
      'batch_size': 128,
      'compute_dtype': 'bfloat16',
      'ema_decay': 0.999,
      'schedules': '',
    },
    scoring=_FID_10K,
    marks=4,
    needs=_CIFAR10,
  ),
  'r3gan_small': Row(
    'R3GAN-small, FID against minutes',
    'r3gan_cifar10:small',
    'CIFAR-10 by class, a quarter of the channels and of the batch; 10,000 '
    'samples against the training images.',
    _FID[:1],
    changes={'compute_dtype': 'bfloat16'},
    scoring=_FID_10K,
    marks=4,
    needs=_CIFAR10,
  ),
  'stylegan2_small': Row(
    'StyleGAN2-small, FID against minutes',
    'stylegan2_cifar10:small',
    'CIFAR-10, 128 channels of 512, 25 million images; 10,000 samples against '
    'the training images.',
    _FID[:1],
    changes={'compute_dtype': 'bfloat16'},
    scoring=_FID_10K,
    marks=4,
    needs=_CIFAR10,
  ),
  'cifar10': Row(
    'CIFAR-10, DCGAN',
    'cifar10',
    '100,000 steps of batch 64; 50,000 samples against the training images. The '
    "published row is StudioGAN's, with its own networks.",
    _FID,
    (('DCGAN (StudioGAN)', ('48.29', '6.11')),),
    scoring=_FID_50K,
    needs=_CIFAR10,
  ),
  'sngan': Row(
    'CIFAR-10, SNGAN',
    'sngan_cifar10',
    _MIMICRY,
    _FID,
    (
      ('WGAN-GP (Mimicry)', ('22.29', '7.33')),
      ('SNGAN (Mimicry)', ('16.77', '7.97')),
    ),
    scoring=_FID_50K,
    needs=_CIFAR10,
  ),
  'sngan_conditional': Row(
    'CIFAR-10, SNGAN by class',
    'sngan_cifar10:conditional',
    _MIMICRY,
    _FID,
    (('cGAN-PD (Mimicry)', ('10.84', '8.25')),),
    scoring=_FID_50K,
    needs=_CIFAR10,
  ),
}
