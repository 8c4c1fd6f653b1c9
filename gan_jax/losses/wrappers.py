"""Wrappers of losses: label smoothing and top-k training."""

import numbers

import chex
import jax
import jax.numpy as jnp

from gan_jax import tracing
from gan_jax.collectives import all_gather
from gan_jax.losses.base import AdversarialLoss, accepts, player_loss

Array = jax.Array


def smooth_labels(
  loss: AdversarialLoss, smoothing: Array | float
) -> AdversarialLoss:
  """Applies one-sided label smoothing: D's real target is 1 - smoothing.

  Args:
    loss: loss with targets, whose discriminator takes a keyword `smoothing`
      (cross-entropy and least squares).
    smoothing: amount of smoothing, scalar in [0, 1), may be traced; 0.1 is
      common.

  Returns:
    The loss with the smoothed discriminator and an unchanged generator.

  Raises:
    ValueError: if the loss has no targets, or smoothing is out of range.
    TypeError: if smoothing is not a number.

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 3.4.
  """
  if not accepts(loss.discriminator, 'smoothing'):
    raise ValueError(
      'label smoothing is not defined for this loss: its discriminator has no '
      'targets (cross-entropy and least squares do)'
    )
  if not isinstance(smoothing, numbers.Real) and not hasattr(
    smoothing, 'shape'
  ):
    raise TypeError(f'smoothing={smoothing!r}: must be a number')
  if tracing.fails(lambda x: 0 <= x < 1, smoothing):
    raise ValueError(f'smoothing={smoothing}: must be in [0, 1)')

  def discriminator(real, fake, *, axis_name=None):
    return player_loss(
      loss, 'discriminator', real, fake, axis_name, smoothing=smoothing
    )

  return loss._replace(discriminator=discriminator)


def top_k(loss: AdversarialLoss, k: Array | int) -> AdversarialLoss:
  """Restricts the generator's loss to the k highest-scoring fakes.

  The batch is that of all devices; ties go to the earlier example. For
  per-example losses, all but the top k examples are masked to zero and the
  rest scaled by batch / k, so that the batch mean is the mean over the top k.
  For batch-coupled losses, the top k examples are tiled to fill the batch.
  Apply label smoothing before top-k.

  Args:
    loss: loss on logits, `[B]` or `[B, h, w]`; patch maps rank by their mean.
    k: number of examples kept, from 1 to the global batch size; may be traced.

  Returns:
    The loss with the top-k generator and an unchanged discriminator.

  Raises:
    ValueError: if the loss is on features or k is below 1. The loss itself
      raises it if k exceeds the batch size or the batch is empty.
    TypeError: if k is not an integer.

  References:
    Sinha et al., Top-k Training of GANs: Improving GAN Performance by
    Throwing Away Bad Samples, https://arxiv.org/abs/2002.06224, 2020.
  """
  if loss.output != 'logits':
    raise ValueError(
      'top-k ranks generated examples by their logits, but this loss is on '
      f'{loss.output}'
    )
  k = _checked_k(k)
  plain = loss

  def of_pairs(real_logits, fake_logits, *, axis_name=None):
    mask = top_k_mask(fake_logits, k, axis_name=axis_name)
    mask = mask.reshape(-1, *(1,) * (fake_logits.ndim - 1))
    # Discarded values may be infinite, and 0 times infinity is NaN.
    values = plain.generator(real_logits, jnp.where(mask > 0, fake_logits, 0))
    return jnp.where(mask > 0, values * mask, 0)

  def of_batches(real_logits, fake_logits, *, axis_name=None):
    best = _best_repeated(fake_logits, k, axis_name)
    return plain.generator(real_logits, best, axis_name=axis_name)

  def discriminator(real_logits, fake_logits, *, axis_name=None):
    return player_loss(
      plain, 'discriminator', real_logits, fake_logits, axis_name
    )

  return loss._replace(
    discriminator=discriminator,
    generator=of_batches if plain.coupled else of_pairs,
    coupled=True,
  )


