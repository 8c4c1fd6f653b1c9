"""Penalties that compare a network with itself: consistency, LeCam, modes."""

from typing import Callable, NamedTuple

import chex
import jax
import jax.numpy as jnp

from gan_jax.penalties.interpolation import check_batch, normal_like

Array = jax.Array


def _mean_squares(a: Array, b: Array) -> Array:
  check_batch(a)
  difference = (a - b).reshape(a.shape[0], -1)
  return jnp.square(difference).mean(axis=1)


def consistency(logits: Array, moved_logits: Array) -> Array:
  """Squared change of the logit under a change of the example.

  (D(x) - D(T(x)))^2

  On real and generated examples alike, under augmentations T, this is
  balanced consistency (bCR, the paper's weights 10 and 10); on G(z) and
  G(z + noise) it is the discriminator's half of latent consistency (zCR, 5).

  Args:
    logits: the discriminator on examples, `[B]` or `[B, h, w]`, float.
    moved_logits: the same on the changed examples, of the same shape.

  Returns:
    `[B]`, at least 0; the mean over a patch map.

  Raises:
    AssertionError: for shapes that differ, scalars or integers.
    ValueError: for an empty batch.

  References:
    Zhao et al., Improved Consistency Regularization for GANs,
    https://arxiv.org/abs/2002.04724, 2021, algorithms 1 and 2.
  """
  chex.assert_equal_shape([logits, moved_logits])
  chex.assert_type([logits, moved_logits], float)
  return _mean_squares(logits, moved_logits)


def zcr_generator(fake: Array, moved_fake: Array) -> Array:
  """Minus the squared change of an example under noise on its latent.

  -mean((G(z) - G(z + noise))^2)

  The generator's half of latent consistency (zCR, the paper's weight 0.5):
  the generator shall not ignore small changes of z.

  Args:
    fake: G(z), `[B, ...]`, float.
    moved_fake: G(z + noise), of the same shape.

  Returns:
    `[B]`, at most 0: the mean over an example's numbers.

  Raises:
    AssertionError: for shapes that differ, scalars or integers.
    ValueError: for an empty batch.

  References:
    Zhao et al., Improved Consistency Regularization for GANs,
    https://arxiv.org/abs/2002.04724, 2021, algorithm 2.
  """
  chex.assert_equal_shape([fake, moved_fake])
  chex.assert_type([fake, moved_fake], float)
  return -_mean_squares(fake, moved_fake)


class LogitEMA(NamedTuple):
  """LeCam's memory, float32 scalars.

  Attributes:
    real: moving average of the mean logit of real examples.
    fake: the same of generated ones.
  """

  real: Array
  fake: Array


def lecam(real_logits: Array, fake_logits: Array, anchors: LogitEMA) -> Array:
  """Squared distance of each logit to the average logit of the other kind.

  (real_logits - anchors.fake)^2 + (fake_logits - anchors.real)^2

  With the Wasserstein loss it makes the generator minimise a LeCam
  divergence. The paper's weights are 0.01 to 0.5.

  Args:
    real_logits: the discriminator on real examples, `[B]` or `[B, h, w]`.
    fake_logits: the same on generated examples, of the same shape.
    anchors: as update_anchors keeps them; no gradient reaches them.

  Returns:
    `[B]`, at least 0; the mean over a patch map.

  Raises:
    AssertionError: for shapes that differ, scalars or integers.
    ValueError: for an empty batch.

  References:
    Tseng et al., Regularizing Generative Adversarial Networks under Limited
    Data, https://arxiv.org/abs/2104.03310, 2021.
  """
  chex.assert_equal_shape([real_logits, fake_logits])
  chex.assert_type([real_logits, fake_logits], float)
  check_batch(real_logits)
  chex.assert_rank(list(anchors), 0)
  real_anchor, fake_anchor = (
    jax.lax.stop_gradient(jnp.asarray(x, jnp.result_type(real_logits)))
    for x in anchors
  )
  values = jnp.square(real_logits - fake_anchor)
  values += jnp.square(fake_logits - real_anchor)
  return values.reshape(values.shape[0], -1).mean(axis=1)


def update_logit_ema(
  anchors: LogitEMA,
  real_logits: Array,
  fake_logits: Array,
  *,
  decay: float = 0.99,
  axis_name: str | None = None,
) -> LogitEMA:
  """Moves LeCam's averages towards the mean logits of a batch.

  Args:
    anchors: the averages so far.
    real_logits: the discriminator on real examples, `[...]`, float.
    fake_logits: the same on generated examples.
    decay: of the average, in [0, 1]; 0.99 is the paper's.
    axis_name: the mapped axis of devices, over which the means go.

  Returns:
    The new averages, with no gradient.

  Raises:
    AssertionError: for averages that are no scalars, or logits that are, or
      are integers.
    ValueError: for an empty batch.

  References:
    Tseng et al., https://arxiv.org/abs/2104.03310, 2021.
  """

  move = lambda anchor, logits: _updated_ema(anchor, logits, decay, axis_name)
  return LogitEMA(
    move(anchors.real, real_logits), move(anchors.fake, fake_logits)
  )


