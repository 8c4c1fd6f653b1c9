"""Resumes a run from its newest good checkpoint, or starts a new one."""

import json
import pathlib
import zlib
from typing import Any, NamedTuple

import jax
import numpy as np

from gan_jax import config as config_lib
from gan_jax import training
from gan_jax.distributed import multihost
from gan_jax.experiment import (
  build_gan,
  compatibility,
  initial_weights,
  run_dir,
)
from gan_jax.io import checkpoint, files


class ResumePoint(NamedTuple):
  """State that a run starts from.

  Attributes:
    state: train state, on the host or the first device.
    step: number of train steps done; a frozen member may have done fewer.
    rollbacks: number of times the run has gone back to a checkpoint.
    note: sentence that says where the state comes from; it names damaged
      checkpoints, which are moved to `damaged/`.
  """

  state: training.GANState
  step: int
  rollbacks: int
  note: str


def restore_or_initialize(
  experiment: Any,
  workdir: pathlib.Path | None,
  init_from: initial_weights.InitFrom | None = None,
) -> ResumePoint:
  """Reads the newest good checkpoint of a run, or makes a new state.

  In a job of several processes, process 0 reads and broadcasts the state.

  Args:
    experiment: an experiment.Experiment, or an ensemble.
    workdir: the run's directory, made if missing; None for a run that writes
      nothing.
    init_from: where a new run takes weights from (not the optimizer or step);
      None for none.

  Returns:
    The resume point.

  Raises:
    ValueError: if the directory holds a run of another config, or init_from one
      of other networks (the message names the fields that differ), or if all
      checkpoints are damaged.
    FileNotFoundError: if init_from holds no run.
  """
  found = None
  with multihost.raise_together('start', ValueError, OSError):
    _check_same_config(experiment)
    if multihost.is_chief():
      found = _restore_or_initialize(experiment, workdir, init_from)
  if multihost.process_count() == 1:
    return found
  if found is None:
    shapes = experiment.abstract_state()
    empty = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    found = ResumePoint(empty, 0, 0, '')
  numbers = np.array([found.step, found.rollbacks], np.int32)
  whole, (step, rollbacks) = multihost.broadcast_from_chief(
    (found.state, numbers)
  )
  return ResumePoint(whole, int(step), int(rollbacks), found.note)


def _check_same_config(experiment) -> None:
  """Refuses processes with different configs, data or versions."""
  if multihost.process_count() == 1:
    return
  metadata = run_dir.run_metadata(experiment)
  described = json.dumps(
    metadata | {'config': _without_paths(experiment.config)}
  )
  crc = zlib.crc32(described.encode())
  sums = multihost.allgather([crc >> 16, crc & 0xFFFF])
  other = (sums != sums[0]).any(axis=1)
  if other.any():
    raise ValueError(
      f'process {int(np.argmax(other))} has another config, other data or '
      'versions than process 0: all must be started alike (independent runs '
      'take num_processes=1)'
    )


def _without_paths(config: config_lib.Config) -> dict[str, Any]:
  """Returns the fields that all processes of a run must agree on."""
  flat = config_lib.flatten(config_lib.to_dict(config))
  paths = compatibility.PATH_FIELDS
  return {field: value for field, value in flat.items() if field not in paths}


def _restore_or_initialize(experiment, workdir, init_from) -> ResumePoint:
  found = None
  if workdir is not None:
    files.make_directory(workdir)
    found = _restore_newest(experiment, workdir)
  if found is not None:
    total = experiment.config.num_steps
    note = f'continues from the checkpoint of step {found.step} of {total}'
    if init_from:
      note += ' (with its own weights; init_from is for new runs)'
    return found._replace(note=found.note + note)
  if workdir is not None:
    _check_no_results_lost(experiment, workdir)
  if init_from is None:
    return ResumePoint(experiment.init_state(), 0, 0, 'a new run')
  arrays, note = initial_weights.read_weights(experiment, init_from)
  fresh = experiment.init_state()
  fresh = build_gan.start_from_weights(
    experiment.gan,
    experiment.config,
    fresh,
    initial_weights.put_weights(fresh, arrays),
  )
  return ResumePoint(fresh, 0, 0, note)


