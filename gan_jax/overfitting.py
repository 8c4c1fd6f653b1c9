"""Whether the discriminator knows its training data by heart."""

from typing import Any, Callable

import jax
import numpy as np

from gan_jax import diagnostics, game, losses, sampling, steps
from gan_jax.state import GANState


def make_check(
  gan: game.GAN, train: np.ndarray, held_out: np.ndarray
) -> Callable[[GANState], dict[str, float]]:
  """Makes the function that asks D about train, held-out and generated data.

  In evaluation mode, without augmentation or noise. Where a loss has no
  boundary between real and fake logits, it is the middle of their means.

  Args:
    gan: the game; its loss must be on logits.
    train: real examples that D is trained on, `[n, ...]` float32.
    held_out: real ones that it is not, of the same shape.

  Returns:
    state -> the scalars of diagnostics.accuracy, of these and of n samples.

  Raises:
    ValueError: for a loss on features, where there is no logit.
  """
  loss = gan.loss
  if isinstance(loss, losses.AdversarialLoss) and loss.output == 'features':
    raise ValueError(
      'diagnostics=True: D has no logit of its own under a loss on features'
    )
  count = min(len(train), len(held_out)) // gan.packing * gan.packing
  train, held_out = train[:count], held_out[:count]
  draw = sampling.make_draw(gan)

  @jax.jit
  def measure(state, fake, train, held_out):
    weights = state.discriminator.params, state.discriminator.stats
    logits = lambda x: steps.make_logits_fn(gan)(weights, x)
    real_logits, fake_logits = logits(train), logits(fake)
    boundary = gan.loss_at(state.hyper, state.step).boundary
    if boundary is None:
      boundary = (real_logits.mean() + fake_logits.mean()) / 2
    return diagnostics.accuracy(
      real_logits, fake_logits, logits(held_out), boundary=boundary
    )

  def check(state: GANState) -> dict[str, Any]:
    weights = state.generator.params, state.generator.stats
    fake = draw(weights, count, seed=int(state.step))
    found = jax.device_get(measure(state, fake, train, held_out))
    return {name: float(value) for name, value in found.items()}

  return check
