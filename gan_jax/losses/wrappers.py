"""What can be put round a loss: label smoothing, top-k."""

import jax
import jax.numpy as jnp

from gan_jax.losses.base import AdversarialLoss, accepts, gather

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

  References:
    Salimans et al., Improved Techniques for Training GANs,
    https://arxiv.org/abs/1606.03498, 2016, section 3.4.
  """
  if not accepts(loss.discriminator, 'smoothing'):
    raise ValueError(
      'label smoothing is not defined for this loss: its discriminator has no '
      'targets (cross-entropy and least squares have)'
    )
  if isinstance(smoothing, int | float) and not 0 <= smoothing < 1:
    raise ValueError(f'smoothing={smoothing}: must be at least 0, below 1')
  plain = loss.discriminator

  def discriminator(real, fake, **options):
    return plain(real, fake, smoothing=smoothing, **options)

  return loss._replace(discriminator=discriminator)


def top_k(loss: AdversarialLoss, k: Array | int) -> AdversarialLoss:
  """The generator learns from its k best fakes of the batch alone.

  The others count for nothing, and the mean over the batch is that over the
  k: their losses are multiplied by batch / k. The batch is that of all
  devices. Ties go to the example that comes first. Labels are smoothed
  before, not after.

  Args:
    loss: any on logits `[B]` or `[B, h, w]` (a patch map counts by its mean).
    k: how many, from 1 to the global batch size; it may be traced.

  Returns:
    The loss with that generator; the discriminator's is as it was.

  Raises:
    ValueError: for a loss on features, or a k below 1; in the loss, for a k
      above the batch.

  References:
    Sinha et al., Top-k Training of GANs: Improving GAN Performance by
    Throwing Away Bad Samples, https://arxiv.org/abs/2002.06224, 2020.
  """
  if loss.output != 'logits':
    raise ValueError(
      'top-k ranks generated examples by their logits, and this loss is on '
      f'{loss.output}'
    )
  if isinstance(k, int) and k < 1:
    raise ValueError(f'k={k}: must be at least 1')
  plain = loss

  def generator(real_logits, fake_logits, *, axis_name=None):
    options = {'axis_name': axis_name} if plain.coupled else {}
    values = plain.generator(real_logits, fake_logits, **options)
    mask = top_k_mask(fake_logits, k, axis_name=axis_name)
    return values * mask.reshape(-1, *(1,) * (values.ndim - 1))

  def discriminator(real_logits, fake_logits, *, axis_name=None):
    options = {'axis_name': axis_name} if plain.coupled else {}
    return plain.discriminator(real_logits, fake_logits, **options)

  return loss._replace(
    discriminator=discriminator, generator=generator, coupled=True
  )


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
    ValueError: for a k above the batch, where k is a Python int.
  """
  scores = jax.lax.stop_gradient(logits.reshape(len(logits), -1).mean(axis=1))
  everyone = gather(scores, axis_name)
  total = len(everyone)
  if isinstance(k, int) and k > total:
    raise ValueError(f'k={k}: the batch has only {total} examples')
  order = jnp.argsort(-everyone, stable=True)
  ranks = jnp.zeros(total, jnp.int32).at[order].set(jnp.arange(total))
  start = (
    0 if axis_name is None else jax.lax.axis_index(axis_name) * len(scores)
  )
  mine = jax.lax.dynamic_slice_in_dim(ranks, start, len(scores))
  return jnp.where(mine < k, total / k, 0.0).astype(logits.dtype)


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

  References:
    Sinha et al., Top-k Training of GANs, https://arxiv.org/abs/2002.06224,
    2020, section 3 (gamma 0.99, fraction 0.5 to 0.75).
  """
  share = jnp.maximum(fraction, jnp.float32(gamma) ** (step // every))
  # The small number keeps 0.3 * 10 from becoming 4.
  return jnp.ceil(share * batch_size - 1e-4).astype(jnp.int32)
