"""Facts about the adversarial losses, and the options of those that have any.

`gan_jax.losses` holds the functions. What the rules of a config must know of
them stands here, so that a config is checked without importing JAX.
"""

import dataclasses
from typing import NamedTuple

from gan_jax.config.fields import option


class LossFacts(NamedTuple):
  """Properties of a loss.

  Attributes:
    coupled: Whether it mixes the examples of a batch.
    output: What the discriminator must return: 'logits', 'features' or
      'scores' (both); '' if the config does not know.
    has_targets: Whether the discriminator's loss has a target for real
      examples, which label smoothing lowers.
    min_batch: Smallest batch, in inputs of the discriminator, that it is
      defined for.
    is_relative: Whether it compares real with generated examples, which then
      must have the same classes.
  """

  coupled: bool = False
  output: str = 'logits'
  has_targets: bool = False
  min_batch: int = 1
  is_relative: bool = False


_DIVERGENCES = (
  'kl',
  'reverse_kl',
  'pearson',
  'jensen_shannon',
  'squared_hellinger',
)
_MMD = LossFacts(coupled=True, output='features', min_batch=2)
LOSSES: dict[str, LossFacts] = {
  'minimax': LossFacts(has_targets=True),
  'non_saturating': LossFacts(has_targets=True),
  'least_squares': LossFacts(has_targets=True),
  'hinge': LossFacts(),
  'wasserstein': LossFacts(),
  'rpgan': LossFacts(is_relative=True),
  'ragan': LossFacts(coupled=True, is_relative=True),
  'ralsgan': LossFacts(coupled=True, is_relative=True),
  'rahinge': LossFacts(coupled=True, is_relative=True),
  **{f'f_{name}': LossFacts() for name in _DIVERGENCES},
  **{f'f_{name}_non_saturating': LossFacts() for name in _DIVERGENCES},
  'mmd_gaussian': _MMD,
  'mmd_rational_quadratic': _MMD,
  'dual_contrastive': LossFacts(coupled=True, is_relative=True),
  'feature_matching': LossFacts(
    coupled=True, output='scores', has_targets=True
  ),
}
# A loss that a program passes to experiment.build, which checks the rest.
OWN_LOSS = LossFacts(output='', has_targets=True)

# Other names of one loss each.
LOSS_ALIASES = {
  'bce': 'non_saturating',
  'vanilla': 'non_saturating',
  'ns': 'non_saturating',
  'nsgan': 'non_saturating',
  'ns_gan': 'non_saturating',
  'nonsaturating': 'non_saturating',
  'saturating': 'minimax',
  'mm': 'minimax',
  'mmgan': 'minimax',
  'ls': 'least_squares',
  'lsgan': 'least_squares',
  'wgan': 'wasserstein',
  'rsgan': 'rpgan',
  'relativistic': 'rpgan',
  'rasgan': 'ragan',
  'relativistic_average': 'ragan',
  'relativistic_average_least_squares': 'ralsgan',
  'rahingegan': 'rahinge',
  'relativistic_average_hinge': 'rahinge',
  'mmd_rbf': 'mmd_gaussian',
  'mmd_rq': 'mmd_rational_quadratic',
  'dcl': 'dual_contrastive',
}

# Names that stand for a loss and other options, or for several losses.
LOSS_POINTERS = {
  'wgan_gp': "set loss='wasserstein' and penalties.wgan_gp.weight=10",
  'wgan_lp': "set loss='wasserstein' and penalties.wgan_lp.weight=10",
  'gp': "set loss='wasserstein' and penalties.wgan_gp.weight=10",
  'gradient_penalty': (
    "set loss='wasserstein' and penalties.wgan_gp.weight=10"
  ),
  'dragan': "set loss='non_saturating' and penalties.dragan.weight=10",
  'r3gan': (
    "set loss='rpgan', penalties.r1.weight=1 and penalties.r2.weight=1"
  ),
  'pacgan': "set packing=2 with any loss, such as loss='non_saturating'",
  'f_gan': "choose a divergence, such as loss='f_kl'",
  'fgan': "choose a divergence, such as loss='f_kl'",
  'mmd': "choose a kernel: loss='mmd_gaussian' or 'mmd_rational_quadratic'",
  'mmd_gan': (
    "choose a kernel: loss='mmd_gaussian' or 'mmd_rational_quadratic'"
  ),
}


@dataclasses.dataclass(frozen=True)
class LeastSquares:
  """Options of the least squares loss (Mao et al., 2017).

  Attributes:
    real_target: The discriminator's target b of real examples, above
      `fake_target`.
    fake_target: The discriminator's target a of generated examples.
    generator_target: The generator's target c of its examples.
  """

  real_target: float = option(1.0)
  fake_target: float = option(0.0)
  generator_target: float = option(1.0)


@dataclasses.dataclass(frozen=True)
class MMDGaussian:
  """Options of MMD-GAN with a mixture of Gaussian kernels.

  Attributes:
    sigmas: Widths of the kernels.
  """

  sigmas: tuple[float, ...] = option(
    (1.0, 2.0, 4.0, 8.0, 16.0), at_least=1e-9, at_most=1e9, filled=True
  )


@dataclasses.dataclass(frozen=True)
class MMDRationalQuadratic:
  """Options of MMD-GAN with a mixture of rational quadratic kernels.

  Attributes:
    alphas: Exponents of the kernels.
  """

  alphas: tuple[float, ...] = option(
    (0.2, 0.5, 1.0, 2.0, 5.0), at_least=1e-9, at_most=1e9, filled=True
  )


@dataclasses.dataclass(frozen=True)
class LossOptions:
  """Options of the losses that have any, one section for each.

  Attributes:
    least_squares: Options of loss='least_squares'.
    mmd_gaussian: Options of loss='mmd_gaussian'.
    mmd_rational_quadratic: Options of loss='mmd_rational_quadratic'.
  """

  least_squares: LeastSquares = LeastSquares()
  mmd_gaussian: MMDGaussian = MMDGaussian()
  mmd_rational_quadratic: MMDRationalQuadratic = MMDRationalQuadratic()


@dataclasses.dataclass(frozen=True)
class TopK:
  """Top-k training: the generator learns from its best examples only.

  The share of the batch is max(fraction, gamma^(step // every)), or
  `fraction` from the start if `every` is 0.

  Attributes:
    fraction: Smallest share of the batch, in (0, 1]. 1 uses all examples.
    gamma: Factor on the share after each period, in (0, 1].
    every: Steps in a period. 0 turns the decay off.
  """

  fraction: float = option(1.0, above=0, at_most=1)
  gamma: float = option(1.0, above=0, at_most=1)
  every: int = option(0, at_least=0)