def check_start(
  experiment: Any,
  workdir: pathlib.Path | None,
  init_from: initial_weights.InitFrom | None = None,
) -> str:
  """Checks whether a run can start or continue, and writes nothing.

  Args:
    experiment: as in restore_or_initialize.
    workdir: as in restore_or_initialize.
    init_from: as in restore_or_initialize.

  Returns:
    Sentence that says what a run would start from.

  Raises:
    OSError: if the directory cannot be made or written to, or as
      restore_or_initialize.
    ValueError: as restore_or_initialize.
  """
  if workdir is not None:
    files.check_directory(workdir)
    found = _find_newest(experiment, workdir)
    if found is not None:
      return f'continues from the checkpoint of step {found[1]}'
    _check_no_results_lost(experiment, workdir)
  if init_from is None:
    return 'a new run'
  return initial_weights.read_weights(experiment, init_from)[1]


def _check_no_results_lost(experiment, workdir) -> None:
  """Refuses to overwrite files of another config's run without a checkpoint.

  A run of the same config that was killed before its first checkpoint starts
  again and writes the same files.
  """
  lines = any(path.stat().st_size for path in workdir.glob('*.jsonl'))
  left = lines or (workdir / run_dir.BEST).is_dir()
  if left and (workdir / run_dir.CONFIG_FILE).exists():
    _check_continues(experiment, workdir, 0, run_dir.read_config(workdir))


def _restore_newest(experiment, workdir) -> ResumePoint | None:
  """Reads the newest good checkpoint, and quarantines damaged newer ones."""
  found = _find_newest(experiment, workdir)
  if found is None:
    return None
  restored, step, metadata, damaged = found
  kept = workdir / run_dir.CHECKPOINTS
  notes = ''.join(
    f'{checkpoint.quarantine(kept / str(number), text)}; '
    for number, text in damaged.items()
  )
  return ResumePoint(restored, step, metadata.get('rollbacks', 0), notes)


def _find_newest(experiment, workdir):
  """Returns the newest good checkpoint, and which newer ones are damaged.

  Returns:
    The state, its step, its metadata, and {step: damage}; None if there is no
    checkpoint.
  """
  kept = workdir / run_dir.CHECKPOINTS
  if not kept.is_dir():
    return None
  damaged: dict[int, str] = {}
  with checkpoint.RunCheckpointer(kept, read_only=True) as saved:
    for step in reversed(saved.steps()):
      try:
        metadata = saved.metadata(step) or run_dir.read_config(workdir)
        _check_continues(experiment, workdir, step, metadata)
        restored = saved.restore(experiment.abstract_state(), step)
        break
      except checkpoint.CorruptCheckpointError as error:
        damaged[step] = str(error)
    else:
      if damaged:
        raise ValueError(
          'no checkpoint is left to continue from: '
          f'{"; ".join(damaged.values())}. Choose another workdir, or remove '
          f'{kept} to start anew'
        )
      return None
  return restored, step, metadata, damaged


def _check_continues(experiment, workdir, step, metadata) -> None:
  """Refuses a checkpoint of another config, or beyond the end of this run."""
  compatibility.raise_incompatible(
    compatibility.incompatible_fields(
      metadata['config'] | {'examples': metadata['examples']},
      config_lib.to_dict(experiment.config)
      | {'examples': run_dir.data_fingerprint(experiment)},
    ),
    f'{workdir} holds a run of another config; it differs in',
    'Choose another workdir, or the old values.',
  )
  if step > experiment.config.num_steps:
    raise ValueError(
      f'num_steps={experiment.config.num_steps}: {workdir} has already done '
      f'{step} steps'
    )