def _checked_k(k):
  if not isinstance(k, numbers.Integral) and not (
    hasattr(k, 'shape') and jnp.issubdtype(k.dtype, jnp.integer)
  ):
    raise TypeError(f'k={k!r}: must be an integer')
  if tracing.fails(lambda k: k >= 1, k):
    raise ValueError(f'k={k}: must be at least 1')
  return int(k) if isinstance(k, numbers.Integral) else k


def _order(logits, k, axis_name):
  """Returns indices in the global batch by decreasing logit."""
  chex.assert_rank(logits, {1, 3})
  if not logits.size:
    raise ValueError(f'logits of shape {logits.shape}: must not be empty')
  scores = jax.lax.stop_gradient(logits.reshape(len(logits), -1).mean(axis=1))
  everyone = all_gather(scores, axis_name)
  if tracing.fails(lambda k: k <= len(everyone), k):
    raise ValueError(f'k={k}: the batch has only {len(everyone)} examples')
  return jnp.argsort(-everyone, stable=True)


def _mine(x, size, axis_name):
  """Returns this device's slice of an array over all devices."""
  if axis_name is None:
    return x
  start = jax.lax.axis_index(axis_name) * size
  return jax.lax.dynamic_slice_in_dim(x, start, size)


def _best_repeated(logits, k, axis_name):
  """Tiles the top k logits of all devices; returns this device's slice."""
  order = _order(logits, k, axis_name)
  chosen = order[jnp.arange(len(order)) % k]
  mine = _mine(chosen, len(logits), axis_name)
  return all_gather(jnp.asarray(logits), axis_name)[mine]


def top_k_mask(
  logits: Array, k: Array | int, *, axis_name: str | None = None
) -> Array:
  """Returns batch / k for the k largest logits and 0 for the others.

  Args:
    logits: discriminator logits, `[B]` or `[B, h, w]`, float.
    k: number of examples kept, from 1 to the batch size; may be traced.
    axis_name: name of the mapped device axis, or None. B is the batch size of
      one device.

  Returns:
    `[B]`, with a mean of 1 over all devices and no gradient.

  Raises:
    AssertionError: if the logits have another rank.
    ValueError: if k is not traced and is below 1 or above the batch size, or
      if the batch is empty.
    TypeError: if k is not an integer.
  """
  k = _checked_k(k)
  order = _order(logits, k, axis_name)
  total = len(order)
  ranks = jnp.zeros(total, jnp.int32).at[order].set(jnp.arange(total))
  mine = _mine(ranks, len(logits), axis_name)
  return jnp.where(mine < k, total / k, 0.0).astype(jnp.result_type(logits))


def top_k_count(
  step: Array, *, batch_size: int, fraction: float, gamma: float, every: int
) -> Array:
  """Anneals k of top-k training from the batch size down to a fraction.

  max(fraction, gamma^(step // every)) * batch_size, rounded up

  Args:
    step: number of training steps done.
    batch_size: number of examples in the global batch.
    fraction: smallest fraction of the batch to keep, in (0, 1].
    gamma: decay factor per period, in (0, 1].
    every: number of steps per period (one epoch in the paper).

  Returns:
    k, int32 scalar.

  Raises:
    ValueError: if fraction or gamma is outside (0, 1], or every is below 1.

  References:
    Sinha et al., Top-k Training of GANs, https://arxiv.org/abs/2002.06224,
    2020, section 3 (gamma 0.99, fraction 0.5 to 0.75).
  """
  is_share = lambda x: 0 < x <= 1
  if any(tracing.fails(is_share, x) for x in (fraction, gamma)) or (
    tracing.fails(lambda every: every >= 1, every)
  ):
    raise ValueError(
      f'fraction={fraction}, gamma={gamma}, every={every}: the first two must '
      'be in (0, 1], the last at least 1'
    )
  share = jnp.maximum(fraction, jnp.float32(gamma) ** (step // every))
  # The offset keeps 0.3 * 10 from being rounded up to 4.
  return jnp.ceil(share * batch_size - 1e-4).astype(jnp.int32)
