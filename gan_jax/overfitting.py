"""Whether the discriminator knows its training data by heart."""

from typing import Any, Callable

import jax
import numpy as np

from gan_jax import diagnostics, game, losses, sampling, steps
from gan_jax.state import GANState


def make_check(
  gan: game.GAN,
  train: np.ndarray,
  held_out: np.ndarray,
  like: GANState,
  *,
  batch_size: int,
) -> Callable[[GANState], dict[str, float]]:
  """Makes the function that asks D about train, held-out and generated data.

  In evaluation mode, without augmentation or noise, in batches of the size it
  is trained on (minibatch statistics see that). Where a loss has no boundary
  between real and fake logits, it is the middle of their means.

  Args:
    gan: the game; its loss must be on logits.
    train: real examples that D is trained on, `[n, ...]` float32.
    held_out: real ones that it is not, `[m, ...]`; of both, as many whole
      batches are taken as the smaller one has.
    like: shapes and types of the state.
    batch_size: of a device in training.

  Returns:
    state -> the scalars of diagnostics.accuracy, of these and of as many
    samples.

  Raises:
    ValueError: for a loss on features, where there is no logit; for fewer
      examples than a batch.
  """
  loss = gan.loss
  if isinstance(loss, losses.AdversarialLoss) and loss.output == 'features':
    raise ValueError(
      'diagnostics=True: D has no logit of its own under a loss on features'
    )
  available = min(len(train), len(held_out))
  count = available // batch_size * batch_size
  if not count:
    raise ValueError(
      f'diagnostics=True asks D about batches of {batch_size} examples, and '
      f'the smaller of train and held-out data has {available}'
    )
  train, held_out = train[:count], held_out[:count]
  draw = sampling.make_draw(gan)

  @jax.jit
  def measure(state, fake, train, held_out):
    weights = state.discriminator.params, state.discriminator.stats

    def logits(x):
      parts = x.reshape(-1, batch_size, *x.shape[1:])
      of_part = lambda part: steps.make_logits_fn(gan)(weights, part)
      found = jax.lax.map(of_part, parts)
      return found.reshape(-1, *found.shape[2:])

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

  jax.eval_shape(measure, like, train, train, held_out)  # or refuses
  return check
