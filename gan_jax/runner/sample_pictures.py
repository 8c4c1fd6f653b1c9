"""Pictures and films of samples: grids, walks, mixed styles, directions."""

import math
import pathlib
from typing import Any, Iterator

import jax
import numpy as np

from gan_jax import pixels, sampling, training
from gan_jax.io import files, npz
from gan_jax.report import audio, film, images
from gan_jax.runner import sample_indices
from gan_jax.runner.sample_session import Session
from gan_jax.validation import lookup

_MOST_TILES = 10_000
_MOST_FRAMES = 10_000
_MOST_SOURCES = 100  # rows, or columns, of a mixing grid
_FILM_WIDTH = 256  # pixels, to which small films are enlarged
_STEPS = 9  # pictures along a direction
_INTERPOLATIONS = ('slerp', 'lerp', 'w')


def save_grid(session: Session, path: pathlib.Path) -> None:
  """Saves samples side by side; by default, a row for each class.

  Args:
    session: the samples.
    path: path of the PNG.

  Raises:
    ValueError: if there are too many samples for a picture.
  """
  request, count = session.request, session.indices.count
  if count > _MOST_TILES:
    raise ValueError(
      f'num_samples={count:,}: at most {_MOST_TILES:,} in a grid; --what=zip '
      'and --what=files write any number'
    )
  columns, about = request.columns, session.facts().common
  indices = session.indices.all()
  label = session.labels(indices)
  in_rows = not (session.classes or request.indices or columns)
  if session.has_classes and in_rows and session.kind != 'points':
    classes = session.sampler.gan.classes
    label, columns = sampling.labels_in_rows(classes, count)
    indices = np.arange(len(label))
  if session.has_classes:
    about['classes'] = [int(x) for x in label]
  with session.reporter.feature_bars() as track:
    draw = lambda indices, label: session.sampler.at(
      indices, seed=request.seed, label=label, psi=session.psi
    )
    advance = track('samples', len(indices))
    parts = session.in_batches(draw, indices, label, advance=advance)
    x = np.concatenate(list(parts))
  about['indices'] = (
    f'0-{len(x) - 1}' if not request.indices else about['indices']
  )
  about['columns'] = columns = columns or math.ceil(math.sqrt(len(x)))
  if session.kind == 'clips':
    rate = session.sample_rate
    audio.save_clips(path, x, rate, columns=columns, about=about)
  elif session.kind == 'points':
    real = None
    if session.is_run:
      source = session.open_data()[1]
      real = np.asarray(source[np.arange(min(len(source), len(x)))]['x'])
    shown = (x, None) if real is None else (real, x)
    images.save_scatter(path, *shown, about=about)
  else:
    images.save_image_grid(path, x, columns=columns, about=about)


def save_walk(session: Session, path: pathlib.Path) -> None:
  """Saves a film that goes from sample to sample and back to the first.

  Args:
    session: the samples, and the classes between which it goes.
    path: path of the film, or of a directory for its frames.

  Raises:
    ValueError: for fewer than two samples and classes, another interpolation,
      or a generator that takes no mixtures of classes.
  """
  request = session.request
  if path.suffix:
    film.check_film(path, request.fps)
  points = _given_points(session)
  given = session.indices.count if points is None else len(points)
  keys = max(given, len(session.classes))
  if keys < 2:
    raise ValueError(f'{keys} sample: a walk needs two samples, or two classes')
  count = keys * request.frames
  if count > _MOST_FRAMES:
    raise ValueError(f'{count:,} frames: must be at most {_MOST_FRAMES:,}')
  indices = np.arange(given) if points is not None else session.indices.all()
  label = session.labels(indices)
  if len(session.classes) > given:
    indices = np.resize(indices, keys)
    label = np.asarray(session.classes, np.int32)
  if points is not None:
    points = np.resize(points, (keys, *points.shape[1:]))
  about = session.common | {
    'interpolation': _interpolation(session, points),
    'frames': request.frames,
    'fps': request.fps,
  }
  if points is None:
    about['indices'] = ','.join(map(str, indices))
  else:
    about['points'] = request.points
  if session.has_classes:
    about['classes'] = [int(x) for x in label]
  with session.reporter.feature_bars() as track:
    advance = track('frames', count)
    frames = _walk_frames(session, points, indices, label, advance)
    if not path.suffix:
      for i, frame in enumerate(frames):
        name = path / f'frame{i:06d}.png'
        images.save_png(images.to_image(frame), name, about | {'frame': i})
      return
    film.save_film(path, frames, request.fps)
  files.write_json(path.with_name(f'{path.name}.json'), about)


