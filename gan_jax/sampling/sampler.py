"""Draws any number of samples from a generator."""

import dataclasses
import functools
from typing import Any, Callable, Sequence

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import prng, tracing, training
from gan_jax.distributed import devices as devices_lib
from gan_jax.sampling import class_labels, projection, standing_stats
from gan_jax.sampling import directions as direction_lib
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
    z, noise_keys = draw_latents(gan, key, indices)
    return _generate(gan, weights, z, label, psi, noise_keys)

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


def _generate(gan, weights, z, label, psi, noise_keys) -> jax.Array:
  """Returns the examples of latents, with truncated styles if psi says so."""
  if psi is None:
    return training.make_sample_fn(gan)(weights, z, label, noise_keys)
  w = training.make_mapping_fn(gan)(weights, z, label)
  mean = style_lib.mean_style(weights)
  w = style_lib.truncate_styles(w, mean, psi)
  return training.make_synthesis_fn(gan)(weights, w, noise_keys)


def draw_latents(
  gan: training.GAN, key: Any, indices: Any
) -> tuple[jax.Array, jax.Array]:
  """Returns the latents of samples, and the keys of their noise.

  Args:
    gan: the GAN.
    key: typed key of the seed.
    indices: indices of the samples, `[n]`.

  Returns:
    Latents `[n, Z]`, and typed keys `[n]`.
  """
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


def _within_one(latents: jax.Array) -> jax.Array:
  return latents.clip(-1, 1)


