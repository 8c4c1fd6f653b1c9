"""Inception Score: confidence and diversity of the classes of images."""

import chex
import jax
import jax.numpy as jnp

from gan_jax.metrics import checks
from gan_jax.metrics.resampling import Estimate

Array = jax.Array


@jax.jit
def _score(logits):
  log_given = jax.nn.log_softmax(logits.astype(jnp.float64))
  log_marginal = jax.nn.logsumexp(log_given, axis=0) - jnp.log(len(logits))
  divergence = jnp.exp(log_given) * (log_given - log_marginal[None])
  return jnp.exp(divergence.sum(axis=1).mean())


def inception_score(logits: Array, *, splits: int = 10) -> Estimate:
  """Computes the Inception Score: the mean over parts of a set of images.

  exp(mean over x of KL(p(y | x) || p(y))), p(y) the mean of p(y | x) over the
  part

  Args:
    logits: classifier logits of generated images, `[n, classes]`, float, in
      random order.
    splits: number of consecutive parts; the score depends on it, since it grows
      with the size of a part.

  Returns:
    Mean over parts, from 1 to the number of classes, with its standard error,
    NaN for 1 part. Papers report the standard deviation over parts, which is
    sqrt(splits) times the error. Float64.

  Raises:
    AssertionError: if logits have another rank or are integers.
    ValueError: if splits is below 1 or above n, or logits are not finite.

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 4.
    Barratt and Sharma, A Note on the Inception Score,
    https://arxiv.org/abs/1801.01973, 2018.
  """
  chex.assert_rank(logits, 2)
  n = len(logits)
  if not 1 <= splits <= n:
    raise ValueError(f'splits={splits}: must be from 1 to the {n} images')
  checks.check_feature_sets(logits=logits)
  edges = [i * n // splits for i in range(splits + 1)]
  with jax.enable_x64(True):
    parts = jnp.stack([_score(logits[a:b]) for a, b in zip(edges, edges[1:])])
    return Estimate(parts.mean(), parts.std(ddof=1) / splits**0.5)
