"""Checkpoints of a run; the only module that imports orbax, on its first use.

The state is the same on every process, so a single process writes it. A
checkpoint holds the state, metadata (config and versions of the writer) and a
checksum of every file, so that truncated or modified checkpoints are detected
before they are read.
"""

import contextlib
import json
import logging
import pathlib
import shutil
import zlib
from typing import Any, Iterator, Mapping

import jax

from gan_jax.io import files

PyTree = Any
_DAMAGED = 'damaged'
_SUMS = 'checksums.json'
# Written by orbax after the checksums: times, and a marker of completeness.
_NOT_SUMMED = ('_CHECKPOINT_METADATA', 'commit_success.txt')
_MAX_NANOSECONDS = 2**62


class CorruptCheckpointError(ValueError):
  """Raised when a checkpoint does not read back as it was written."""


def write_checksums(directory: pathlib.Path) -> None:
  """Writes the size and CRC-32 of every file of a complete checkpoint."""
  sums = {
    name: checksum(directory / name) for name in sorted(_files(directory))
  }
  files.atomic_write(directory / _SUMS, json.dumps(sums))


def _files(directory: pathlib.Path) -> set[str]:
  """Returns the names of a checkpoint's files except those orbax adds later."""
  found = (p for p in directory.rglob('*') if p.is_file() or p.is_symlink())
  return {str(p.relative_to(directory)) for p in found} - set(_NOT_SUMMED)


def checksum(path: pathlib.Path) -> list[int]:
  """Returns the size and CRC-32 of a file."""
  size = crc = 0
  with path.open('rb') as file:
    while part := file.read(2**20):
      size, crc = size + len(part), zlib.crc32(part, crc)
  return [size, crc]


def quarantine(directory: pathlib.Path, why: str) -> str:
  """Moves a checkpoint to the run's `damaged/`; returns `why` and a note."""
  aside = directory.parent.parent / _DAMAGED / directory.parent.name
  aside.mkdir(parents=True, exist_ok=True)
  shutil.rmtree(aside / directory.name, ignore_errors=True)
  directory.rename(aside / directory.name)
  return f'{why} (moved to {_DAMAGED}/)'


def verify_checksums(directory: pathlib.Path) -> str:
  """Returns a description of the first damaged file, or '' if there is none."""
  sums = directory / _SUMS
  if not sums.is_file():
    return f'{_SUMS} is missing'
  try:
    noted = json.loads(sums.read_text())
    unknown = _files(directory) - noted.keys() - {_SUMS}
    if unknown:
      return f'{min(unknown)} is not in the list of checksums'
    for name, sum_ in noted.items():
      if not (directory / name).is_file():
        return f'{name} is missing'
      if checksum(directory / name) != sum_:
        return f'{name} does not match its checksum'
  except (OSError, ValueError, AttributeError, RecursionError) as error:
    return f'{_SUMS} cannot be read: {files.short_message(error)}'
  return ''


