"""Samples from a run: files, pictures, films, and what it has learned.

`sample.py` reads the flags and calls `sample`.
"""

import pathlib
import time
from typing import Any, Callable, Iterator, NamedTuple

import numpy as np

from gan_jax.io import files
from gan_jax.report import film as film_lib
from gan_jax.report import images
from gan_jax.runner import (
  console,
  sample_again,
  sample_examples,
  sample_pictures,
  sample_writers,
)
from gan_jax.runner.sample_session import Request, Session
from gan_jax.validation import lookup

__all__ = ['WHAT', 'Request', 'sample']


class _Kind(NamedTuple):
  """What can be sampled.

  Attributes:
    run: function of a session and its target that writes it.
    suffix: suffix of the file; '' for a directory.
    kinds: kinds of samples that it is for.
    count: default number of samples; None for that of the run's pictures.
  """

  run: Callable[[Session, pathlib.Path], Any]
  suffix: str
  kinds: tuple[str, ...] = ('images',)
  count: int | None = None


def _write_files(session: Session, path: pathlib.Path) -> None:
  _write(session, sample_writers.write_png_files, path)


def _write_zip(session: Session, path: pathlib.Path) -> None:
  _write(session, sample_writers.write_zip, path)


def _write_npz(session: Session, path: pathlib.Path) -> None:
  key = session.request.npz_key
  if not key.isidentifier() or key == 'label':
    raise ValueError(f"npz_key={key!r}: must be a name such as 'x' or 'arr_0'")
  _write(session, sample_writers.write_npz, path, key=key)


def _write_wavs(session: Session, path: pathlib.Path) -> None:
  rate = session.sample_rate
  _write(session, sample_writers.write_wav_files, path, sample_rate=rate)


def _write(
  session: Session, write: Callable[..., None], path: pathlib.Path, **more: Any
) -> None:
  """Draws samples and writes them as they come."""
  facts = session.facts()
  with session.reporter.feature_bars() as track:
    write(path, session.batches(track('samples', facts.count)), facts, **more)


_ALL = ('images', 'clips', 'points', 'vectors')
WHAT = {
  'grid': _Kind(sample_pictures.save_grid, '.png', _ALL[:3]),
  'files': _Kind(_write_files, ''),
  'npz': _Kind(_write_npz, '.npz', _ALL),
  'zip': _Kind(_write_zip, '.zip'),
  'wav': _Kind(_write_wavs, '', ('clips',)),
  'walk': _Kind(sample_pictures.save_walk, '.webp', count=5),
  'mix': _Kind(sample_pictures.save_mixing_grid, '.png', count=1),
  'neighbors': _Kind(sample_examples.save_neighbors, '.png', _ALL[:2], count=8),
  'project': _Kind(sample_examples.save_projections, '.png', count=8),
  'directions': _Kind(sample_pictures.save_directions, '.png', count=1),
}
_STREAMS = ('files', 'npz', 'zip', 'wav')
_FILM = 'film'
CHOICES = (*WHAT, _FILM)


def sample(request: Request, *, quiet: bool = False) -> pathlib.Path:
  """Samples from a run and writes what is asked for.

  Args:
    request: what to sample.
    quiet: whether to print nothing.

  Returns:
    The path of the file or directory.

  Raises:
    OSError: if the run is missing, or the target exists or cannot be written.
    ValueError: for a request that the run or the disk does not fit.
  """
  start = time.perf_counter()
  reporter = console.ConsoleReporter(quiet=quiet)
  lookup(CHOICES, request.what, 'what')
  if request.tile and not request.again:
    raise ValueError(f'tile={request.tile}: is a tile of the PNG in --again')
  if request.again:
    request = sample_again.request_again(request)
  if request.what == _FILM:
    path = _save_training_film(request)
    reporter.written(path, _size(path), time.perf_counter() - start)
    return path
  kind = WHAT[request.what]
  session = Session(request, kind.suffix, kind.count, reporter)
  _check_kind(session, kind)
  is_directory = not kind.suffix
  if request.what == 'walk':  # frames of their own, if the target says so
    is_directory = not session.out.suffix
  elif kind.suffix and session.out.suffix.lower() != kind.suffix:
    raise ValueError(f'out={session.out}: must end in {kind.suffix}')
  if request.what in _STREAMS:
    _announce(session)
  sample_writers.prepare_target(
    session.out, overwrite=request.overwrite, is_directory=is_directory
  )
  kind.run(session, session.out)
  size = _size(session.out)
  reporter.written(session.out, size, time.perf_counter() - start)
  return session.out


def _check_kind(session: Session, kind: _Kind) -> None:
  """Refuses what samples of this kind cannot be."""
  if session.kind in kind.kinds:
    return
  allowed = [name for name, x in WHAT.items() if session.kind in x.kinds]
  raise ValueError(
    f'what={session.request.what}: the samples are {session.kind} of shape '
    f'{session.shape}; must be one of {", ".join(allowed)}'
  )


def _announce(session: Session) -> None:
  """Says how much will be written, and refuses what the disk cannot hold."""
  count, what = session.indices.count, session.request.what
  size = sample_writers.estimated_bytes(what, count, session.shape)
  text = f'what={what} of {count:,} samples'
  free = sample_writers.check_disk_space(session.out, size, text)
  session.reporter.sampling(
    session.common, count, sample_writers.size_text(size), free
  )


def _size(path: pathlib.Path) -> int:
  """Returns the bytes of a file, or of the files of a directory."""
  if path.is_file():
    return path.stat().st_size
  return sum(p.stat().st_size for p in path.iterdir() if p.is_file())


def _save_training_film(request: Request) -> pathlib.Path:
  """Makes a film of the pictures that a run saved in training."""
  workdir = files.resolve_path(request.workdir, 'workdir')
  folder = workdir / 'samples'
  found = [p for p in folder.glob('*.png') if p.stem.isdigit()]
  if not request.workdir or not found:
    raise FileNotFoundError(
      f'{workdir} has no pictures of its training: there is no '
      f'{folder}/STEP.png'
    )
  out = workdir / 'generated' / 'film.webp'
  out = files.resolve_path(request.out, 'out') if request.out else out
  film_lib.check_film(out, request.fps)
  sample_writers.prepare_target(
    out, overwrite=request.overwrite, is_directory=False
  )
  film_lib.save_film(out, _frames(sorted(found)), request.fps)
  return out


def _frames(paths: list[pathlib.Path]) -> Iterator[np.ndarray]:
  """Yields pictures of one size; others, of other settings, are left out."""
  shape = images.read_picture(paths[-1]).shape
  for path in paths:
    frame = images.read_picture(path)
    if frame.shape == shape:
      yield frame
