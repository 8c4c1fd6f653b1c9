"""An opened run to sample from: its sampler, indices, classes and facts."""

import dataclasses
import functools
import pathlib
from typing import Any, Callable, Iterator, Sequence

import jax
import numpy as np

from gan_jax import __version__, sampling
from gan_jax import config as config_lib
from gan_jax.distributed import devices as devices_lib
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.experiment import own_parts, run_dir
from gan_jax.io import files
from gan_jax.report import images
from gan_jax.runner import (
  console,
  recorded_parts,
  sample_indices,
  sample_writers,
)
from gan_jax.sampling import digest, styles


@dataclasses.dataclass(frozen=True)
class Request:
  """What to sample, from where, and where to.

  Attributes:
    workdir: directory of a run, an exported folder, or a file of weights.
    what: a key of sample.WHAT.
    out: path of the file or directory to write; '' for a name in the workdir.
    overwrite: whether an existing one is replaced.
    num_samples: number of samples; None for the default of `what`.
    indices: indices of the samples, such as '0-63,100'; '' for the first ones.
    seed: seed of the latents.
    classes: names or numbers of classes; sample i is of the i-th of them, in
      turn. () for classes as frequent as in the data.
    checkpoint: 'latest', 'best' or a step.
    weights: 'ema' or 'raw'.
    member: member of an ensemble; None for a single run.
    psi: truncation of styles, one number or one for each layer; () for none.
    truncate_z: threshold of truncated normal latents; None for none.
    num_devices: number of devices to use; 0 for all.
    batch_size: samples per batch, on all devices together.
    columns: images per row of a grid; 0 for an approximately square one.
    npz_key: name of the array of samples in an npz.
    interpolation: 'slerp', 'lerp' or 'w'; '' for the best for the generator.
    points: npz of latents or styles, as of a projection, that a walk goes
      through in place of samples; '' for none.
    frames: frames of a walk from one sample to the next.
    fps: frames per second of a film.
    rows: indices of the samples of the rows of a mixing grid.
    cols: likewise of its columns.
    styles: layers whose styles are those of the column; '' for the first third.
    features: 'pixels', or 'run' for the features of the run's scores, in which
      neighbors are near.
    nearest: number of neighbors of each sample.
    images: pictures to project: an image, a directory, or an npz; '' for
      held-out examples of the run.
    resize: whether these are cropped to a square and resized.
    space: where they are projected: 'z', 'w' or 'w+'; '' for the best.
    starts: number of starts of a projection.
    steps: number of steps of a projection.
    lpips: file of the weights of LPIPS; '' to compare pixels.
    num_directions: number of directions to show.
    distance: how far to go along a direction, to both sides.
    again: PNG whose samples are made again; '' for none.
    tile: 'ROW,COLUMN' of one of them, from 0,0; '' for all.
    digest: hash that the weights must have; '' for any.
  """

  workdir: str = ''
  what: str = 'grid'
  out: str = ''
  overwrite: bool = False
  num_samples: int | None = None
  indices: str = ''
  seed: int = 0
  classes: Sequence[str] = ()
  checkpoint: str = 'latest'
  weights: str = 'ema'
  member: int | None = None
  psi: Sequence[float | str] = ()
  truncate_z: float | None = None
  num_devices: int = 0
  batch_size: int = 64
  columns: int = 0
  npz_key: str = 'x'
  interpolation: str = ''
  points: str = ''
  frames: int = 24
  fps: float = 25.0
  rows: str = '0-3'
  cols: str = '4-9'
  styles: str = ''
  features: str = 'pixels'
  nearest: int = 7
  images: str = ''
  resize: bool = False
  space: str = ''
  starts: int = 2048
  steps: int = 300
  lpips: str = ''
  num_directions: int = 6
  distance: float = 6.0
  again: str = ''
  tile: str = ''
  digest: str = ''