@contextlib.contextmanager
def _writing(directory: pathlib.Path) -> Iterator[None]:
  """Turns every error in the context into an OSError naming the directory."""
  try:
    yield
  except Exception as error:  # orbax and its dependencies raise any type
    raise OSError(
      f'cannot write a checkpoint to {directory}: {files.short_message(error)}'
    ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Silences warnings of orbax about options that are set on purpose."""
  logger = logging.getLogger('absl')
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)


def _drop_bad_times(directory: pathlib.Path) -> None:
  """Removes files that orbax cannot read and does not need."""
  for path in directory.glob('*/_CHECKPOINT_METADATA'):
    try:
      found = files.read_json(path)
      times = found['init_timestamp_nsecs'], found['commit_timestamp_nsecs']
      good = all(0 <= int(time) < _MAX_NANOSECONDS for time in times)
    except (ValueError, KeyError, TypeError):
      good = False
    if not good:
      path.unlink()


def _one_copy(x: Any) -> Any:
  """Returns the first copy of an array that is replicated over devices.

  Of several copies orbax saves a part of each, and compiles a program for each
  shape to cut them.
  """
  is_copied = isinstance(x, jax.Array) and x.is_fully_replicated
  if is_copied and len(x.addressable_shards) > 1:
    return x.addressable_shards[0].data
  return x


def _single_process() -> dict[str, Any]:
  """Returns options that keep orbax from waiting for other processes.

  Returns {} if there are none.
  """
  if jax.process_count() == 1:
    return {}
  import orbax.checkpoint as ocp

  own = jax.process_index()
  return {
    'multiprocessing_options': ocp.options.MultiprocessingOptions(
      primary_host=own,
      active_processes={own},
      barrier_sync_key_prefix=f'process{own}',
    )
  }


class RunCheckpointer:
  """Checkpoints of one run by step number, saved asynchronously.

  A checkpoint has a temporary name until it is complete: a process that ends
  while saving leaves the previous checkpoints intact.
  """

  def __init__(
    self,
    directory: str | pathlib.Path,
    *,
    keep: int = 2,
    read_only: bool = False,
    metadata: Mapping[str, Any] | None = None,
  ):
    """Creates the directory if it does not exist; nothing is read yet.

    Args:
      directory: directory of the checkpoints.
      keep: number of newest checkpoints to keep.
      read_only: whether to only read, while another process may write: nothing
        is created or cleaned up.
      metadata: JSON object stored with each state.
    """
    self.directory = files.resolve_path(directory).absolute()
    self._about, self._looked_at = dict(metadata or {}), set()
    self._keep, self._read_only = keep, read_only
    self._opened: Any = None
    if not read_only:
      self.directory.mkdir(parents=True, exist_ok=True)

  @property
  def _manager(self) -> Any:
    """The directory's manager, which the first access opens.

    A run takes its first step sooner without the import of orbax.
    """
    if self._opened is None:
      with _quiet():
        try:
          self._opened = self._open()
        except (ArithmeticError, TypeError, ValueError, AttributeError):
          _drop_bad_times(self.directory)
          self._opened = self._open()
    return self._opened

  def _open(self) -> Any:
    import orbax.checkpoint as ocp

    alone = _single_process()
    if self._read_only:
      options = ocp.CheckpointManagerOptions(read_only=True, **alone)
    else:
      options = ocp.CheckpointManagerOptions(
        max_to_keep=self._keep,
        create=False,
        cleanup_tmp_directories=True,
        async_options=ocp.options.AsyncOptions(
          post_finalization_callback=self._finalized
        ),
        **alone,
      )
    return ocp.CheckpointManager(
      self.directory,
      options=options,
      item_names=('state', 'about'),
      item_handlers={
        'state': ocp.StandardCheckpointHandler(**alone),
        'about': ocp.JsonCheckpointHandler(**alone),
      },
    )

  def latest(self) -> int | None:
    """Returns the step of the newest complete checkpoint, or None."""
    return self._manager.latest_step()

  def steps(self) -> list[int]:
    """Returns the sorted steps of the complete checkpoints."""
    return sorted(self._manager.all_steps())

  def delete(self, step: int) -> None:
    """Deletes a checkpoint."""
    self._manager.delete(step)

  def save(self, step: int, state: PyTree) -> None:
    """Starts saving a tree of arrays; returns before everything is written.

    Raises:
      OSError: if this checkpoint or the previous one cannot be written; the
        message names the directory.
    """
    import orbax.checkpoint as ocp

    with _writing(self.directory):
      if step in self._manager.all_steps():
        return
      if jax.process_count() > 1:  # orbax refuses arrays of one process
        state = jax.device_get(state)
      state = jax.tree.map(_one_copy, state)
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state),
          about=ocp.args.JsonSave(self._about),
        ),
        force=True,
      )

  def _finalized(self) -> None:
    # The checkpoint still has its temporary name; orbax renames it next.
    for directory in self.directory.glob('*.orbax-checkpoint-*'):
      write_checksums(directory)

  def metadata(self, step: int) -> dict[str, Any]:
    """Returns the metadata of a checkpoint.

    Raises:
      CorruptCheckpointError: if the checkpoint is damaged.
    """
    return self._read(step)

  def restore(self, like: PyTree, step: int | None = None) -> PyTree:
    """Restores the state of a checkpoint.

    Args:
      like: tree of arrays or ShapeDtypeStructs with the saved structure.
      step: step of the checkpoint; None for the newest.

    Returns:
      The tree, on the first local device, regardless of the devices it was
      saved on.

    Raises:
      FileNotFoundError: if there is no checkpoint.
      CorruptCheckpointError: if the checkpoint is damaged.
    """
    step = self.latest() if step is None else step
    if step is None:
      raise FileNotFoundError(f'no checkpoint in {self.directory}')
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), like
    )
    return self._read(step, abstract)

  def _read(self, step: int, like: PyTree | None = None) -> Any:
    """Reads one item of a checkpoint, after verifying its checksums once.

    Args:
      step: step of the checkpoint.
      like: tree of arrays with the structure of the state, to read it; None
        reads the metadata.
    """
    import orbax.checkpoint as ocp

    directory = self.directory / str(step)
    if step not in self._looked_at:
      damage = verify_checksums(directory)
      if damage:
        raise CorruptCheckpointError(f'{directory} is damaged: {damage}')
      self._looked_at.add(step)
    name, item = 'about', ocp.args.JsonRestore()
    if like is not None:
      name, item = 'state', ocp.args.StandardRestore(like)
    args = ocp.args.Composite(**{name: item})
    try:
      return self._manager.restore(step, args=args)[name]
    except Exception as error:  # orbax and its dependencies raise any type
      raise CorruptCheckpointError(
        f'{directory} cannot be read: {files.short_message(error)}'
      ) from error

  def wait(self) -> None:
    """Waits until the current checkpoint is written.

    Raises:
      OSError: if it cannot be written; the message names the directory.
    """
    if self._opened is not None:
      with _writing(self.directory):
        self._opened.wait_until_finished()

  def close(self) -> None:
    """Waits until the current checkpoint is written, and closes the manager."""
    self.wait()
    if self._opened is not None:
      self._opened.close()

  def __enter__(self):
    return self

  def __exit__(self, kind, *unused):
    # The error being raised is more informative than one it causes here.
    with contextlib.suppress(OSError) if kind else contextlib.nullcontext():
      self.close()


def save_state(
  directory: str | pathlib.Path, state: PyTree, step: int = 0
) -> None:
  """Saves a train state, or any tree of arrays, as a checkpoint.

  Args:
    directory: directory of the checkpoints, created if it does not exist.
    state: tree of arrays.
    step: step number of the checkpoint.

  Raises:
    OSError: if the checkpoint cannot be written; the message names the
      directory.
  """
  with RunCheckpointer(directory, keep=2**31 - 1) as checkpointer:
    checkpointer.save(step, state)


def restore_state(
  directory: str | pathlib.Path, like: PyTree, step: int | None = None
) -> PyTree:
  """Restores a state saved by `save_state` or by a run.

  Args:
    directory: directory of the checkpoints.
    like: tree of arrays or ShapeDtypeStructs with the saved structure.
    step: step of the checkpoint; None for the newest.

  Returns:
    The tree, on the first local device.

  Raises:
    FileNotFoundError: if there is no checkpoint.
    CorruptCheckpointError: if the checkpoint is damaged.
  """
  with RunCheckpointer(directory, read_only=True) as checkpointer:
    return checkpointer.restore(like, step)
