"""Checkpoints of a run; the only module that knows orbax.

The state is the same on every process, so one of them writes it, alone. A
checkpoint holds the state, what its writer says of itself (its config and
versions), and a checksum of every file, so that one that was cut short or
changed on the disk is found out before it is read.
"""

import contextlib
import json
import logging
import pathlib
import shutil
import zlib
from typing import Any, Iterator, Mapping

import jax
import orbax.checkpoint as ocp

from gan_jax.io import files

PyTree = Any
_DAMAGED = 'damaged'
_SUMS = 'checksums.json'
# Written at the end, once more: times, and that all is there.
_NOT_SUMMED = ('_CHECKPOINT_METADATA', 'commit_success.txt')
_MAX_NANOSECONDS = 2**62


class CorruptCheckpointError(ValueError):
  """A checkpoint does not read back as what was written."""


def write_checksums(directory: pathlib.Path) -> None:
  """Notes the size and CRC-32 of every file of a complete checkpoint."""
  sums = {
    name: checksum(directory / name) for name in sorted(_files(directory))
  }
  files.atomic_write(directory / _SUMS, json.dumps(sums))


def _files(directory: pathlib.Path) -> set[str]:
  """Names of the files of a checkpoint, but for those that orbax adds."""
  found = (p for p in directory.rglob('*') if p.is_file() or p.is_symlink())
  return {str(p.relative_to(directory)) for p in found} - set(_NOT_SUMMED)


def checksum(path: pathlib.Path) -> list[int]:
  """Size and CRC-32 of a file."""
  size = crc = 0
  with path.open('rb') as file:
    while part := file.read(2**20):
      size, crc = size + len(part), zlib.crc32(part, crc)
  return [size, crc]


def quarantine(directory: pathlib.Path, why: str) -> str:
  """Moves a checkpoint into `damaged/` of its run; `why`, and that it did."""
  aside = directory.parent.parent / _DAMAGED / directory.parent.name
  aside.mkdir(parents=True, exist_ok=True)
  shutil.rmtree(aside / directory.name, ignore_errors=True)
  directory.rename(aside / directory.name)
  return f'{why} (moved to {_DAMAGED}/)'


def verify_checksums(directory: pathlib.Path) -> str:
  """What is wrong with the files of a checkpoint; '' for nothing."""
  sums = directory / _SUMS
  if not sums.is_file():
    return f'{_SUMS} is missing'
  try:
    noted = json.loads(sums.read_text())
    unknown = _files(directory) - noted.keys() - {_SUMS}
    if unknown:
      return f'{min(unknown)} is in no list'
    for name, sum_ in noted.items():
      if not (directory / name).is_file():
        return f'{name} is missing'
      if checksum(directory / name) != sum_:
        return f'{name} is not what was written'
  except (OSError, ValueError, AttributeError, RecursionError) as error:
    return f'{_SUMS} cannot be read: {files.short_message(error)}'
  return ''