class Session:
  """A sampler and what a request asks of it.

  Attributes:
    request: the request.
    is_run: whether it is a run, and not an exported folder or a file.
    sampler: sampler of the run, on the devices of the request.
    parts: what the run was given in place of its config's parts.
    class_names: names of the classes; () if they have none.
    classes: classes that are asked for, () for none.
    indices: indices of the samples.
    out: path of what is written.
    reporter: prints progress.
  """

  def __init__(
    self,
    request: Request,
    suffix: str,
    default_count: int | None,
    reporter: console.ConsoleReporter,
  ):
    """Opens a run and checks the request; nothing is drawn yet.

    Args:
      request: the request.
      suffix: suffix of what is written by default; '' for a directory.
      default_count: number of samples by default; None for that of the run's
        pictures.
      reporter: prints progress.

    Raises:
      OSError: if the run or its checkpoint is missing.
      ValueError: for a request that the run does not fit.
    """
    self.request, self.reporter = request, reporter
    self.indices = _indices(request, default_count or 1)  # refused at once
    _check_numbers(request)
    path = files.resolve_path(request.workdir, 'workdir')
    if not request.workdir:
      raise ValueError('give workdir: a run, or an exported folder')
    devices = devices_lib.local_devices(request.num_devices)
    self.is_run = (path / run_dir.CHECKPOINTS).is_dir()
    self.sampler, self.parts = open_sampler(request, path)
    self._check_digest(request.digest)
    self.sampler = dataclasses.replace(self.sampler, devices=tuple(devices))
    if request.truncate_z is not None:
      self.sampler = self.sampler.truncated(request.truncate_z)
    self.psi = _psi(request, self.sampler)
    self.class_names = _class_names(path)
    self.classes = sample_indices.parse_classes(
      request.classes, self.sampler.gan.classes, self.class_names
    )
    count = default_count or self.sampler.config.num_samples
    self.indices = _indices(request, count)
    self.out = _out_path(request, path, self, suffix)

  def _check_digest(self, wanted: str) -> None:
    """Refuses weights that did not make the picture that is made again."""
    found = digest.weights_digest(self.sampler.weights)
    if wanted and found != wanted:
      raise ValueError(
        f'{self.request.workdir} has other weights ({found}) than those of '
        f'{self.request.again} ({wanted})'
      )

  @property
  def shape(self) -> tuple[int, ...]:
    """Shape of one sample."""
    return self.sampler.shape

  @property
  def config(self) -> config_lib.Config:
    """Config of the run."""
    return self.sampler.config

  @property
  def sample_rate(self) -> int:
    """Samples per second of sound, in Hz; 0 for other samples."""
    options = self.config.data.options
    is_sound = len(self.shape) == 2 and self.shape[-1] == 1
    return getattr(options, 'sample_rate', 0) if is_sound else 0

  @property
  def kind(self) -> str:
    """'images', 'clips', 'points' of the plane, or 'vectors'."""
    if self.sample_rate:
      return 'clips'
    if len(self.shape) == 3 and images.can_draw(self.shape):
      return 'images'
    return 'points' if self.shape == (2,) else 'vectors'

  @functools.cached_property
  def common(self) -> dict[str, Any]:
    """Facts that make the samples again, without their indices."""
    request = self.request
    found = {
      'gan_jax': __version__,
      'seed': request.seed,
      'step': self.sampler.step,
      'weights': request.weights,
      'weights_sha256': digest.weights_digest(self.sampler.weights),
    }
    if request.member is not None:
      found['member'] = request.member
    if self.psi is not None:
      found['psi'] = self.psi
    if request.truncate_z is not None:
      found['truncate_z'] = request.truncate_z
    return found

  @property
  def has_classes(self) -> bool:
    """Whether samples have classes."""
    return self.sampler.gan.classes > 0

  @functools.cached_property
  def _test(self) -> Any:
    return self.open_data()[1]

  def open_data(self) -> tuple[Any, Any]:
    """Returns the training and the held-out examples of the run.

    Raises:
      OSError: if they are missing.
      ValueError: if it is no run, or was given its own data, which are not
        recorded.
    """
    if not self.is_run:
      raise ValueError(
        f'{self.request.workdir} is no run, and names no real examples: '
        f'what={self.request.what} needs them'
      )
    if self.config.data.name == 'own' and self.parts.train is None:
      raise ValueError(
        'the run was given its own data, which it does not record: '
        f'what={self.request.what} needs them'
      )
    return experiment_lib.open_sources(self.config, self.parts)

  def labels(self, indices: np.ndarray) -> Any:
    """Returns the labels of the samples with the given indices."""
    if self.classes:
      return np.asarray(self.classes, np.int32)[indices % len(self.classes)]
    if self.sampler.label is not None:
      return experiment_lib.sample_labels(self._test, indices)
    return self.sampler.labels(indices)

  def facts(self) -> sample_writers.Facts:
    """Returns the facts about all samples, for files of them."""
    size = self.request.batch_size
    common = self.common | {'indices': self.indices.text}
    if self.classes:
      common['classes'] = list(self.classes)
    labels = lambda: map(self.labels, self.indices.batches(size))
    return sample_writers.Facts(
      common,
      self.indices.count,
      self.shape,
      labels if self.has_classes else None,
    )

  def batches(
    self, advance: Callable[[int], Any]
  ) -> Iterator[sample_writers.Batch]:
    """Yields the samples in their order.

    All batches have the same size inside, so that one program draws them.

    Args:
      advance: function that is called with the number of samples drawn.
    """
    size = min(self.request.batch_size, self.indices.count)
    for indices in self.indices.batches(size):
      filled = np.resize(indices, size)
      label = self.labels(filled)
      x = self.sampler.at(
        filled, seed=self.request.seed, label=label, psi=self.psi
      )
      own = label[: len(indices)] if self.has_classes else None
      yield sample_writers.Batch(indices, x[: len(indices)], own)
      advance(len(indices))

  def in_batches(
    self,
    run: Callable[..., np.ndarray],
    *arrays: Any,
    advance: Callable[[int], Any] = lambda n: None,
  ) -> Iterator[np.ndarray]:
    """Applies a function to parts of arrays and yields its results.

    Args:
      run: function of parts of the arrays, all of one size.
      *arrays: arrays, or trees of arrays, `[n, ...]`.
      advance: function that is called with the number of rows done.
    """
    count = len(arrays[0])
    size = min(self.request.batch_size, count)
    for start in range(0, count, size):
      rows = np.minimum(np.arange(start, start + size), count - 1)
      parts = jax.tree.map(lambda x: np.asarray(x)[rows], arrays)
      found = run(*parts)[: count - start]
      yield found
      advance(len(found))


