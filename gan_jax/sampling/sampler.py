"""Drawing samples of a generator, any number at a time."""

import dataclasses
import functools
from typing import Any, Callable, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import prng, training
from gan_jax.distributed import devices as devices_lib


def make_indexed_sampler(
  gan: training.GAN, devices: Sequence[jax.Device] = ()
) -> Callable[..., np.ndarray]:
  """Makes the function that draws the samples of given indices.

  Args:
    gan: the game.
    devices: that share each batch; none for the default one.

  Returns:
    (weights, indices `[n]`, *, seed=0, label=None) -> `[n, ...]` float32
    numpy. A sample depends on the seed and its index alone; label is `[n]` or
    None; weights as for training.make_sample_fn.
  """
  spread = devices_lib.shard_examples(devices or jax.local_devices()[:1])

  @jax.jit
  def sample(weights, key, indices, label):
    keys = prng.per_example_keys(key, indices)
    z = prng.sample_normal(keys, gan.latent_dim)
    return training.make_sample_fn(gan)(weights, z, label)

  def draw_at(weights, indices, *, seed=0, label=None):
    arguments = spread.put((weights, jax.random.key(seed)))
    rows = (np.asarray(indices), None if label is None else np.asarray(label))
    found = sample(*arguments, *spread.put_batch(rows))
    return np.asarray(found)[: len(indices)]

  return draw_at


def make_sampler(
  gan: training.GAN, devices: Sequence[jax.Device] = ()
) -> Callable[..., np.ndarray]:
  """Makes the function that draws any number of samples, in batches.

  Args:
    gan: the game.
    devices: that share each batch; none for the default one.

  Returns:
    (weights, count, *, seed=0, batch_size=256, label=None) ->
    `[count, ...]` float32 numpy; label is `[count]` or None; weights as for
    training.make_sample_fn. The i-th sample depends on the seed and i alone.
    Raises ValueError for a count or batch_size below 1.
  """
  draw_at = make_indexed_sampler(gan, devices)

  def draw(weights, count, *, seed=0, batch_size=256, label=None):
    if min(count, batch_size) < 1:
      raise ValueError(
        f'count={count}, batch_size={batch_size}: must be at least 1'
      )
    if label is not None and np.shape(label) != (count,):
      raise ValueError(f'label has shape {np.shape(label)}; must be ({count},)')
    # The last batch is as large as the others; what is too much is cut off.
    size = min(batch_size, count)
    parts = []
    for start in range(0, count, size):
      indices = np.arange(start, start + size)
      labels = None if label is None else np.take(label, indices, mode='clip')
      parts.append(draw_at(weights, indices, seed=seed, label=labels))
    return np.concatenate(parts)[:count]

  return draw


class GeneratedSource:
  """A generator's samples as a source of examples (data.Source).

  Attributes:
    shape: of one example.
    truth: None.
  """

  truth = None

  def __init__(
    self,
    draw_at: Callable[..., np.ndarray],
    weights: Any,
    shape: tuple[int, ...],
    count: int,
    *,
    seed: int = 0,
    label: np.ndarray | None = None,
  ):
    """Describes the samples; they are drawn when asked for.

    Args:
      draw_at: as make_draw_at makes it.
      weights: (params, batch_stats) of the generator.
      shape: of one example.
      count: how many there are.
      seed: of the latents.
      label: `[count]` classes for a conditional generator, or None.
    """
    self.shape = shape
    self._count, self._label = count, label
    self._draw = functools.partial(draw_at, weights, seed=seed)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    if self._label is None:
      return {'x': self._draw(indices)}
    label = np.asarray(self._label[indices], np.int32)
    return {'x': self._draw(indices, label=label), 'label': label}


@dataclasses.dataclass(frozen=True)
class Sampler:
  """The generator of a finished run, as a function.

  Attributes:
    settings: of the run.
    shape: of one example.
    step: train steps of the checkpoint.
    weights: (params, batch_stats) of the generator.
    gan: the game.
  """

  config: config_lib.Config
  shape: tuple[int, ...]
  step: int
  weights: Any
  gan: training.GAN

  @functools.cached_property
  def _draw(self) -> Callable[..., np.ndarray]:
    return make_sampler(self.gan)

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
    return self._draw(self.weights, count, **options)

  def source(
    self, count: int, *, seed: int = 0, devices: Sequence[jax.Device] = ()
  ) -> GeneratedSource:
    """`count` samples as a source of examples, drawn on some devices."""
    draw_at = make_indexed_sampler(self.gan, devices)
    return GeneratedSource(draw_at, self.weights, self.shape, count, seed=seed)
