"""Does all of a run's start that can fail, and nothing that takes long."""

import os
import pathlib
from typing import Any, Sequence

from gan_jax import config as config_lib
from gan_jax.evaluation import feature_cache
from gan_jax.experiment import (
  cost,
  ensemble,
  freezing,
  initial_weights,
  own_parts,
  resume,
)
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.io import files, jsonl, lock
from gan_jax.runner import train


def dry_run(
  config: config_lib.Config,
  workdir: str | os.PathLike | None = None,
  *,
  parts: own_parts.OwnParts = own_parts.OwnParts(),  # noqa: B008  (a tuple)
  init_from: str | os.PathLike = '',
  init_parts: str | Sequence[str] = initial_weights.PLAYERS,
  init_skip_mismatched: bool = False,
) -> list[str]:
  """Checks whether a run can start, and estimates what it costs.

  Nothing is compiled, trained or written. Weights of Inception are downloaded
  if a metric needs them and they are missing, as at the start of a run.

  Args:
    config: resolved config.
    workdir: directory of the run; None for a run that writes nothing.
    parts: networks, loss and data in place of the config's.
    init_from: directory of another run, or file of convert_weights, from whose
      weights it starts; '' for none.
    init_parts: players that take these weights, as in `train`.
    init_skip_mismatched: whether arrays that do not fit start anew.

  Returns:
    Lines of text.

  Raises:
    ValueError: whenever `train` raises it at its start, or for a corrupt file
      in the workdir.
    OSError: likewise; or if the workdir cannot be written to.
  """
  if workdir is not None:
    workdir = files.resolve_path(workdir, 'workdir')
  start_from = initial_weights.make_init_from(
    init_from, init_parts, init_skip_mismatched
  )
  whole: Any
  if config_lib.is_ensemble(config):
    train.check_ensemble_call(init_from)
    whole = ensemble.build_ensemble_from_parts(config, parts)
    experiment, count = whole.base, len(whole.members)
  else:
    whole = experiment = experiment_lib.build_from_parts(config, parts)
    count = 1
  experiment.make_evaluator(store=feature_cache.default_feature_cache())
  if workdir is not None:
    _check_files(workdir)
  note = resume.check_start(whole, workdir, start_from)
  costs = cost.estimate_cost(experiment)
  return [
    *cost.format_cost(costs, experiment, count),
    *(f'frozen      {text}' for text in freezing.describe_frozen(experiment)),
    f'workdir     {files.printable(workdir or "none")}: {note}',
  ]


def _check_files(workdir: pathlib.Path) -> None:
  """Refuses a workdir that is in use, or whose logs are corrupt."""
  files.check_directory(workdir)
  if (workdir / lock.NAME).exists():
    lock.DirectoryLock(workdir).close()
  for path in sorted(workdir.glob('*.jsonl')):
    jsonl.read_jsonl(path)