def _given_points(session: Session) -> np.ndarray | None:
  """Returns the latents or styles in the file that is named, None for none."""
  request, gan = session.request, session.sampler.gan
  if not request.points:
    return None
  path = files.resolve_path(request.points, 'points')
  with path.open('rb') as file:
    try:
      found = npz.read_npz(file, lambda names: ['points'])['points']
    except Exception as error:  # zipfile, zlib and numpy raise any type
      raise ValueError(
        f'{path} has no array of points: {files.short_message(error)}'
      ) from error
  shapes = [(gan.latent_dim,)]
  if gan.generator.mapping is not None:
    styles = session.sampler.styles(1) if not session.has_classes else None
    styles = session.sampler.styles(1, label=0) if styles is None else styles
    shapes.append(styles.shape[1:])
  if found.shape[1:] not in shapes or not len(found):
    raise ValueError(
      f'{path} has points of shape {found.shape}; must be [n, *point] with a '
      f'point of {" or ".join(map(str, shapes))}'
    )
  return found.astype(np.float32)


def _interpolation(session: Session, points: np.ndarray | None) -> str:
  """Returns the interpolation that is asked for, or the best one."""
  name = session.request.interpolation
  styled = session.sampler.gan.generator.mapping is not None
  if points is not None:
    wanted = ('w',) if points.ndim == 3 else ('', 'slerp', 'lerp')
    if name and name not in wanted:
      raise ValueError(
        f'interpolation={name!r}: the points are '
        f'{"styles" if points.ndim == 3 else "latents"}; must be one of {wanted}'
      )
    styled = points.ndim == 3
  if not name:
    is_normal = session.config.latents.name != 'uniform'
    return 'w' if styled else 'slerp' if is_normal else 'lerp'
  lookup(_INTERPOLATIONS, name, 'interpolation')
  if name == 'w' and not styled:
    raise ValueError(
      "interpolation='w': the generator has no styles w; must be 'slerp' or "
      "'lerp'"
    )
  return name


def _walk_frames(
  session, points, indices, label, advance
) -> Iterator[np.ndarray]:
  """Yields the frames of a walk, uint8, each when it is needed."""
  request, sampler = session.request, session.sampler
  name = _interpolation(session, points)
  n = len(indices) * request.frames
  # The noise of one sample in all frames, so that only the latents change.
  noise = np.full(n, indices[0])
  if name == 'w':
    keys = points
    if points is None:
      keys = sampler.styles_at(indices, seed=request.seed, label=label)
    if session.psi is not None:
      mean = sampling.mean_style(sampler.weights)
      keys = sampling.truncate_styles(keys, mean, np.float32(session.psi))
    way = sampling.closed_walk(keys, request.frames, sampling.lerp)
    run = lambda w, noise: sampler.synthesize(
      w, seed=request.seed, indices=noise
    )
    parts = session.in_batches(run, way, noise, advance=advance)
  else:
    keys = points
    if points is None:
      keys = sampler.latents(indices, seed=request.seed)
    way = sampling.closed_walk(keys, request.frames, getattr(sampling, name))
    label = _labels_on_the_way(session, label, n)
    run = lambda z, noise, label: sampler.generate(
      z, label=label, psi=session.psi, seed=request.seed, indices=noise
    )
    parts = session.in_batches(run, way, noise, label, advance=advance)
  for x in parts:
    yield from images.enlarge(pixels.to_uint8(x), _FILM_WIDTH)


def _labels_on_the_way(session: Session, label: Any, count: int) -> Any:
  """Returns the labels of frames: weights of the classes if these change."""
  if label is None:
    return None
  if not session.has_classes:  # of a generator of one's own
    return jax.tree.map(lambda x: np.repeat(x[:1], count, axis=0), label)
  if (label == label[0]).all():
    return np.full(count, label[0])
  classes = session.sampler.gan.classes
  corners = np.eye(classes, dtype=np.float32)[label]
  way = sampling.closed_walk(corners, session.request.frames, sampling.lerp)
  try:
    jax.eval_shape(
      training.make_sample_fn(session.sampler.gan),
      session.sampler.weights,
      np.zeros((1, session.sampler.gan.latent_dim), np.float32),
      corners[:1],
    )
  except Exception as error:  # networks of users raise any type
    raise ValueError(
      'the generator takes numbers of classes alone, between which there is no '
      'walk; name one class'
    ) from error
  return np.asarray(way)


