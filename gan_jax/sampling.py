"""Drawing samples of a generator, any number at a time."""

import dataclasses
import functools
from typing import Any, Callable

import jax
import jax.numpy as jnp
import numpy as np

from gan_jax import game, latents, settings, steps


def make_draw(gan: game.GAN) -> Callable[..., np.ndarray]:
  """Makes the function that draws any number of samples, in batches.

  Args:
    gan: the game.

  Returns:
    (weights, count, *, seed=0, batch_size=256, label=None) ->
    `[count, ...]` float32 numpy; label is `[count]` or None; weights as for steps.make_sample_fn. The i-th sample depends on the
    seed and i alone. Raises ValueError for a count or batch_size below 1.
  """
  sample = jax.jit(steps.make_sample_fn(gan))

  @functools.partial(jax.jit, static_argnums=2)
  def draw_latents(key, start, size):
    keys = latents.example_keys(key, start + jnp.arange(size))
    return latents.normal(keys, gan.latent_dim)

  def draw(weights, count, *, seed=0, batch_size=256, label=None):
    if min(count, batch_size) < 1:
      raise ValueError(
        f'count={count}, batch_size={batch_size}: must be at least 1'
      )
    if label is not None and np.shape(label) != (count,):
      raise ValueError(f'label has shape {np.shape(label)}; must be ({count},)')
    key, size = jax.random.key(seed), min(batch_size, count)
    # The last batch is as large as the others; what is too much is cut off.
    labels = lambda start: (
      None
      if label is None
      else np.take(label, np.arange(start, start + size), mode='clip')
    )
    parts = [
      np.asarray(sample(weights, draw_latents(key, start, size), labels(start)))
      for start in range(0, count, size)
    ]
    return np.concatenate(parts)[:count]

  return draw


@dataclasses.dataclass(frozen=True)
class Sampler:
  """The generator of a finished run, as a function.

  Attributes:
    settings: of the run.
    shape: of one example.
    step: train steps of the checkpoint.
    weights: (params, stats) of the generator.
    draw: as make_draw makes it.
  """

  settings: settings.Settings
  shape: tuple[int, ...]
  step: int
  weights: Any
  draw: Callable[..., np.ndarray]

  def __call__(
    self,
    count: int,
    *,
    seed: int = 0,
    batch_size: int = 256,
    label: np.ndarray | None = None,
  ) -> np.ndarray:
    """Draws samples; the i-th depends on the seed and i alone.

    Args:
      count: how many.
      seed: of the latents.
      batch_size: how many at a time.
      label: `[count]` classes for a conditional generator, or None.

    Returns:
      `[count, *shape]` float32, images in [-1, 1].

    Raises:
      ValueError: for a count or batch_size below 1.
    """
    options = dict(seed=seed, batch_size=batch_size, label=label)
    return self.draw(self.weights, count, **options)