@contextlib.contextmanager
def _writing(directory: pathlib.Path) -> Iterator[None]:
  """Makes an OSError that names the directory of whatever happens within."""
  try:
    yield
  except Exception as error:  # orbax and what is below it raise anything
    raise OSError(
      f'no checkpoint could be written to {directory}: {files.short_message(error)}'
    ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Keeps orbax from warning of what it was asked for."""
  logger = logging.getLogger('absl')
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)


def _drop_bad_times(directory: pathlib.Path) -> None:
  """Removes files of orbax that it cannot read, and does not need."""
  for path in directory.glob('*/_CHECKPOINT_METADATA'):
    try:
      found = files.read_json(path)
      times = found['init_timestamp_nsecs'], found['commit_timestamp_nsecs']
      good = all(0 <= int(time) < _MAX_NANOSECONDS for time in times)
    except (ValueError, KeyError, TypeError):
      good = False
    if not good:
      path.unlink()


def _single_process() -> dict[str, Any]:
  """Keeps orbax from waiting for other processes; {} where there are none."""
  if jax.process_count() == 1:
    return {}
  own = jax.process_index()
  return {
    'multiprocessing_options': ocp.options.MultiprocessingOptions(
      primary_host=own,
      active_processes={own},
      barrier_sync_key_prefix=f'process{own}',
    )
  }


class RunCheckpointer:
  """The checkpoints of one run, by step number; saving is asynchronous.

  What is being written has another name until it is complete: a process that
  ends in the middle leaves the checkpoints before.
  """

  def __init__(
    self,
    directory: str | pathlib.Path,
    *,
    keep: int = 2,
    read_only: bool = False,
    metadata: Mapping[str, Any] | None = None,
  ):
    """Opens the directory, or makes it.

    Args:
      directory: where they are.
      keep: how many to keep, the newest.
      read_only: to read beside a process that writes: nothing is made or
        cleaned up.
      about: what is written beside each state, JSON.
    """
    self.directory = pathlib.Path(directory).absolute()
    self._about, self._looked_at = dict(metadata or {}), set()
    alone = _single_process()
    with _quiet():
      if read_only:
        options = ocp.CheckpointManagerOptions(read_only=True, **alone)
      else:
        self.directory.mkdir(parents=True, exist_ok=True)
        options = ocp.CheckpointManagerOptions(
          max_to_keep=keep,
          create=False,
          cleanup_tmp_directories=True,
          async_options=ocp.options.AsyncOptions(
            post_finalization_callback=self._finalized
          ),
          **alone,
        )
      open_ = lambda: ocp.CheckpointManager(
        self.directory,
        options=options,
        item_names=('state', 'about'),
        item_handlers={
          'state': ocp.StandardCheckpointHandler(**alone),
          'about': ocp.JsonCheckpointHandler(**alone),
        },
      )
      try:
        self._manager = open_()
      except (ArithmeticError, TypeError, ValueError, AttributeError):
        _drop_bad_times(self.directory)
        self._manager = open_()

  def latest(self) -> int | None:
    """Step of the newest complete checkpoint; None where there is none."""
    return self._manager.latest_step()

  def steps(self) -> list[int]:
    """Steps of the complete checkpoints, in order."""
    return sorted(self._manager.all_steps())

  def delete(self, step: int) -> None:
    """Removes a checkpoint."""
    self._manager.delete(step)

  def save(self, step: int, state: PyTree) -> None:
    """Saves arrays under a step; returns before all is written.

    Raises:
      OSError: where this one, or the one before, cannot be written; it names
        the directory.
    """
    if step in self._manager.all_steps():
      return
    if jax.process_count() > 1:  # orbax refuses arrays of one process
      state = jax.device_get(state)
    with _writing(self.directory):
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state),
          about=ocp.args.JsonSave(self._about),
        ),
        force=True,
      )

  def _finalized(self) -> None:
    # Still under its temporary name: it is moved, whole, into its place next.
    for directory in self.directory.glob('*.orbax-checkpoint-*'):
      write_checksums(directory)

  def metadata(self, step: int) -> dict[str, Any]:
    """What was written beside a state.

    Raises:
      Damaged: where the checkpoint is not as it was written.
    """
    return self._read(step, about=ocp.args.JsonRestore())

  def restore(self, like: PyTree, step: int | None = None) -> PyTree:
    """Reads a checkpoint.

    Args:
      like: a tree of arrays or ShapeDtypeStructs of the saved structure.
      step: which one; None for the newest.

    Returns:
      The tree, on the first local device, whatever it was saved on.

    Raises:
      FileNotFoundError: where there is none.
      Damaged: where it is not as it was written.
    """
    step = self.latest() if step is None else step
    if step is None:
      raise FileNotFoundError(f'no checkpoint in {self.directory}')
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), like
    )
    return self._read(step, state=ocp.args.StandardRestore(abstract))

  def _read(self, step: int, **item: Any) -> Any:
    """One item of a checkpoint; before the first, a look at all its files."""
    directory = self.directory / str(step)
    if step not in self._looked_at:
      damage = verify_checksums(directory)
      if damage:
        raise CorruptCheckpointError(f'{directory} is damaged: {damage}')
      self._looked_at.add(step)
    (name,) = item
    try:
      return self._manager.restore(step, args=ocp.args.Composite(**item))[name]
    except Exception as error:  # orbax and what is below it raise anything
      raise CorruptCheckpointError(
        f'{directory} cannot be read: {files.short_message(error)}'
      ) from error

  def wait(self) -> None:
    """Waits for what is being written.

    Raises:
      OSError: where it could not be.
    """
    with _writing(self.directory):
      self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for what is being written."""
    self.wait()
    self._manager.close()

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    # An error that is under way says more than what follows from it.
    with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
      self.close()


def save_state(
  directory: str | pathlib.Path, state: PyTree, step: int = 0
) -> None:
  """Saves a train state, or any tree of arrays, as a checkpoint.

  Args:
    directory: directory of checkpoints, made if missing.
    state: tree of arrays.
    step: number of the checkpoint.

  Raises:
    OSError: if it cannot be written; the message names the directory.
  """
  with RunCheckpointer(directory, keep=2**31 - 1) as checkpointer:
    checkpointer.save(step, state)


def restore_state(
  directory: str | pathlib.Path, like: PyTree, step: int | None = None
) -> PyTree:
  """Reads a state that `save_state`, or a run, has saved.

  Args:
    directory: directory of checkpoints.
    like: tree of arrays or ShapeDtypeStructs of the saved structure.
    step: number of the checkpoint; None for the newest.

  Returns:
    The tree, on the first local device.

  Raises:
    FileNotFoundError: if there is no checkpoint.
    CorruptCheckpointError: if it is not as it was written.
  """
  with RunCheckpointer(directory, read_only=True) as checkpointer:
    return checkpointer.restore(like, step)
