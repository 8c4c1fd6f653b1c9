"""What a run keeps in its directory, and how that is read."""

import pathlib
from typing import Any

import jax
import numpy as np

from gan_jax import __version__, sampling, training
from gan_jax import config as config_lib
from gan_jax.experiment import build_gan, build_hparams, sweep
from gan_jax.io import checkpoint, files
from gan_jax.sampling import standing_stats
from gan_jax.training import ensemble

CONFIG_FILE = 'config.json'
CHECKPOINTS = 'checkpoints'
BEST = 'best'
_MAX_CONFIG_BYTES = 2**20  # side, or channels, of an example


def run_metadata(experiment: Any) -> dict[str, Any]:
  """What a run's config.json holds: settings, shape of the data, versions.

  Args:
    built: an experiment.Experiment.
  """
  return {
    'config': config_lib.to_dict(experiment.config),
    'shape': list(experiment.shape),
    'examples': data_fingerprint(experiment),
    'versions': {
      'gan_jax': __version__,
      'jax': jax.__version__,
      'numpy': np.__version__,
    },
  }


def data_fingerprint(experiment: Any) -> dict[str, Any]:
  """Sizes of the two splits of an experiment's data, and which files it has."""
  metadata = {'train': len(experiment.train), 'test': len(experiment.test)}
  listing = getattr(experiment.train, 'listing', '')
  return metadata | ({'files': listing} if listing else {})


def latest_step(
  workdir: str | pathlib.Path, of: str = CHECKPOINTS
) -> int | None:
  """Step of the newest checkpoint in a run's directory; None for none.

  Args:
    workdir: the run's directory.
    of: CHECKPOINTS, or BEST, of which there is one.
  """
  directory = pathlib.Path(workdir) / of
  if not directory.is_dir():
    return None
  with checkpoint.RunCheckpointer(directory, read_only=True) as saved:
    return saved.latest()


def read_config(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Reads what a run's directory says of it.

  Raises:
    FileNotFoundError: where the directory holds no run.
    ValueError: where the file is not as it was written.
  """
  path = pathlib.Path(workdir) / CONFIG_FILE
  if not path.exists():
    raise FileNotFoundError(f'{workdir} holds no run: there is no {path}')
  found = files.read_json(path)
  for name, kind in (('config', dict), ('shape', list), ('examples', dict)):
    if not isinstance(found.get(name), kind):
      raise ValueError(f'{path} is not as it was written: bad {name!r}')
  if not all(
    type(n) is int and 0 < n <= _MAX_CONFIG_BYTES for n in found['shape']
  ):
    raise ValueError(f"{path} is not as it was written: bad 'shape'")
  return found


def open_checkpoints(
  experiment: Any, workdir: pathlib.Path, rollbacks: int = 0
) -> checkpoint.RunCheckpointer:
  """The checkpoints of a run, to write; each says of which run it is.

  Args:
    built: the experiment.Experiment, or ensemble.EnsembleExperiment.
    workdir: the run's directory.
    rollbacks: how often the run has gone back.
  """
  return checkpoint.RunCheckpointer(
    workdir / CHECKPOINTS,
    keep=experiment.config.keep_checkpoints,
    metadata=run_metadata(experiment) | {'rollbacks': rollbacks},
  )


def _restore_member(
  config: config_lib.Config, workdir: Any, member: int | None
) -> config_lib.Config:
  """The settings of a run, or of a member of an ensemble."""
  if not config_lib.is_ensemble(config):
    if member is not None:
      raise ValueError(f'member={member}: {workdir} holds one run, no ensemble')
    return config
  found = sweep.expand_sweep(config)
  if member is None or not 0 <= member < len(found):
    given = 'no member was named' if member is None else f'member={member}'
    raise ValueError(
      f'{given}: {workdir} holds an ensemble; its members are 0 to '
      f'{len(found) - 1}'
    )
  return found[member].config


def restore(
  workdir: str | pathlib.Path,
  which: str = 'latest',
  *,
  member: int | None = None,
) -> tuple[training.GAN, config_lib.Config, tuple[int, ...], training.GANState]:
  """Reads a checkpoint of a run.

  Args:
    workdir: the run's directory.
    which: 'latest', 'best' (by the first of the run's scores), or a step.
    member: of an ensemble, its number.

  Returns:
    The game, its settings, the shape of one example, and the state.

  Raises:
    FileNotFoundError: where there is no run, or it has no such checkpoint.
    ValueError: for another `which`, a member that is not there, or a
      checkpoint that is damaged.
  """
  metadata = read_config(workdir)
  kept = config_lib.resolve(metadata['config'])
  shape = tuple(metadata['shape'])
  config = _restore_member(kept, workdir, member)
  gan = build_gan.build_gan(config, shape)
  hparams = build_hparams.build_hparams(config)
  like = build_gan.abstract_state(
    build_gan.build_init(gan, config, shape, hparams)
  )
  if member is not None:
    like = ensemble.stacked_member_shapes(like, len(sweep.expand_sweep(kept)))
  of = BEST if which == 'best' else CHECKPOINTS
  if which not in ('best', 'latest') and not which.isdigit():
    raise ValueError(
      f"checkpoint={which!r}: must be 'latest', 'best' or a step"
    )
  if latest_step(workdir, of) is None:
    hint = ''
    if of == BEST:
      hint = '; one is kept with --config.eval.every, but not of an ensemble'
    raise FileNotFoundError(f'{workdir} has no {which} checkpoint yet{hint}')
  with checkpoint.RunCheckpointer(
    pathlib.Path(workdir) / of, read_only=True
  ) as saved:
    step = int(which) if which.isdigit() else saved.latest()
    if step not in saved.steps():
      raise FileNotFoundError(
        f'{workdir} has no checkpoint of step {step}; it has {saved.steps()}'
      )
    try:
      state = saved.restore(like, step)
    except checkpoint.CorruptCheckpointError as error:
      others = [other for other in saved.steps() if other != step]
      if of == BEST or not others:
        raise
      raise checkpoint.CorruptCheckpointError(
        f'{error}. There are others, of the steps {others}'
      ) from error
  if member is not None:
    state = ensemble.take_member(state, member)
  return gan, config, shape, state


def load_sampler(
  workdir: str | pathlib.Path,
  *,
  weights: str = 'ema',
  which: str = 'latest',
  member: int | None = None,
) -> sampling.Sampler:
  """The sampling function of a run.

  Args:
    workdir: the run's directory.
    weights: 'ema', the moving average, or 'raw'; with batch norm's statistics
      recomputed for either.
    which: the checkpoint: 'latest', 'best' or a step.
    member: of an ensemble, its number.

  Returns:
    The sampler: `load('runs/digits')(64)` is `[64, 16, 16, 1]`.

  Raises:
    FileNotFoundError: where there is no run, or it has no such checkpoint.
    ValueError: for other weights, another `which`, or a member that is not
      there.
  """
  if weights not in ('ema', 'raw'):
    raise ValueError(f"weights={weights!r}: choose one of ('ema', 'raw')")
  gan, config, shape, restored = restore(workdir, which, member=member)
  raw = (restored.generator.params, restored.generator.batch_stats)
  picked = standing_stats.evaluation_weights(
    gan, restored.ema if weights == 'ema' else raw
  )
  return sampling.Sampler(config, shape, int(restored.step), picked, gan)