def _updated_ema(average, values, decay, axis_name):
  """An average moved towards the mean of a batch, over all devices."""
  check_batch(values)
  chex.assert_rank(average, 0)
  mean = jax.lax.stop_gradient(values).astype(jnp.float32).mean()
  if axis_name is not None:
    mean = jax.lax.pmean(mean, axis_name)
  return decay * average + (1 - decay) * mean


def path_lengths(
  generate_fn: Callable[[Array], Array], latents: Array, keys: Array
) -> Array:
  """How far an example moves per unit of latent, in a random direction.

  |J^T y|, J = d generate_fn(z) / dz, y ~ N(0, I) / sqrt(height * width)

  For vectors y ~ N(0, I). By automatic differentiation, without J.

  Args:
    generate_fn: latents `[B, Z]` to examples `[B, ...]`, each of its own
      latent alone.
    latents: `[B, Z]`, float.
    keys: `[B]`, one per example.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: where generate_fn does not return one example per latent,
      or for latents of another rank, or integers.

  References:
    Karras et al., Analyzing and Improving the Image Quality of StyleGAN,
    https://arxiv.org/abs/1912.04958, 2020, section 3.2.
  """
  chex.assert_rank(latents, 2)
  chex.assert_type(latents, float)
  shape = jax.eval_shape(generate_fn, latents)
  chex.assert_equal(shape.shape[:1], latents.shape[:1])
  pixels = shape.shape[1] * shape.shape[2] if len(shape.shape) == 4 else 1
  y = normal_like(keys, shape) / jnp.sqrt(jnp.asarray(pixels, shape.dtype))
  projected = lambda z: (generate_fn(z) * y).sum()
  gradients = jax.grad(projected)(latents)
  gradients = gradients.astype(jnp.promote_types(gradients.dtype, jnp.float32))
  return jnp.sqrt(jnp.square(gradients).sum(axis=1) + 1e-12)


def path_length(lengths: Array, mean: Array) -> Array:
  """Squared distance of path lengths to their average.

  (|J^T y| - mean)^2

  The paper's weight is 2, every 4 steps.

  Args:
    lengths: `[B]`, of path_lengths.
    mean: scalar, their moving average; no gradient reaches it.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: for lengths of another rank, or integers, or a mean that
      is no scalar.

  References:
    Karras et al., https://arxiv.org/abs/1912.04958, 2020, eq. 4.
  """
  chex.assert_rank([lengths, mean], [1, 0])
  chex.assert_type(lengths, float)
  return jnp.square(lengths - jax.lax.stop_gradient(mean))


def update_path_length_mean(
  mean: Array,
  lengths: Array,
  *,
  decay: float = 0.99,
  axis_name: str | None = None,
) -> Array:
  """Moves the average path length towards that of a batch.

  Args:
    mean: the average so far, float32 scalar.
    lengths: `[B]`, of path_lengths.
    decay: of the average, in [0, 1].
    axis_name: the mapped axis of devices, over which the batch's mean goes.

  Returns:
    The new average, with no gradient.

  Raises:
    AssertionError: for a mean that is no scalar, or lengths of another rank.
    ValueError: for an empty batch.

  References:
    Karras et al., https://arxiv.org/abs/1912.04958, 2020, appendix B.
  """
  chex.assert_rank(lengths, 1)
  return _updated_ema(mean, lengths, decay, axis_name)


def mode_seeking(
  fake: Array,
  other_fake: Array,
  latents: Array,
  other_latents: Array,
  *,
  epsilon: float = 1e-5,
) -> Array:
  """How little examples differ where their latents do.

  |z - z'|_1 / (|G(z) - G(z')|_1 + epsilon), mean absolute differences

  The paper maximises the mean of the inverse ratio, with weight 1; this is to
  be minimised, pair by pair.

  Args:
    fake: G(z), `[B, ...]`, float.
    other_fake: G(z'), of the same shape.
    latents: z, `[B, Z]`.
    other_latents: z', of the same shape.
    epsilon: above 0; bounds the ratio for equal examples.

  Returns:
    `[B]`, at least 0.

  Raises:
    AssertionError: for shapes that do not match, scalars or integers.
    ValueError: for an empty batch, or an epsilon that is not above 0.

  References:
    Mao et al., Mode Seeking Generative Adversarial Networks for Diverse
    Image Synthesis, https://arxiv.org/abs/1903.05628, 2019.
  """
  chex.assert_equal_shape([fake, other_fake])
  chex.assert_equal_shape([latents, other_latents])
  chex.assert_equal_shape_prefix([fake, latents], 1)
  chex.assert_type([fake, other_fake, latents, other_latents], float)
  check_batch(fake)
  check_batch(latents)
  if isinstance(epsilon, int | float) and not 0 < epsilon < float('inf'):
    raise ValueError(f'epsilon={epsilon}: must be above 0, and finite')
  distance = lambda a, b: jnp.abs(a - b).reshape(a.shape[0], -1).mean(axis=1)
  return distance(latents, other_latents) / (
    distance(fake, other_fake) + epsilon
  )
