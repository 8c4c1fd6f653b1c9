"""Multi-process jobs: initialization, collectives and barriers of processes.

In a single-process job, each function does nothing, at no cost.
"""

import contextlib
import importlib.util
import os
import pathlib
from typing import Any, Iterator, Mapping

import jax
import numpy as np
from jax.experimental import multihost_utils

from gan_jax.distributed import devices as devices_lib

PyTree = Any


def detect_launcher(environment: Mapping[str, str] = os.environ) -> str:
  """Detects the launcher of a multi-process job from the environment.

  Args:
    environment: environment variables of the process.

  Returns:
    'SLURM', 'Open MPI', 'TPU', or '' if none is recognized.
  """
  for name, present, count in (
    ('SLURM', 'SLURM_STEP_NODELIST', 'SLURM_NTASKS'),
    ('Open MPI', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
  ):
    if present in environment and int(environment.get(count, 1)) > 1:
      return name
  # The runtime tells a process that it does not share its TPU.
  devices = [*pathlib.Path('/dev').glob('accel*'), pathlib.Path('/dev/vfio')]
  on_tpu = any(path.exists() for path in devices)
  if on_tpu and importlib.util.find_spec('libtpu'):
    return 'TPU'
  return ''


def initialize(
  coordinator: str = '',
  num_processes: int = 0,
  process_id: int = -1,
  *,
  stall_seconds: int = 120,
) -> None:
  """Joins the other processes of the job; call it before the first JAX call.

  Args:
    coordinator: host:port of process 0; '' with num_processes 0 to detect all
      three from the environment of SLURM, Open MPI or a TPU, if any.
    num_processes: number of processes in the job; 1 for a single-process job,
      whatever the environment.
    process_id: index of this process, from 0.
    stall_seconds: time after which a watchdog stops waiting for a train step.
      The heartbeat timeout of the runtime, which considers a silent process
      dead, is chosen larger.

  Raises:
    ValueError: if only some of the three are given, one is out of range, the
      launcher does not provide enough information, or processes have different
      numbers of devices.
  """
  given = bool(coordinator), num_processes > 0, process_id >= 0
  if num_processes == 1:
    return
  if any(given) and not all(given):
    raise ValueError(
      f'coordinator={coordinator!r}, num_processes={num_processes}, '
      f'process_id={process_id}: give all three or none'
    )
  if all(given) and process_id >= num_processes:
    raise ValueError(
      f'process_id={process_id}: must be from 0 to {num_processes - 1}'
    )
  launcher = '' if all(given) else detect_launcher()
  if not all(given) and not launcher:
    return
  named = dict(
    coordinator_address=coordinator,
    num_processes=num_processes,
    process_id=process_id,
    cluster_detection_method='deactivate',
  )
  try:
    jax.distributed.initialize(
      **(named if all(given) else {}),
      # Heartbeats are half of it apart: it may expire after half of it.
      heartbeat_timeout_seconds=2 * stall_seconds + 20,
    )
  except ValueError as error:
    if launcher != 'TPU':
      raise ValueError(f'{launcher or coordinator}: {error}') from error
    # A TPU that is not shared with other processes, as in a notebook.
  devices_lib.global_devices()  # collectives need equal numbers of devices


def process_count() -> int:
  """Returns the number of processes."""
  return jax.process_count()


def process_index() -> int:
  """Returns the index of this process, from 0."""
  return jax.process_index()


def is_chief() -> bool:
  """Returns whether this process is process 0, which writes and prints."""
  return process_index() == 0


def allgather(values: Any) -> np.ndarray:
  """Gathers numbers from all processes; all of them must call it.

  Args:
    values: `[n]`, numbers of this process.

  Returns:
    `[processes, n]` float32.
  """
  row = np.asarray(values, np.float32)
  if process_count() == 1:
    return row[None]
  return np.asarray(multihost_utils.process_allgather(row))


def broadcast_from_chief(tree: PyTree) -> PyTree:
  """Broadcasts arrays from process 0; all processes must call it.

  Args:
    tree: tree of arrays; only shapes and dtypes matter on processes other than
      0.

  Returns:
    The tree of process 0, as numpy arrays; with one process, the tree itself.
  """
  if process_count() == 1:
    return tree
  # As bytes: the broadcast adds zeros, which would turn -0 into +0.
  flat, structure = jax.tree.flatten(jax.device_get(tree))
  flat = [np.asarray(x) for x in flat]
  sent = [np.frombuffer(x.tobytes(), np.uint8) for x in flat]
  found = multihost_utils.broadcast_one_to_all(sent)
  back = [
    np.frombuffer(np.asarray(y).tobytes(), x.dtype).reshape(x.shape)
    for x, y in zip(flat, found)
  ]
  return jax.tree.unflatten(structure, back)


def barrier(name: str) -> None:
  """Waits until every process has reached the barrier."""
  if process_count() > 1:
    multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def raise_together(what: str, *kinds: type[Exception]) -> Iterator[None]:
  """Raises an error on all processes if the block fails on one of them.

  Args:
    what: action of the block, for the message ("process 0 could not ...").
    *kinds: types of errors that are propagated.

  Raises:
    ValueError: on the processes that did not fail; the message has the index of
      the first one that did.
  """
  try:
    yield
  except kinds:
    if process_count() > 1:
      allgather([0])
    raise
  done = allgather([1])[:, 0]
  if not done.all():
    raise ValueError(
      f'process {int(np.argmin(done))} could not {what}; see its output'
    )
