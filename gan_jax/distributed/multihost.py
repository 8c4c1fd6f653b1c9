"""Several processes as one: how they start, agree and wait for one another.

Each function does nothing, at no cost, where there is one process.
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
  """What started this process as one of several, by its environment.

  Args:
    environment: variables of the process.

  Returns:
    'SLURM', 'Open MPI', 'TPU', or '' for nothing that is known.
  """
  for name, present, count in (
    ('SLURM', 'SLURM_STEP_NODELIST', 'SLURM_NTASKS'),
    ('Open MPI', 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE'),
  ):
    if present in environment and int(environment.get(count, 1)) > 1:
      return name
  # One that holds its TPU alone is told so by the runtime.
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
  """Joins the other processes of the job; before the first JAX call.

  Args:
    coordinator: host:port of process 0; '' with num_processes 0 to find all
      three out from SLURM, Open MPI or the TPU's environment, if any.
    num_processes: of the job; 1 is a job of its own, wherever it was started.
    process_id: of this one, from 0.
    stall_seconds: after which a watchdog gives up waiting for a train step.
      The runtime, which takes a silent process for dead, leaves it the time.

  Raises:
    ValueError: where some of the three are given and others not, or one is
      out of range; where the launcher does not say enough; where one process
      has more devices than another.
  """
  given = bool(coordinator), num_processes > 0, process_id >= 0
  if num_processes == 1:
    return
  if any(given) and not all(given):
    raise ValueError(
      f'coordinator={coordinator!r}, num_processes={num_processes}, '
      f'process_id={process_id}: must all be given, or none'
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
      # Beats are half of it apart, so it may be over after half of it.
      heartbeat_timeout_seconds=2 * stall_seconds + 20,
    )
  except ValueError as error:
    if launcher != 'TPU':
      raise ValueError(f'{launcher or coordinator}: {error}') from error
    # A TPU that nobody else shares, as in a notebook.
  devices_lib.global_devices()  # or refuses: what they agree by needs as many of each


def process_count() -> int:
  """How many processes there are."""
  return jax.process_count()


def process_index() -> int:
  """The number of this one, from 0."""
  return jax.process_index()


def is_chief() -> bool:
  """Whether this process is the one that writes and prints."""
  return process_index() == 0


def allgather(values: Any) -> np.ndarray:
  """Numbers of all processes, which must all ask; a row for each.

  Args:
    values: `[n]`, of this process.

  Returns:
    `[processes, n]` float32.
  """
  row = np.asarray(values, np.float32)
  if process_count() == 1:
    return row[None]
  return np.asarray(multihost_utils.process_allgather(row))


def broadcast_from_chief(tree: PyTree) -> PyTree:
  """The arrays of process 0, on every process; all must ask.

  Args:
    tree: of arrays; elsewhere than on process 0 only shapes and types count.

  Returns:
    The tree, of numpy arrays; with one process, as it is.
  """
  if process_count() == 1:
    return tree
  # As bytes: it adds zeros, which would make +0 of -0.
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
  """Waits until every process is here."""
  if process_count() > 1:
    multihost_utils.sync_global_devices(name)


@contextlib.contextmanager
def raise_together(what: str, *kinds: type[Exception]) -> Iterator[None]:
  """Where one process fails at something, all fail.

  Args:
    what: they do, for the message.
    *kinds: of errors to tell the others of.

  Raises:
    ValueError: on those that did not fail, naming the first that did.
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
      f'process {int(np.argmin(done))} could not {what}; it says why'
    )