def save_mixing_grid(session: Session, path: pathlib.Path) -> None:
  """Saves a grid of mixed styles, with its sources in the first row and column.

  Args:
    session: the run.
    path: path of the PNG.

  Raises:
    ValueError: if the generator has no styles, or a layer is out of range.
  """
  request, sampler = session.request, session.sampler
  if sampler.gan.generator.mapping is None:
    raise ValueError(
      f'what=mix: the generator {session.config.generator.name!r} has no '
      'styles w; stylegan2 has'
    )
  rows, cols = (
    _sources(text, name)
    for text, name in ((request.rows, 'rows'), (request.cols, 'cols'))
  )
  styles = lambda indices: _truncated_styles(session, indices)
  row_styles, col_styles = styles(rows), styles(cols)
  count = row_styles.shape[1]
  layers = request.styles or f'0-{max(1, count // 3) - 1}'
  layers = _sources(layers, 'styles')
  mixed = sampling.mixing_grid(row_styles, col_styles, [int(i) for i in layers])
  everything = np.concatenate([row_styles, col_styles, mixed])
  # A source is the sample with its index, noise included.
  noise = np.concatenate([rows, cols, np.repeat(rows, len(cols))])
  run = lambda w, i: sampler.synthesize(w, seed=request.seed, indices=i)
  with session.reporter.feature_bars() as track:
    advance = track('images', len(noise))
    parts = session.in_batches(run, everything, noise, advance=advance)
    x = np.concatenate(list(parts))
  cells = x[len(rows) + len(cols) :].reshape(len(rows), len(cols), *x.shape[1:])
  empty = np.ones_like(x[:1])
  tiles = [empty, x[len(rows) : len(rows) + len(cols)]]
  captions = ['', *(f'{i}' for i in cols)]
  for i, row in enumerate(rows):
    tiles += [x[i : i + 1], cells[i]]
    captions += [f'{row}', *[''] * len(cols)]
  about = session.common | {
    'rows': [int(i) for i in rows],
    'cols': [int(i) for i in cols],
    'styles': [int(i) for i in layers],
  }
  images.save_captioned_grid(
    path, np.concatenate(tiles), captions, columns=len(cols) + 1, about=about
  )


def _sources(text: str, name: str) -> np.ndarray:
  """Returns the indices of the rows, or columns, of a mixing grid."""
  found = sample_indices.parse_indices(text, name)
  if found.count > _MOST_SOURCES:
    raise ValueError(f'{name}={text}: at most {_MOST_SOURCES} samples')
  return found.all()


def _truncated_styles(session: Session, indices: np.ndarray) -> np.ndarray:
  """Returns the styles of samples, truncated if psi says so."""
  sampler, label = session.sampler, session.labels(indices)
  w = sampler.styles_at(indices, seed=session.request.seed, label=label)
  if session.psi is None:
    return w
  mean = sampling.mean_style(sampler.weights)
  psi = np.float32(session.psi)
  return np.asarray(sampling.truncate_styles(w, mean, psi))


def save_directions(session: Session, path: pathlib.Path) -> None:
  """Saves a sample moved along the strongest directions, one in each row.

  An npz of the same name has all directions.

  Args:
    session: the run; the sample is the first index.
    path: path of the PNG.
  """
  request, sampler = session.request, session.sampler
  if session.indices.count > 1:
    raise ValueError(
      f'{session.indices.count} samples: directions are shown of one; name it, '
      'as in indices=7'
    )
  if request.num_directions < 1 or not 0 < request.distance < 1e3:
    raise ValueError(
      f'num_directions={request.num_directions}, distance={request.distance:g}: '
      'must be at least 1, and above 0'
    )
  indices = session.indices.all()
  label = session.labels(indices)
  found = sampler.directions(label=None if label is None else label[0])
  shown = found.vectors[: request.num_directions]
  steps = np.linspace(-request.distance, request.distance, _STEPS)
  moves = steps[None, :, None].astype(np.float32) * shown[:, None]
  x = _moved_samples(session, found.space, indices, label, moves)
  captions = [
    f'{i + 1}: {share:.1%}' if j == 0 else f'{step:+.1f}'
    for i, share in enumerate(found.strengths[: len(shown)])
    for j, step in enumerate(steps)
  ]
  about = session.common | {
    'index': int(indices[0]),
    'method': found.method,
    'space': found.space,
    'steps': [float(step) for step in steps],
  }
  if session.has_classes:
    about['class'] = int(label[0])
  images.save_captioned_grid(path, x, captions, columns=_STEPS, about=about)
  with files.atomic_stream(path.with_suffix('.npz')) as file:
    np.savez(file, vectors=found.vectors, strengths=found.strengths)


def _moved_samples(session, space, indices, label, moves) -> np.ndarray:
  """Returns a sample moved by `[R, S, D]`: `[R * S, *shape]`."""
  request, sampler = session.request, session.sampler
  moves = moves.reshape(-1, moves.shape[-1])
  many = np.arange(256)
  noise = np.repeat(indices, len(moves))
  if space == 'w':
    start = _truncated_styles(session, indices)
    # Styles have another scale than normal latents.
    scale = sampler.styles_at(many, label=session.labels(many))[:, 0].std()
    run = lambda w, noise: sampler.synthesize(
      w, seed=request.seed, indices=noise
    )
    arrays = [start + scale * moves[:, None], noise]
  else:
    start = sampler.latents(indices, seed=request.seed)
    run = lambda z, noise, label: sampler.generate(
      z, label=label, seed=request.seed, indices=noise
    )
    label = None if label is None else np.repeat(label, len(moves))
    arrays = [start + sampler.latents(many).std() * moves, noise, label]
  with session.reporter.feature_bars() as track:
    advance = track('images', len(moves))
    return np.concatenate(
      list(session.in_batches(run, *arrays, advance=advance))
    )
