"""Checkpoints of a run; the only module that knows orbax."""

import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

PyTree = Any


class Checkpoints:
  """The checkpoints of one run, by step number; saving is asynchronous."""

  def __init__(
    self,
    directory: str | pathlib.Path,
    *,
    keep: int = 2,
    read_only: bool = False,
  ):
    """Opens the directory, or makes it.

    Args:
      directory: where they are.
      keep: how many to keep, the newest.
      read_only: to read beside a process that writes: nothing is made or
        cleaned up.
    """
    if read_only:
      options = ocp.CheckpointManagerOptions(read_only=True)
    else:
      options = ocp.CheckpointManagerOptions(
        max_to_keep=keep, cleanup_tmp_directories=True
      )
    self._manager = ocp.CheckpointManager(
      pathlib.Path(directory).absolute(), options=options
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
    """Saves arrays under a step; returns before all is written."""
    if step not in self._manager.all_steps():
      self._manager.save(step, args=ocp.args.StandardSave(state), force=True)

  def restore(self, like: PyTree, step: int | None = None) -> PyTree:
    """Reads a checkpoint.

    Args:
      like: a tree of arrays or ShapeDtypeStructs of the saved structure.
      step: which one; None for the newest.

    Returns:
      The tree, on the first local device.

    Raises:
      FileNotFoundError: where there is none.
    """
    step = self.latest() if step is None else step
    if step is None:
      raise FileNotFoundError(f'no checkpoint in {self._manager.directory}')
    device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    abstract = jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), like
    )
    return self._manager.restore(step, args=ocp.args.StandardRestore(abstract))

  def wait(self) -> None:
    """Waits for what is being written."""
    self._manager.wait_until_finished()

  def close(self) -> None:
    """Waits for what is being written."""
    self.wait()
    self._manager.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()