def open_sampler(
  request: Request, path: pathlib.Path
) -> tuple[sampling.Sampler, own_parts.OwnParts]:
  """Opens a run, an exported folder or a file of weights.

  Args:
    request: names the checkpoint, the weights and the member.
    path: its path.

  Returns:
    The sampler, and what the run was given in place of its config's parts.

  Raises:
    OSError: if it, or the checkpoint, is missing.
    ValueError: if it is damaged, or has no such weights or member.
  """
  options = dict(
    weights=request.weights,
    checkpoint=request.checkpoint,
    member=request.member,
  )
  parts = own_parts.OwnParts()
  if not (path / run_dir.CHECKPOINTS).is_dir():  # nothing of a training
    return run_dir.load_sampler(path, **options), parts
  parts = recorded_parts.recorded_parts(path)
  return run_dir.load_from_parts(path, parts, **options), parts


def _check_numbers(request: Request) -> None:
  """Refuses numbers that are out of range for any run."""
  ranges = {
    'seed': (0, 2**31 - 1),
    'batch_size': (1, 2**20),
    'columns': (0, 10_000),
    'frames': (1, 10_000),
    'starts': (4, 2**20),
    'steps': (1, 10**6),
  }
  for name, (least, most) in ranges.items():
    value = getattr(request, name)
    if not least <= value <= most:
      raise ValueError(f'{name}={value}: must be from {least} to {most:,}')


def _class_names(path: pathlib.Path) -> tuple[str, ...]:
  """Returns the names of classes that a run or an exported folder records."""
  config = path / run_dir.CONFIG_FILE
  if not config.is_file():
    return ()
  found = files.read_json(config).get('class_names')
  is_names = isinstance(found, list) and all(type(x) is str for x in found)
  return tuple(found) if is_names else ()


def _psi(request: Request, sampler: sampling.Sampler) -> Any:
  """Returns the truncation of styles: None, a number or one for each layer."""
  if not len(request.psi):
    return None
  try:
    psi = [float(x) for x in request.psi]
  except ValueError:
    text = ','.join(map(str, request.psi))
    raise ValueError(f'psi={text}: must be numbers from 0 to 1') from None
  psi = psi[0] if len(psi) == 1 else psi
  styles.check_psi(psi, sampler.gan, sampler.weights)
  return psi


def _indices(
  request: Request, default_count: int
) -> sample_indices.IndexRanges:
  """Returns the indices of the samples."""
  if request.indices and request.num_samples is not None:
    raise ValueError(
      f'indices={request.indices}, num_samples={request.num_samples}: give one '
      'of them'
    )
  if request.indices:
    return sample_indices.parse_indices(request.indices)
  count = request.num_samples
  return sample_indices.first_indices(default_count if count is None else count)


def _out_path(
  request: Request, path: pathlib.Path, session: Session, suffix: str
) -> pathlib.Path:
  """Returns the path of what is written."""
  if request.out:
    return files.resolve_path(request.out, 'out')
  folder = path if path.is_dir() else path.parent
  parts = [request.what, f'{session.sampler.step:08d}', f'seed{request.seed}']
  if request.member is not None:
    parts.append(f'member{request.member}')
  if request.weights != 'ema':
    parts.append(request.weights)
  if session.psi is not None:
    parts.append(f'psi{np.mean(session.psi):g}')
  if request.truncate_z is not None:
    parts.append(f'z{request.truncate_z:g}')
  if session.classes:
    parts += ['class', *map(str, session.classes[:4])]
  return folder / 'generated' / f'{"-".join(parts)}{suffix}'
