"""Draws any number of samples from a generator."""

import dataclasses
import functools
from typing import Any, Callable, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import prng, tracing, training
from gan_jax.distributed import devices as devices_lib
from gan_jax.sampling import class_labels
from gan_jax.sampling import styles as style_lib
from gan_jax.sampling.class_labels import LabelFn

_NOISE = 1  # folded into the keys of samples, for the noise of the networks


def make_indexed_sampler(
  gan: training.GAN,
  devices: Sequence[jax.Device] = (),
  labels: LabelFn = lambda indices: None,
) -> Callable[..., np.ndarray]:
  """Builds a function that generates the samples with the given indices.

  Args:
    gan: the GAN.
    devices: devices that share each batch; () for the default device.
    labels: function that returns the labels of samples by index, where the
      caller passes none.

  Returns:
    Function (weights, indices `[n]`, *, seed=0, label=None, psi=None) ->
    `[n, ...]` float32 numpy. A sample depends only on the seed and its index.
    The label is `[n, ...]` or None, the weights are as for
    training.make_sample_fn; psi is the truncation of styles, a number or one
    for each, or None. The function raises TypeError if the weights are traced,
    as inside jax.jit, and ValueError for a psi that the generator cannot have.
  """
  spread = devices_lib.shard_examples(devices or jax.local_devices()[:1])

  @jax.jit
  def sample(weights, key, psi, indices, label):
    z, noise_keys = _draws(gan, key, indices)
    if psi is None:
      return training.make_sample_fn(gan)(weights, z, label, noise_keys)
    w = training.make_mapping_fn(gan)(weights, z, label)
    mean = style_lib.mean_style(weights)
    w = style_lib.truncate_styles(w, mean, psi)
    return training.make_synthesis_fn(gan)(weights, w, noise_keys)

  def draw_at(weights, indices, *, seed=0, label=None, psi=None):
    tracing.check_known(
      'a sampler',
      'Inside, use training.make_sample_fn(gan)(weights, latents).',
      weights=weights,
    )
    with jax.core.eval_context():  # also inside jit, where weights are known
      psi = style_lib.check_psi(psi, gan, weights)
      arguments = spread.put((weights, jax.random.key(seed), psi))
      label = labels(np.asarray(indices)) if label is None else label
      rows = (np.asarray(indices), jax.tree.map(np.asarray, label))
      found = sample(*arguments, *spread.put_batch(rows))
      return np.asarray(found)[: len(indices)]

  return draw_at


def _draws(gan: training.GAN, key: Any, indices: Any) -> tuple[Any, Any]:
  """Returns the latents of samples, and the keys of their noise."""
  keys = prng.per_example_keys(key, indices)
  fold = lambda key: jax.random.fold_in(key, _NOISE)
  return gan.latent_fn(keys, gan.latent_dim), jax.vmap(fold)(keys)


def make_sampler(
  gan: training.GAN,
  devices: Sequence[jax.Device] = (),
  labels: LabelFn = lambda indices: None,
) -> Callable[..., np.ndarray]:
  """Builds a function that draws any number of samples, in batches.

  Args:
    gan: the GAN.
    devices: devices that share each batch; () for the default device.
    labels: as in make_indexed_sampler.

  Returns:
    Function (weights, count, *, seed=0, batch_size=256, label=None, psi=None)
    -> `[count, ...]` float32 numpy. The i-th sample depends only on the seed
    and i. The label is `[count, ...]` or None; weights and psi are as for
    make_indexed_sampler. The function raises ValueError if count or batch_size
    is below 1, or the label has another length.
  """
  draw_at = make_indexed_sampler(gan, devices, labels)

  def draw(weights, count, *, seed=0, batch_size=256, label=None, psi=None):
    if min(count, batch_size) < 1:
      raise ValueError(
        f'count={count}, batch_size={batch_size}: must be at least 1'
      )
    for leaf in jax.tree.leaves(label):
      if np.shape(leaf)[:1] != (count,):
        raise ValueError(
          f'label has shape {np.shape(leaf)}; must begin with {count}, the '
          'number of samples'
        )
    # All batches have the same size; surplus samples of the last are dropped.
    size = min(batch_size, count)
    parts = []
    for start in range(0, count, size):
      indices = np.arange(start, start + size)
      rows = np.minimum(indices, count - 1)
      own = jax.tree.map(lambda x: np.asarray(x)[rows], label)
      parts.append(draw_at(weights, indices, seed=seed, label=own, psi=psi))
    return np.concatenate(parts)[:count]

  return draw


