"""Adversarial losses: functions of logits, one value per logit.

A logit is what the discriminator returns: positive means real, sigmoid of it
is the probability of real. Logits are floating point, `[B]`, or `[B, h, w]`
for a patch discriminator; no loss reduces, the caller takes the mean. All are
written with softplus, log(1 + exp(x)), finite for logits of any size:

  -log sigmoid(x) = softplus(-x)        -log(1 - sigmoid(x)) = softplus(x)

  >>> import jax.numpy as jnp
  >>> logits = jnp.zeros(3)
  >>> cross_entropy_discriminator(logits, logits)
  Array([1.3862944, 1.3862944, 1.3862944], dtype=float32)
"""

from typing import Callable, NamedTuple

import chex
import jax

Array = jax.Array
PlayerLoss = Callable[[Array, Array], Array]


class AdversarialLoss(NamedTuple):
  """The losses of the two players, each (real_logits, fake_logits) -> losses.

  Attributes:
    discriminator: what the discriminator minimises.
    generator: what the generator minimises; one that reads the fake logits
      alone ignores its first argument. Both see one device's part of the batch:
      a loss with a mean over the batch in it would depend on their number.
  """

  discriminator: PlayerLoss
  generator: PlayerLoss


def _check(*logits: Array) -> None:
  chex.assert_equal_shape(logits)  # [B] with [B, 1] would become [B, B]
  chex.assert_type(logits, float)


def cross_entropy_discriminator(
  real_logits: Array, fake_logits: Array
) -> Array:
  """Cross-entropy of telling real from generated.

  -log sigmoid(real_logits) - log(1 - sigmoid(fake_logits))

  Its minimum over all discriminators is log p / q, where it has the mean
  2 log 2 - 2 JS(p, q). Dive into Deep Learning takes half of it.

  Args:
    real_logits: the discriminator on real examples, `[...]`, float.
    fake_logits: the same on generated examples, of the same shape.

  Returns:
    The losses, of the logits' shape, in nats.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, eq. 1.
  """
  _check(real_logits, fake_logits)
  return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def minimax_value(real_logits: Array, fake_logits: Array) -> Array:
  """Value of the minimax game, what D maximises and G minimises.

  log sigmoid(real_logits) + log(1 - sigmoid(fake_logits))

  Its mean at the optimal discriminator is 2 JS(p, q) - log 4.

  Args:
    real_logits: the discriminator on real examples, `[...]`, float.
    fake_logits: the same on generated examples, of the same shape.

  Returns:
    The values, of the logits' shape, in nats, at most 0.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, eq. 1.
  """
  return -cross_entropy_discriminator(real_logits, fake_logits)


def minimax_generator(real_logits: Array, fake_logits: Array) -> Array:
  """Generator's part of the minimax value (the saturating loss).

  log(1 - sigmoid(fake_logits))

  The gradient vanishes as the discriminator wins (fake_logits -> -inf).

  Args:
    real_logits: ignored but for its shape, `[...]`, float.
    fake_logits: the discriminator on generated examples, of the same shape.

  Returns:
    The losses, of the logits' shape, in nats, at most 0.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, algorithm 1.
  """
  _check(real_logits, fake_logits)
  return -jax.nn.softplus(fake_logits)


def non_saturating_generator(real_logits: Array, fake_logits: Array) -> Array:
  """Cross-entropy of passing for real (the non-saturating loss).

  -log sigmoid(fake_logits)

  The gradient tends to -1 as the discriminator wins (fake_logits -> -inf).

  Args:
    real_logits: ignored but for its shape, `[...]`, float.
    fake_logits: the discriminator on generated examples, of the same shape.

  Returns:
    The losses, of the logits' shape, in nats, at least 0.

  Raises:
    AssertionError: for logits of different shapes or not floating point.

  References:
    Goodfellow et al., Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661, 2014, section 3.
  """
  _check(real_logits, fake_logits)
  return jax.nn.softplus(-fake_logits)


LOSSES: dict[str, AdversarialLoss] = {
  'minimax': AdversarialLoss(cross_entropy_discriminator, minimax_generator),
  'non_saturating': AdversarialLoss(
    cross_entropy_discriminator, non_saturating_generator
  ),
}
