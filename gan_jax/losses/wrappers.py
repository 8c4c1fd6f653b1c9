"""What can be put round a loss: label smoothing, top-k."""

import numbers

import chex
import jax
import jax.numpy as jnp

from gan_jax.collectives import all_gather
from gan_jax.losses.base import AdversarialLoss, accepts, player_loss

Array = jax.Array


def smooth_labels(
  loss: AdversarialLoss, smoothing: Array | float
) -> AdversarialLoss:
  """One-sided label smoothing: D's target of real examples is 1 - smoothing.

  Args:
    loss: one whose discriminator takes a keyword `smoothing` (cross-entropy
      and least squares): it must have targets.
    smoothing: scalar in [0, 1), which may be traced; 0.1 is usual.

  Returns:
    The loss with the smoothed discriminator; the generator's is as it was.

  Raises:
    ValueError: for a loss without targets, or a number out of range.
    TypeError: for what is no number.

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 3.4.
  """
  if not accepts(loss.discriminator, 'smoothing'):
    raise ValueError(
      'label smoothing is not defined for this loss: its discriminator has no '
      'targets (cross-entropy and least squares have)'
    )
  if isinstance(smoothing, numbers.Real) and not 0 <= smoothing < 1:
    raise ValueError(f'smoothing={smoothing}: must be at least 0, below 1')
  if not isinstance(smoothing, numbers.Real) and not hasattr(
    smoothing, 'shape'
  ):
    raise TypeError(f'smoothing={smoothing!r}: must be a number')

  def discriminator(real, fake, *, axis_name=None):
    return player_loss(
      loss, 'discriminator', real, fake, axis_name, smoothing=smoothing
    )

  return loss._replace(discriminator=discriminator)


def top_k(loss: AdversarialLoss, k: Array | int) -> AdversarialLoss:
  """The generator learns from its k best fakes of the batch alone.

  The batch is that of all devices; ties go to the example that comes first.
  Of a loss of each pair of logits, the mean over the batch becomes that over
  the pairs of the k best: the others are 0, they are multiplied by batch / k.
  For a loss that compares the whole batch, the k best are repeated in turn
  until they fill it. Labels are smoothed before, not after.

  Args:
    loss: any on logits `[B]` or `[B, h, w]` (a patch map counts by its mean).
    k: how many, from 1 to the global batch size; it may be traced.

  Returns:
    The loss with that generator; the discriminator's is as it was.

  Raises:
    ValueError: for a loss on features, or a k below 1; in the loss, for a k
      above the batch, or a batch of none.
    TypeError: for a k that is no integer.

  References:
    Sinha et al., Top-k Training of GANs: Improving GAN Performance by
    Throwing Away Bad Samples, https://arxiv.org/abs/2002.06224, 2020.
  """
  if loss.output != 'logits':
    raise ValueError(
      'top-k ranks generated examples by their logits, and this loss is on '
      f'{loss.output}'
    )
  k = _checked_k(k)
  plain = loss

  def of_pairs(real_logits, fake_logits, *, axis_name=None):
    mask = top_k_mask(fake_logits, k, axis_name=axis_name)
    mask = mask.reshape(-1, *(1,) * (fake_logits.ndim - 1))
    # What is thrown away may be of any size: 0 times infinity is no 0.
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
  if isinstance(k, numbers.Integral):
    if k < 1:
      raise ValueError(f'k={k}: must be at least 1')
    return int(k)
  return k


def _order(logits, k, axis_name):
  """Indices in the global batch from the largest logit to the smallest."""
  chex.assert_rank(logits, {1, 3})
  if not logits.size:
    raise ValueError(f'top-k of no logits: they are of shape {logits.shape}')
  scores = jax.lax.stop_gradient(logits.reshape(len(logits), -1).mean(axis=1))
  everyone = all_gather(scores, axis_name)
  if isinstance(k, int) and k > len(everyone):
    raise ValueError(f'k={k}: the batch has only {len(everyone)} examples')
  return jnp.argsort(-everyone, stable=True)


def _mine(x, size, axis_name):
  """This device's part of what all devices have."""
  if axis_name is None:
    return x
  start = jax.lax.axis_index(axis_name) * size
  return jax.lax.dynamic_slice_in_dim(x, start, size)


def _best_repeated(logits, k, axis_name):
  """The k largest of all devices, repeated in turn; this device's part."""
  order = _order(logits, k, axis_name)
  chosen = order[jnp.arange(len(order)) % k]
  mine = _mine(chosen, len(logits), axis_name)
  return all_gather(logits, axis_name)[mine]


def top_k_mask(
  logits: Array, k: Array | int, *, axis_name: str | None = None
) -> Array:
  """batch / k for the k examples with the largest logits, 0 for the others.

  Args:
    logits: `[B]` or `[B, h, w]`, float.
    k: how many, from 1 to the batch size; it may be traced.
    axis_name: the mapped axis of devices; B is then one device's part.

  Returns:
    `[B]`, with a mean of 1 over all devices and no gradient.

  Raises:
    AssertionError: for logits of another rank.
    ValueError: for a k below 1 or above the batch, where k is not traced, or
      a batch of none.
    TypeError: for a k that is no integer.
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
  """The annealed k of top-k training: from the batch down to a fraction.

  max(fraction, gamma^(step // every)) * batch_size, rounded up

  Args:
    step: train steps done.
    batch_size: examples of the global batch.
    fraction: the smallest share kept, in (0, 1].
    gamma: factor per period, in (0, 1].
    every: steps in a period (the paper: one epoch).

  Returns:
    k, int32 scalar.

  Raises:
    ValueError: for a fraction or gamma outside (0, 1], or an every below 1.

  References:
    Sinha et al., Top-k Training of GANs, https://arxiv.org/abs/2002.06224,
    2020, section 3 (gamma 0.99, fraction 0.5 to 0.75).
  """
  if not (0 < fraction <= 1 and 0 < gamma <= 1 and every >= 1):
    raise ValueError(
      f'fraction={fraction}, gamma={gamma}, every={every}: the first two must '
      'be in (0, 1], the last at least 1'
    )
  share = jnp.maximum(fraction, jnp.float32(gamma) ** (step // every))
  # The small number keeps 0.3 * 10 from becoming 4.
  return jnp.ceil(share * batch_size - 1e-4).astype(jnp.int32)