class GeneratedSource:
  """Samples of a generator as a source of examples (data.Source).

  Attributes:
    shape: shape of one example.
    truth: None.
  """

  distribution = None

  def __init__(
    self,
    draw_at: Callable[..., np.ndarray],
    weights: Any,
    shape: tuple[int, ...],
    count: int,
    *,
    seed: int = 0,
    label: Any = None,
    psi: float | Sequence[float] | None = None,
  ):
    """Initializes the source; samples are drawn on access.

    Args:
      draw_at: function from make_indexed_sampler.
      weights: (params, batch_stats) of the generator.
      shape: shape of one example.
      count: number of samples.
      seed: seed of the latents.
      label: `[count, ...]` labels for a conditional generator; None leaves them
        to `draw_at`.
      psi: truncation of styles; None for none.
    """
    self.shape = shape
    self._count, self._label = count, label
    self._draw = functools.partial(draw_at, weights, seed=seed, psi=psi)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, indices: np.ndarray) -> dict[str, np.ndarray]:
    if self._label is None:
      return {'x': self._draw(indices)}
    label = jax.tree.map(lambda x: np.asarray(x)[indices], self._label)
    return {'x': self._draw(indices, label=label), 'label': label}


@dataclasses.dataclass(frozen=True)
class Sampler:
  """The generator of a finished run, as a function.

  Attributes:
    config: config of the run.
    shape: shape of one example.
    step: number of train steps of the checkpoint.
    weights: (params, batch_stats) of the generator.
    gan: the GAN.
    label: shapes and types of the label of one example that a generator of
      one's own takes; None for none.
  """

  config: config_lib.Config
  shape: tuple[int, ...]
  step: int
  weights: Any
  gan: training.GAN
  label: Any = None

  def __repr__(self) -> str:  # without the arrays
    return (
      f'Sampler(shape={self.shape}, step={self.step}, '
      f'generator={self.config.generator.name!r})'
    )

  @functools.cached_property
  def _draw(self) -> Callable[..., np.ndarray]:
    return make_sampler(self.gan)

  @functools.cached_property
  def _mapping(self) -> Callable[..., jax.Array]:
    mapping = training.make_mapping_fn(self.gan)

    def run(weights, key, indices, label):
      return mapping(weights, _draws(self.gan, key, indices)[0], label)

    return jax.jit(run)

  @functools.cached_property
  def _synthesis(self) -> Callable[..., jax.Array]:
    synthesis = training.make_synthesis_fn(self.gan)

    def run(weights, styles, key):
      keys = None
      if key is not None:
        indices = jax.numpy.arange(len(styles))
        keys = _draws(self.gan, key, indices)[1]
      return synthesis(weights, styles, keys)

    return jax.jit(run)

  def __call__(
    self,
    count: int,
    *,
    seed: int = 0,
    batch_size: int = 256,
    label: Any = None,
    psi: float | Sequence[float] | None = None,
  ) -> np.ndarray:
    """Draws samples; the i-th depends only on the seed and i.

    Args:
      count: number of samples.
      seed: seed of the latents.
      batch_size: number of samples per batch.
      label: class of all samples, or classes `[count]`; None for classes as
        frequent as among the training examples. For a generator of one's own,
        the labels `[count, ...]` that it takes.
      psi: truncation of the styles of StyleGAN2, from 0 (their mean) to 1
        (none), one number or one for each style; None for none.

    Returns:
      `[count, *shape]` float32, images in [-1, 1].

    Raises:
      ValueError: if count or batch_size is below 1, the generator takes no
        labels, the label is missing, out of range or of another length, or psi
        is out of range or the generator has no styles.
    """
    label = self._checked_label(count, label)
    options = dict(seed=seed, batch_size=batch_size, label=label, psi=psi)
    return self._draw(self.weights, count, **options)

  def styles(
    self, count: int, *, seed: int = 0, label: Any = None
  ) -> np.ndarray:
    """Computes the styles w of the samples that the call would draw.

    Args:
      count: number of samples.
      seed: seed of the latents.
      label: as for the call.

    Returns:
      `[count, L, W]` float32, for `synthesize`. In between lie the styles of an
      interpolation: (1 - t) * first + t * second.

    Raises:
      ValueError: if the generator has no styles, or for a wrong label.
    """
    label = self._checked_label(count, label)
    key, indices = jax.random.key(seed), np.arange(count)
    return np.asarray(self._mapping(self.weights, key, indices, label))

  def synthesize(
    self, styles: np.ndarray, *, seed: int | None = None
  ) -> np.ndarray:
    """Generates the examples of styles.

    Args:
      styles: styles, `[count, L, W]`.
      seed: seed of the noise, that of the sample with the same index; None for
        no noise, so that equal styles give equal examples.

    Returns:
      `[count, *shape]` float32.

    Raises:
      ValueError: if the generator has no styles, or the styles have another
        shape.
    """
    synthesis = self._synthesis  # refuses a generator without styles
    shape = (
      style_lib.num_styles(self.gan, self.weights),
      *style_lib.mean_style(self.weights).shape,
    )
    if np.ndim(styles) != 3 or np.shape(styles)[1:] != shape:
      raise ValueError(
        f'styles of shape {np.shape(styles)}: must be (count, {shape[0]}, '
        f'{shape[1]})'
      )

    key = None if seed is None else jax.random.key(seed)
    return np.asarray(
      synthesis(self.weights, np.asarray(styles, np.float32), key)
    )

  def _checked_label(self, count: int, label: Any) -> Any:
    """Returns the labels of samples, those asked for or the default."""
    classes = self.gan.classes
    if classes and label is None:
      return class_labels.label_fn(self.gan)(np.arange(count))
    if classes:
      return class_labels.check_label(label, count, classes)
    if self.label is not None and label is None:
      raise ValueError(
        'the generator takes labels: pass label=..., with a first axis of '
        f'{count}, for {self.label}'
      )
    if self.label is None and label is not None:
      raise ValueError(
        f'label={label!r}: the generator takes no labels; must be None. '
        'Runs with conditional=True take classes'
      )
    return label

  def source(
    self,
    count: int,
    *,
    seed: int = 0,
    devices: Sequence[jax.Device] = (),
    labels: LabelFn = lambda indices: None,
    psi: float | Sequence[float] | None = None,
  ) -> GeneratedSource:
    """Returns samples as a source of examples, drawn on access.

    Args:
      count: number of samples.
      seed: seed of the latents.
      devices: devices that share each batch; () for the default device.
      labels: function that returns the labels of samples by index, for a
        generator of one's own. Samples of a run with classes have these as
        their labels, as frequent as among the training examples.
      psi: as for the call.

    Raises:
      ValueError: if psi is out of range, or the generator has no styles.
    """
    style_lib.check_psi(psi, self.gan, self.weights)
    draw_at = make_indexed_sampler(self.gan, devices, labels)
    label = class_labels.label_fn(self.gan)(np.arange(count))
    common = dict(seed=seed, label=label, psi=psi)
    return GeneratedSource(draw_at, self.weights, self.shape, count, **common)
