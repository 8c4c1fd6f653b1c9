"""Scores against a mixture of well separated modes, in PacGAN's protocol.

References:
  Lin et al., PacGAN, https://arxiv.org/abs/1712.04086, 2018, section 4.1.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp

Array = jax.Array


class ModeScores(NamedTuple):
  """What `mode_scores` returns, all scalars.

  Attributes:
    modes: how many modes have at least one high-quality sample.
    high_quality: share of samples within 3 sigma of a centre, in [0, 1].
    reverse_kl: KL of the histogram of nearest modes to the uniform one, nats.
  """

  modes: Array
  high_quality: Array
  reverse_kl: Array


def kl_to_uniform(share: Array) -> Array:
  """KL of shares `[k]`, which sum to 1, to k equal ones; scalar, nats."""
  return jax.scipy.special.xlogy(share, share * len(share)).sum()


def mode_scores(samples: Array, centres: Array, sigma: float) -> ModeScores:
  """Coverage and quality of samples of an equal mixture of round Gaussians.

  Perfect samples in two dimensions have high_quality 1 - exp(-9/2) = 0.9889
  and, with n samples and k modes, reverse_kl of about (k - 1) / (2 n).

  Args:
    samples: `[n, d]`.
    centres: `[k, d]`.
    sigma: standard deviation of each coordinate around a centre, above 0.

  Returns:
    The scores.

  Raises:
    AssertionError: for shapes that do not match.
    ValueError: for a sigma not above 0.
  """
  chex.assert_rank([samples, centres], 2)
  chex.assert_equal_shape_suffix([samples, centres], 1)
  if not sigma > 0:
    raise ValueError(f'sigma={sigma}: must be above 0')
  distances = jnp.linalg.norm(samples[:, None] - centres[None], axis=-1)
  nearest = distances.argmin(axis=1)
  good = distances.min(axis=1) <= 3 * sigma
  one_hot = jax.nn.one_hot(nearest, len(centres))
  share = one_hot.mean(axis=0)
  return ModeScores(
    modes=((one_hot * good[:, None]).sum(axis=0) > 0).sum(),
    high_quality=good.mean(),
    reverse_kl=kl_to_uniform(share),
  )