def _is_mixture(label: Any, classes: int) -> bool:
  """Returns whether a label is weights of the classes, `[n, classes]` float."""
  array = np.asarray(label) if classes else np.zeros(0)
  return array.dtype.kind == 'f' and array.shape[1:] == (classes,)


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
    devices: devices that share each batch; () for the default device.
  """

  config: config_lib.Config
  shape: tuple[int, ...]
  step: int
  weights: Any
  gan: training.GAN
  label: Any = None
  devices: tuple[jax.Device, ...] = ()

  def __repr__(self) -> str:  # without the arrays
    return (
      f'Sampler(shape={self.shape}, step={self.step}, '
      f'generator={self.config.generator.name!r})'
    )

  @functools.cached_property
  def _draw(self) -> Callable[..., np.ndarray]:
    return make_sampler(self.gan, self.devices)

  @functools.cached_property
  def _draw_at(self) -> Callable[..., np.ndarray]:
    return make_indexed_sampler(self.gan, self.devices)

  def _compiled(
    self, function: Callable[..., Any]
  ) -> Callable[..., np.ndarray]:
    """Compiles a function of (weights, whole, rows), on all devices.

    `whole` is on every device, and `rows` are the examples, which are split.
    """
    devices = self.devices or jax.local_devices()[:1]
    spread = devices_lib.shard_examples(devices)
    run = jax.jit(function)

    def call(whole, *rows):
      arguments = spread.put((self.weights, whole))
      found = run(*arguments, *spread.put_batch(rows))
      return np.asarray(found)[: len(rows[0])]

    return call

  @functools.cached_property
  def _latents(self) -> Callable[..., np.ndarray]:
    def run(weights, key, indices):
      del weights
      return draw_latents(self.gan, key, indices)[0]

    return self._compiled(run)

  @functools.cached_property
  def _mapping(self) -> Callable[..., np.ndarray]:
    mapping = training.make_mapping_fn(self.gan)

    def run(weights, key, indices, label):
      return mapping(weights, draw_latents(self.gan, key, indices)[0], label)

    return self._compiled(run)

  @functools.cached_property
  def _from_latents(self) -> Callable[..., np.ndarray]:
    def run(weights, whole, latents, indices, label):
      key, psi = whole
      keys = None if key is None else draw_latents(self.gan, key, indices)[1]
      return _generate(self.gan, weights, latents, label, psi, keys)

    return self._compiled(run)

  @functools.cached_property
  def _synthesis(self) -> Callable[..., np.ndarray]:
    synthesis = training.make_synthesis_fn(self.gan)

    def run(weights, key, styles, indices):
      keys = None if key is None else draw_latents(self.gan, key, indices)[1]
      return synthesis(weights, styles, keys)

    return self._compiled(run)

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
    label = self.labels(np.arange(count), label)
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
    return self.styles_at(np.arange(count), seed=seed, label=label)

  def styles_at(
    self, indices: np.ndarray, *, seed: int = 0, label: Any = None
  ) -> np.ndarray:
    """Computes the styles w of the samples with the given indices.

    Args:
      indices: indices of the samples, `[n]`, integers.
      seed: seed of the latents.
      label: as for `at`.

    Returns:
      `[n, L, W]` float32.

    Raises:
      ValueError: if the generator has no styles, or for a wrong label.
    """
    label = self.labels(indices, label)
    return self._mapping(jax.random.key(seed), np.asarray(indices), label)

  def synthesize(
    self,
    styles: np.ndarray,
    *,
    seed: int | None = None,
    indices: np.ndarray | None = None,
  ) -> np.ndarray:
    """Generates the examples of styles.

    Args:
      styles: styles, `[count, L, W]`.
      seed: seed of the noise; None for no noise, so that equal styles give
        equal examples.
      indices: samples whose noise is taken, `[count]`; None for 0, 1, 2, ...

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
    indices = np.arange(len(styles)) if indices is None else indices
    styles = np.asarray(styles, np.float32)
    return synthesis(key, styles, np.asarray(indices))

  def at(
    self,
    indices: np.ndarray,
    *,
    seed: int = 0,
    label: Any = None,
    psi: float | Sequence[float] | None = None,
  ) -> np.ndarray:
    """Draws the samples with the given indices: `sampler(64)[i]` is `at([i])`.

    Args:
      indices: indices of the samples, `[n]`, integers from 0.
      seed: seed of the latents.
      label: class of all samples, or classes `[n]`; None for those that the
        call gives these samples. For a generator of one's own, the labels
        `[n, ...]` that it takes.
      psi: as for the call.

    Returns:
      `[n, *shape]` float32, images in [-1, 1].

    Raises:
      ValueError: if an index is negative or no integer, or as for the call.
    """
    indices = np.asarray(indices)
    if (
      indices.ndim != 1 or indices.dtype.kind not in 'iu' or (indices < 0).any()
    ):
      raise ValueError(f'indices={indices}: must be integers [n] from 0')
    options = dict(seed=seed, label=self.labels(indices, label), psi=psi)
    return self._draw_at(self.weights, indices, **options)

  def latents(self, indices: np.ndarray, *, seed: int = 0) -> np.ndarray:
    """Draws the latents of the samples with the given indices.

    Args:
      indices: indices of the samples, `[n]`, integers from 0.
      seed: seed of the latents.

    Returns:
      `[n, Z]` float32, for `generate`.
    """
    return self._latents(jax.random.key(seed), np.asarray(indices))

  def generate(
    self,
    latents: np.ndarray,
    *,
    label: Any = None,
    psi: float | Sequence[float] | None = None,
    seed: int | None = None,
    indices: np.ndarray | None = None,
  ) -> np.ndarray:
    """Generates the examples of latents.

    Args:
      latents: latents, `[n, Z]`, float.
      label: class of all examples, classes `[n]`, or weights of the classes
        `[n, C]` float, which mix their embeddings. Must be given if the
        generator takes labels.
      psi: as for the call.
      seed: seed of the noise; None for no noise, so that equal latents give
        equal examples.
      indices: samples whose noise is taken, `[n]`; None for 0, 1, 2, ...

    Returns:
      `[n, *shape]` float32.

    Raises:
      ValueError: if the latents have another length, a label is missing or out
        of range, or as for the call.
    """
    latents = np.asarray(latents, np.float32)
    if latents.ndim != 2 or latents.shape[1] != self.gan.latent_dim:
      raise ValueError(
        f'latents of shape {latents.shape}: must be (n, {self.gan.latent_dim})'
      )
    if label is None and self.gan.classes:
      raise ValueError(
        f'label=None: must be given, as the generator has {self.gan.classes} '
        'classes'
      )
    indices = np.arange(len(latents)) if indices is None else indices
    if not _is_mixture(label, self.gan.classes):
      label = self.labels(np.arange(len(latents)), label)
    psi = style_lib.check_psi(psi, self.gan, self.weights)
    key = None if seed is None else jax.random.key(seed)
    return self._from_latents((key, psi), latents, np.asarray(indices), label)

  def truncated(self, threshold: float) -> 'Sampler':
    """Returns a sampler of truncated normal latents (BigGAN's truncation).

    The entries of its latents are within the threshold, and the statistics of
    batch norm are recomputed for such latents. A sample keeps its place among
    all: its latents are a monotone function of those without truncation.

    Args:
      threshold: largest absolute value of an entry, above 0; the smaller it is,
        the more typical and the less diverse are the samples.

    Raises:
      ValueError: if the threshold is not above 0 and finite, or the latents are
        not normal.
    """
    name = self.config.latents.name
    if name == 'uniform':
      raise ValueError(
        f'threshold={threshold}: the latents of this run are {name}; must be '
        'normal'
      )
    draw = functools.partial(prng.sample_truncated_normal, threshold=threshold)
    draw(jax.random.split(jax.random.key(0), 1), 1)  # refuses a threshold
    gan = dataclasses.replace(self.gan, latent_fn=draw)
    weights = self.weights
    if self.label is None:  # as for run_dir.load_sampler
      labels = class_labels.label_fn(gan)
      weights = standing_stats.evaluation_weights(gan, weights, labels=labels)
    return dataclasses.replace(self, gan=gan, weights=weights)

  def directions(
    self, *, seed: int = 0, label: Any = None
  ) -> direction_lib.Directions:
    """Finds the directions of the latents, or styles, that change samples most.

    SeFa's of the first affine map, or of all that take styles; if the generator
    has no such map, those of its mean gradient at drawn latents.

    Args:
      seed: seed of the latents, for gradients.
      label: as for `at`.

    Returns:
      The directions, strongest first. A step along one is added to latents, or
      to all styles of a sample.
    """
    space = 'z' if self.gan.generator.mapping is None else 'w'
    kernels = direction_lib.affine_kernels(self.gan, self.weights[0])
    if kernels:
      found = jax.jit(direction_lib.sefa_directions)(kernels)
      return direction_lib.Directions(*map(np.asarray, found), space, 'SeFa')
    size, count = self.gan.latent_dim, 64
    total = np.zeros((size, size), np.float32)
    gram = jax.jit(direction_lib.gradient_gram)
    classes = range(self.gan.classes) if label is None else [label]
    for i in range(-(-16 * size // count)):
      own = classes[i % len(classes)] if self.gan.classes else None
      z = self.latents(np.arange(i * count, (i + 1) * count), seed=seed)
      total += gram(self._function('z', own), z, jax.random.key(i))
    found = direction_lib.principal_axes(total)
    return direction_lib.Directions(*map(np.asarray, found), 'z', 'gradients')

  def _function(
    self, space: str, label: int | None
  ) -> Callable[..., jax.Array]:
    """Returns the function from latents or styles to examples, without noise.

    Its weights are arguments of a program that calls it, not constants.
    """

    def from_latents(weights, label, z):
      label = None if label is None else jax.numpy.full(len(z), label)
      return _generate(self.gan, weights, z, label, None, None)

    if space == 'z':
      label = None if label is None else np.int32(label)
      return jax.tree_util.Partial(from_latents, self.weights, label)
    synthesis = training.make_synthesis_fn(self.gan)
    count = style_lib.num_styles(self.gan, self.weights)

    def from_styles(weights, w):
      if space == 'w':
        w = jax.numpy.repeat(w[:, None], count, axis=1)
      return synthesis(weights, w)

    return jax.tree_util.Partial(from_styles, self.weights)

  def project(
    self,
    targets: np.ndarray,
    *,
    space: str = '',
    label: Any = None,
    seed: int = 0,
    starts: int = 2048,
    distance: Callable[..., jax.Array] = projection.pyramid_distance,
    **options: Any,
  ) -> projection.Projection:
    """Finds latents or styles whose samples are nearest to given examples.

    Args:
      targets: examples `[n, *shape]`, images in [-1, 1].
      space: 'z', 'w' (one style for all layers) or 'w+' (one for each);
        '' for 'w' if the generator has styles, else 'z'.
      label: class of all targets, or classes `[n]`; for latents, which are
        searched within it.
      seed: seed of the starts.
      starts: number of drawn starts.
      distance: function (examples, examples) -> `[B]`.
      **options: restarts, steps, learning_rate and prior_weight of
        sampling.project.

    Returns:
      The projection, whose points are latents `[n, Z]` for `generate` or styles
      `[n, L, W]` for `synthesize`.

    Raises:
      ValueError: for another space, a space of styles without styles, or as
        for sampling.project.
    """
    styled = self.gan.generator.mapping is not None
    space = space or ('w' if styled else 'z')
    allowed = ('z', 'w', 'w+') if styled else ('z',)
    if space not in allowed:
      raise ValueError(f'space={space!r}: must be one of {allowed}')
    indices = np.arange(starts)
    if space == 'z':
      points = self.latents(indices, seed=seed)
      prior, constrain = self._latent_law()
      options |= dict(prior=prior, constrain=constrain)
    else:
      points = self.styles_at(indices, seed=seed)
      points = points[:, 0] if space == 'w' else points
      options |= dict(prior=projection.no_prior)
    find = lambda targets, label: projection.project(
      self._function(space, label), targets, points, distance, **options
    )
    found = self._by_class(find, np.asarray(targets, np.float32), space, label)
    if space == 'w':
      count = style_lib.num_styles(self.gan, self.weights)
      styles = np.repeat(found.points[:, None], count, axis=1)
      return found._replace(points=styles)
    return found

  def _by_class(self, find, targets, space, label) -> projection.Projection:
    """Projects targets of each class with the generator of that class."""
    if space != 'z' or not (self.gan.classes or self.label is not None):
      return jax.tree.map(np.asarray, find(targets, None))
    if label is None or self.label is not None:
      raise ValueError(
        f'label={label}: must be a class, or one for each target; the '
        'generator takes labels'
      )
    label = self.labels(np.arange(len(targets)), label)
    parts = [np.flatnonzero(label == c) for c in np.unique(label)]
    found = [find(targets[rows], label[rows[0]]) for rows in parts]
    order = np.argsort(np.concatenate(parts))
    return jax.tree.map(lambda *x: np.concatenate(x)[order], *found)

  def _latent_law(self):
    """Returns the prior and the constraint of projected latents."""
    latents = self.config.latents
    if latents.name == 'uniform':
      return projection.no_prior, _within_one
    return projection.norm_prior, projection.anywhere

  def labels(self, indices: np.ndarray, label: Any = None) -> Any:
    """Returns the labels of samples, those asked for or the default.

    Args:
      indices: indices of the samples, `[n]`.
      label: one class, classes `[n]`, or labels of a generator of one's own;
        None for classes as frequent as among the training examples.

    Raises:
      ValueError: if the generator takes no labels, or the label is missing, out
        of range or of another length.
    """
    count, classes = len(indices), self.gan.classes
    if classes and label is None:
      return class_labels.label_fn(self.gan)(indices)
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
