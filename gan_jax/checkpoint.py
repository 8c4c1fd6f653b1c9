"""Checkpoints of a run; the only module that knows orbax.

A checkpoint holds the state, what its writer says of itself (its config and
versions), and a checksum of every array, so that one that was cut short or
changed on the disk is found out when it is read.
"""

import contextlib
import pathlib
import zlib
from typing import Any, Iterator, Mapping

import jax
import numpy as np
import orbax.checkpoint as ocp

PyTree = Any


class Damaged(ValueError):
  """A checkpoint does not read back as what was written."""


def _checksums(tree: PyTree) -> dict[str, int]:
  """CRC-32 of the bytes of every array, by its path in the tree."""
  found = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(jax.device_get(tree)):
    flat = np.ascontiguousarray(leaf).reshape(-1).view(np.uint8)
    found[jax.tree_util.keystr(path)] = zlib.crc32(flat)
  return found


def _reason(error: Exception) -> str:
  """The first line of what orbax, or something below it, says."""
  lines = str(error).strip().splitlines() or [type(error).__name__]
  return lines[0][:200]


@contextlib.contextmanager
def _writing(directory: pathlib.Path) -> Iterator[None]:
  """Makes an OSError that names the directory of whatever happens within."""
  try:
    yield
  except Exception as error:  # orbax and what is below it raise anything
    raise OSError(
      f'no checkpoint could be written to {directory}: {_reason(error)}'
    ) from error


class Checkpoints:
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
    about: Mapping[str, Any] | None = None,
  ):
    """Opens the directory, or makes it.

    Args:
      directory: where they are.
      keep: how many to keep, the newest.
      read_only: to read beside a process that writes: nothing is made or
        cleaned up.
      about: what is written beside each state, JSON.
    """
    if read_only:
      options = ocp.CheckpointManagerOptions(read_only=True)
    else:
      options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True
      )
    self.directory = pathlib.Path(directory).absolute()
    self._about = dict(about or {})
    self._manager = ocp.CheckpointManager(
      self.directory,
      options=options,
      item_names=('state', 'facts'),
      item_handlers={
        'state': ocp.StandardCheckpointHandler(),
        'facts': ocp.JsonCheckpointHandler(),
      },
    )

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
    facts = {'about': self._about, 'checksums': _checksums(state)}
    with _writing(self.directory):
      self._manager.save(
        step,
        args=ocp.args.Composite(
          state=ocp.args.StandardSave(state), facts=ocp.args.JsonSave(facts)
        ),
        force=True,
      )

  def about(self, step: int) -> dict[str, Any]:
    """What was written beside a state.

    Raises:
      Damaged: where it cannot be read.
    """
    return self._facts(step)['about']

  def _facts(self, step: int) -> dict[str, Any]:
    args = ocp.args.Composite(facts=ocp.args.JsonRestore())
    try:
      facts = self._manager.restore(step, args=args)['facts']
      return {name: facts[name] for name in ('about', 'checksums')}
    except Exception as error:
      raise self._damaged(step, _reason(error)) from error

  def _damaged(self, step: int, reason: str) -> Damaged:
    return Damaged(f'{self.directory / str(step)} is damaged: {reason}')

  def restore(self, like: PyTree, step: int | None = None) -> PyTree:
    """Reads a checkpoint.

    Args:
      like: a tree of arrays or ShapeDtypeStructs of the saved structure.
      step: which one; None for the newest.

    Returns:
      The tree, on the first local device, whatever it was saved on.

    Raises:
      FileNotFoundError: where there is none.
      Damaged: where it does not read back as it was written.
    """
    step = self.latest() if step is None else step
    if step is None:
      raise FileNotFoundError(f'no checkpoint in {self.directory}')
    facts = self._facts(step)
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), like
    )
    args = ocp.args.Composite(state=ocp.args.StandardRestore(abstract))
    try:
      state = self._manager.restore(step, args=args)['state']
    except Exception as error:
      raise self._damaged(step, _reason(error)) from error
    found = _checksums(state)
    changed = sorted(
      path
      for path in found.keys() | facts['checksums'].keys()
      if found.get(path) != facts['checksums'].get(path)
    )
    if changed:
      raise self._damaged(step, f'{changed[0]} is not what was written')
    return state

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
