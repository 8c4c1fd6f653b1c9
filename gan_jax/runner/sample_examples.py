"""Samples beside real examples: nearest neighbors, and projections."""

import pathlib
from typing import Any, Iterator

import jax
import numpy as np

from gan_jax import data as data_lib
from gan_jax import pixels, sampling
from gan_jax.data import image_dir, image_files
from gan_jax.data import images as image_lib
from gan_jax.evaluation import evaluator, feature_extractors
from gan_jax.evaluation.networks import lpips
from gan_jax.evaluation.registry import METRICS
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.io import files
from gan_jax.report import audio, images
from gan_jax.runner.sample_session import Session

_BATCH_BYTES = 2**26  # of real examples in memory
_MOST_ROWS = 100  # samples in a picture
_TARGETS = 8  # projected at a time


def save_neighbors(session: Session, path: pathlib.Path) -> None:
  """Saves samples beside the nearest training examples, with distances.

  Args:
    session: the samples.
    path: path of the PNG.

  Raises:
    ValueError: if there are too many samples, the run has no data, or its
      features are none of samples.
  """
  count = session.request.nearest
  _check_rows(session)
  train, _ = session.open_data()
  if not 1 <= count <= len(train):
    raise ValueError(
      f'nearest={count}: must be from 1 to {len(train)}, the number of training '
      'examples'
    )
  name, describe = _feature_function(session)
  with session.reporter.feature_bars() as track:
    batches = session.batches(track('samples', session.indices.count))
    samples = _stored(np.concatenate([batch.x for batch in batches]))
    advance = track('training examples', len(train))
    # Features are those of whole batches, so that one program computes them.
    queries = describe(samples)
    real = map(describe, _real_batches(train, advance))
    found, distances = sampling.nearest_neighbors(queries, real, count)
  tiles, captions = [], []
  for i, index in enumerate(session.indices.all()):
    near = np.sort(found[i])  # sources on disk prefer order
    neighbors = _stored(train[near]['x'])[np.searchsorted(near, found[i])]
    tiles += [samples[i : i + 1], neighbors]
    captions += [f'sample {index}', *(f'{d:.2f}' for d in distances[i])]
  about = session.facts().common | {
    'features': name,
    'neighbors': found.tolist(),
    'distances': [[round(float(d), 6) for d in row] for row in distances],
  }
  images.save_captioned_grid(
    path,
    _pictures(session, np.concatenate(tiles)),
    captions,
    columns=count + 1,
    about=about,
  )


def _check_rows(session: Session) -> None:
  if session.indices.count > _MOST_ROWS:
    raise ValueError(
      f'num_samples={session.indices.count:,}: at most {_MOST_ROWS} in a '
      'picture of this kind'
    )


def _stored(x: Any) -> np.ndarray:
  """Returns examples as they are stored: images as uint8."""
  x = np.asarray(x)
  return pixels.to_uint8(x) if x.ndim == 4 and x.dtype != np.uint8 else x


def _pictures(session: Session, x: np.ndarray) -> np.ndarray:
  """Returns images in [-1, 1] of examples; of sound, the spectrograms."""
  if session.kind != 'clips':
    return pixels.to_float(x)
  rate, edge = session.sample_rate, audio.GAP
  drawn = [audio.spectrogram_image(clip[None], rate, columns=1) for clip in x]
  return pixels.to_float(np.stack(drawn)[:, edge:-edge, edge:-edge])


def _feature_function(session: Session) -> tuple[str, Any]:
  """Returns the name and the function of the features that are compared."""
  options, choice = session.config.eval, session.request.features
  if choice not in ('pixels', 'run'):
    raise ValueError(
      f"features={choice!r}: must be 'pixels', or 'run' for the features of the "
      "run's scores"
    )
  name = 'pixels' if choice == 'pixels' else _run_features(options)
  extractor = feature_extractors.make_feature_extractor(
    name,
    path=options.feature_weights if choice == 'run' else '',
    protocol=options.protocol,
    sample_rate=session.sample_rate,
  )
  is_image = session.kind == 'images'
  dtype = np.uint8 if is_image else np.float32
  feature_extractors.feature_dim(extractor, session.shape, dtype)
  apply = jax.jit(extractor.apply)
  size = extractor.batch_size

  def describe(x):
    parts = []
    for start in range(0, len(x), size):
      rows = np.minimum(np.arange(start, start + size), len(x) - 1)
      found = apply(extractor.params, x[rows].astype(dtype))
      parts.append(np.asarray(found)[: len(x) - start])
    return np.concatenate(parts)

  return name, describe


def _run_features(options: Any) -> str:
  """Returns the features of a run's scores, as evaluation.make_evaluator."""
  names = evaluator.parse_metrics(options.metrics)
  inception = any(METRICS[name].features == 'inception' for name in names)
  return options.features or ('inception' if inception else 'pixels')


