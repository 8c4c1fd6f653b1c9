"""Mode coverage of mixtures with separate modes, by PacGAN's protocol.

References:
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.1.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing
from gan_jax.metrics import checks

Array = jax.Array


class ModeScores(NamedTuple):
  """Scores from `mode_scores`, all scalars.

  Attributes:
    modes: number of modes with at least one high-quality sample.
    high_quality: share of samples within 3 sigma of a center, in [0, 1].
    reverse_kl: KL divergence of the histogram of nearest modes from the uniform
      distribution, in nats.
  """

  modes: Array
  high_quality: Array
  reverse_kl: Array


def kl_to_uniform(share: Array) -> Array:
  """Computes KL(share || uniform) of shares `[k]` that sum to 1, in nats."""
  share = checks.at_least_float32(share)
  return jax.scipy.special.xlogy(share, share * len(share)).sum()


def mode_scores(samples: Array, centers: Array, sigma: float) -> ModeScores:
  """Scores samples of an equal mixture of isotropic Gaussians.

  Perfect samples in two dimensions have high_quality 1 - exp(-9/2) = 0.9889
  and, with n samples and k modes, reverse_kl of about (k - 1) / (2 n).

  Args:
    samples: samples, `[n, d]`, float.
    centers: centers of the modes, `[k, d]`, float.
    sigma: standard deviation of each coordinate around a center, above 0.

  Returns:
    The scores.

  Raises:
    AssertionError: if shapes do not match, or numbers are integers.
    ValueError: if sigma is not above 0 and finite, there are no samples or no
      centers, or numbers are not finite.
  """
  chex.assert_rank([samples, centers], 2)
  checks.check_feature_sets(samples=samples, centers=centers)
  chex.assert_rank(sigma, 0)
  if tracing.fails(lambda sigma: 0 < sigma < jnp.inf, sigma):
    raise ValueError(f'sigma={sigma}: must be above 0 and finite')
  return _mode_scores(samples, centers, sigma)


@jax.jit
def _mode_scores(samples, centers, sigma):
  samples, centers = map(checks.at_least_float32, (samples, centers))
  scale = checks.power_of_two_scale(samples, centers)  # keeps squares in range
  offsets = samples[:, None] * scale - centers[None] * scale
  distances = jnp.linalg.norm(offsets, axis=-1) / scale
  nearest = distances.argmin(axis=1)
  good = distances.min(axis=1) <= 3 * sigma
  one_hot = jax.nn.one_hot(nearest, len(centers))
  share = one_hot.mean(axis=0)
  return ModeScores(
    modes=((one_hot * good[:, None]).sum(axis=0) > 0).sum(),
    high_quality=good.mean(),
    reverse_kl=kl_to_uniform(share),
  )