def _real_batches(source: Any, advance: Any) -> Iterator[np.ndarray]:
  """Yields all examples of a source in order, as they are stored."""
  size = max(1, min(1024, _BATCH_BYTES // (4 * int(np.prod(source.shape)))))
  for start in range(0, len(source), size):
    x = source[np.arange(start, min(start + size, len(source)))]['x']
    yield _stored(x)
    advance(len(x))


def save_projections(session: Session, path: pathlib.Path) -> None:
  """Saves pictures above what the generator makes of them.

  An npz of the same name has the latents or styles.

  Args:
    session: the run.
    path: path of the PNG.

  Raises:
    OSError: if a picture cannot be read.
    ValueError: if a picture has another size, or the generator has no such
      space.
  """
  request = session.request
  _check_rows(session)
  names, targets, label = _targets(session)
  distance = sampling.pyramid_distance
  if request.lpips:
    weights = lpips.load_weights(request.lpips)
    distance = jax.tree_util.Partial(lpips.lpips, weights)
  parts = []
  with session.reporter.feature_bars() as track:
    advance = track('projections', len(targets))
    for start in range(0, len(targets), _TARGETS):
      rows = slice(start, start + _TARGETS)
      found = session.sampler.project(
        targets[rows],
        space=request.space,
        label=None if label is None else label[rows],
        seed=request.seed,
        starts=request.starts,
        distance=distance,
        steps=request.steps,
      )
      parts.append(found)
      advance(len(found.distances))
  found = jax.tree.map(lambda *x: np.concatenate(x), *parts)
  points, sampler = found.points, session.sampler
  if points.ndim == 3:
    x = sampler.synthesize(points)
  else:
    x = sampler.generate(points, label=label)
  error = np.square(x - targets).reshape(len(x), -1).mean(axis=1)
  about = session.common | {
    'targets': names,
    'distance': 'LPIPS' if request.lpips else 'pixels',
    'distances': [round(float(d), 6) for d in found.distances],
    'mean_squared_errors': [round(float(e), 6) for e in error],
    'starts': request.starts,
    'steps': request.steps,
  }
  _save_pairs(path, targets, x, names, error, about)
  with files.atomic_stream(path.with_suffix('.npz')) as file:
    np.savez(file, points=points, distances=found.distances)


def _save_pairs(path, targets, x, names, error, about) -> None:
  """Saves rows of targets, each above a row of what was found."""
  tiles, captions = [], []
  columns = min(_TARGETS, len(x))
  for start in range(0, len(x), columns):
    rows = slice(start, start + columns)
    missing = columns - len(x[rows])
    for part, texts in (
      (targets[rows], [str(name)[:12] for name in names[rows]]),
      (x[rows], [f'MSE {e:.4f}' for e in error[rows]]),
    ):
      tiles += [part, np.ones((missing, *x.shape[1:]), np.float32)]
      captions += texts + [''] * missing
  images.save_captioned_grid(
    path, np.concatenate(tiles), captions, columns=columns, about=about
  )


def _targets(session: Session) -> tuple[list[str], np.ndarray, Any]:
  """Returns names, pictures in [-1, 1] and classes of what is projected."""
  request = session.request
  label = None
  if request.images:
    if session.has_classes and not session.classes:
      raise ValueError(
        'the generator has classes: name that of the pictures, as in class=3'
      )
    names, x = _read_pictures(session)
  else:
    _, test = session.open_data()
    count = min(session.indices.count, len(test))
    batch = experiment_lib.take_batch(
      test, count, with_labels=session.has_classes
    )
    x, names = batch['x'], [f'held out {i}' for i in range(count)]
    label = batch.get('label')
  if session.classes:
    label = np.resize(np.asarray(session.classes, np.int32), len(x))
  return names, pixels.to_float(x), label


def _read_pictures(session: Session) -> tuple[list[str], np.ndarray]:
  """Reads pictures of the shape that the generator makes."""
  request, shape = session.request, session.shape
  path = files.resolve_path(request.images, 'images')
  shown = files.printable(path)
  if path.suffix.lower() in ('.npz', '.npy') and path.is_file():
    source = data_lib.open_samples(path)
    if source.shape != shape:
      raise ValueError(
        f'{shown} has images of shape {source.shape}; the generator makes '
        f'{shape}'
      )
    indices = np.arange(min(len(source), _MOST_ROWS))
    return [f'{i}' for i in indices], source[indices]['x']
  if path.is_dir():
    paths = image_dir.scan_images(path).paths[:_MOST_ROWS]
  elif path.is_file():
    paths = [path]
  else:
    raise FileNotFoundError(f'images={shown}: there is no such file')

  def convert(image):
    if request.resize:
      return image_lib.crop_and_resize(image, shape[0], shape[2])
    return np.asarray(image_lib.convert_mode(image, shape[2])).reshape(shape)

  for p in paths:
    with image_files.open_image(p) as image:
      width, height = image.size
    if (height, width) != shape[:2] and not request.resize:
      raise ValueError(
        f'{files.printable(p)} has {width} x {height} pixels; the generator '
        f'makes {shape[1]} x {shape[0]}. --resize crops and resizes'
      )
  found = [image_files.load_image(p, convert) for p in paths]
  return [p.name for p in paths], np.stack(found)
