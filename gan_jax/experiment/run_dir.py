"""Files of a run's directory, and how they are read."""

import pathlib
from typing import Any

import jax
import numpy as np

from gan_jax import __version__, losses, sampling, training
from gan_jax import config as config_lib
from gan_jax.experiment import (
  build_gan,
  build_hparams,
  model_folder,
  own_parts,
  pretrained,
  sweep,
)
from gan_jax.experiment.own_parts import OwnParts
from gan_jax.io import checkpoint as checkpoint_lib
from gan_jax.io import files
from gan_jax.sampling import standing_stats
from gan_jax.training import ensemble

CONFIG_FILE = 'config.json'
CHECKPOINTS = 'checkpoints'
BEST = 'best'
_MAX_CONFIG_BYTES = 2**20  # side, or channels, of an example


def run_metadata(experiment: Any) -> dict[str, Any]:
  """Returns the content of config.json: config, data, versions.

  Args:
    experiment: an experiment.Experiment, or an ensemble.
  """
  return {
    'config': config_lib.to_dict(experiment.config),
    'shape': list(experiment.shape),
    'examples': data_fingerprint(experiment),
    **_own_parts_metadata(getattr(experiment, 'base', experiment)),
    **_class_metadata(getattr(experiment, 'base', experiment)),
    'versions': {
      'gan_jax': __version__,
      'jax': jax.__version__,
      'numpy': np.__version__,
    },
  }


def _own_parts_metadata(experiment: Any) -> dict[str, Any]:
  """Returns what tells own networks, and the shapes of their labels."""
  if not experiment.parts.described:
    return {}
  found: dict[str, Any] = {'own_parts': experiment.parts.described}
  if _has_own_networks(found):
    found['label'] = own_parts.spec_to_json(experiment.label_spec)
  if experiment.parts.config_file:
    found['config_file'] = experiment.parts.config_file
  return found


def _class_metadata(experiment: Any) -> dict[str, Any]:
  """Returns the classes that the networks of a conditional run take."""
  if not experiment.config.conditional:
    return {}
  names = list(getattr(experiment.train, 'class_names', None) or ())
  share = list(experiment.gan.class_share)
  return {'class_share': share} | ({'class_names': names} if names else {})


def _class_share(
  path: pathlib.Path, config: config_lib.Config, metadata: dict[str, Any]
) -> tuple[float, ...]:
  """Returns the share of each class of a run, () if it has none."""
  if not config.conditional:
    return ()
  found = metadata.get('class_share')
  is_list = isinstance(found, list) and bool(found)
  if not is_list or not all(type(x) in (int, float) for x in found):
    raise ValueError(f"{path} is not as it was written: bad 'class_share'")
  return tuple(map(float, found))


def data_fingerprint(experiment: Any) -> dict[str, Any]:
  """Returns the sizes of both splits, and a digest of the files, if any."""
  metadata = {'train': len(experiment.train), 'test': len(experiment.test)}
  if experiment.config.conditional:
    base = getattr(experiment, 'base', experiment)
    metadata['classes'] = base.gan.classes
  listing = getattr(experiment.train, 'listing', '')
  return metadata | ({'files': listing} if listing else {})


def latest_step(
  workdir: str | pathlib.Path, of: str = CHECKPOINTS
) -> int | None:
  """Returns the step of the newest checkpoint of a run, None if none.

  Args:
    workdir: directory of the run.
    of: CHECKPOINTS or BEST.
  """
  directory = pathlib.Path(workdir) / of
  if not directory.is_dir():
    return None
  with checkpoint_lib.RunCheckpointer(directory, read_only=True) as saved:
    return saved.latest()


def read_config(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Reads the config.json of a run.

  Args:
    workdir: directory of the run.

  Raises:
    FileNotFoundError: if the directory holds no run.
    ValueError: if the file is not as it was written, or of another version of
      this library.
  """
  path = pathlib.Path(workdir) / CONFIG_FILE
  if pathlib.Path(workdir).is_file():
    raise NotADirectoryError(f'{workdir} is a file; must be a directory')
  if not path.exists():
    raise FileNotFoundError(f'{workdir} holds no run: there is no {path}')
  found = files.read_json(path)
  if 'settings' in found:
    raise ValueError(
      f'{workdir} holds a run of an earlier state of gan_jax, which this one '
      'cannot continue: choose another workdir'
    )
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
) -> checkpoint_lib.RunCheckpointer:
  """Opens the checkpoints of a run for writing, with the run's metadata.

  Args:
    experiment: an experiment.Experiment, or an ensemble.
    workdir: directory of the run.
    rollbacks: number of times the run has gone back to a checkpoint.
  """
  return checkpoint_lib.RunCheckpointer(
    workdir / CHECKPOINTS,
    keep=experiment.config.keep_checkpoints,
    metadata=run_metadata(experiment) | {'rollbacks': rollbacks},
  )


def _config_of_member(
  config: config_lib.Config, workdir: Any, member: int | None
) -> config_lib.Config:
  """Returns the config of a run, or of a member of an ensemble."""
  if not config_lib.is_ensemble(config):
    if member is not None:
      raise ValueError(
        f'member={member}: {workdir} holds a single run, not an ensemble'
      )
    return config
  found = sweep.expand_sweep(config)
  if member is None or not 0 <= member < len(found):
    given = 'no member is named' if member is None else f'member={member}'
    raise ValueError(
      f'{given}: {workdir} holds an ensemble; its members are 0 to '
      f'{len(found) - 1}'
    )
  return found[member].config


def _check_own_parts(
  workdir: Any, metadata: dict[str, Any], parts: OwnParts
) -> None:
  """Refuses to restore own networks that were not passed."""
  recorded = metadata.get('own_parts', {})
  missing = [
    name
    for name in ('generator', 'discriminator')
    if name in recorded and getattr(parts, name) is None
  ]
  if missing:
    named = ', '.join(f'{name} ({recorded[name]})' for name in missing)
    call = ', '.join(f'{name}=...' for name in missing)
    raise ValueError(
      f'{workdir} was trained with its own {named}: pass what made it, '
      f'gan_jax.load({str(workdir)!r}, {call})'
    )


def _with_absent_loss(config: config_lib.Config, parts: OwnParts) -> OwnParts:
  """Returns parts with a loss, which sampling does not need."""
  if config.loss != 'own' or parts.loss is not None:
    return parts
  return parts._replace(loss=losses.LOSSES['non_saturating'])


def _has_own_networks(metadata: dict[str, Any]) -> bool:
  recorded = metadata.get('own_parts', {})
  return bool({'generator', 'discriminator'} & {*recorded})


def _label_spec(metadata: dict[str, Any]) -> Any:
  if not _has_own_networks(metadata):
    return build_gan.CLASS
  return own_parts.spec_from_json(metadata.get('label'))


def restore(
  workdir: str | pathlib.Path,
  checkpoint: str = 'latest',
  *,
  member: int | None = None,
  parts: OwnParts = OwnParts(),  # noqa: B008  (a tuple)
) -> tuple[training.GAN, config_lib.Config, tuple[int, ...], training.GANState]:
  """Reads a checkpoint of a run.

  Args:
    workdir: directory of the run.
    checkpoint: 'latest', 'best' (by the first of the run's scores), or a step.
    member: index of a member of an ensemble.
    parts: networks and loss that the run was given in place of its config's.

  Returns:
    The GAN, its config, the shape of one example, and the state.

  Raises:
    FileNotFoundError: if there is no run, or it has no such checkpoint.
    ValueError: for another `checkpoint`, a member that does not exist, or a
      damaged checkpoint.
  """
  workdir = files.resolve_path(workdir, 'workdir')
  metadata = read_config(workdir)
  kept = config_lib.resolve(metadata['config'])
  shape = tuple(metadata['shape'])
  config = _config_of_member(kept, workdir, member)
  _check_own_parts(workdir, metadata, parts)
  gan = build_gan.build_gan(
    config,
    shape,
    _with_absent_loss(config, parts),
    _class_share(workdir / CONFIG_FILE, config, metadata),
    _label_spec(metadata),
  )
  hparams = build_hparams.build_hparams(config)
  like = build_gan.abstract_state(
    build_gan.build_init(gan, config, shape, hparams, _label_spec(metadata))
  )
  if member is not None:
    like = ensemble.stacked_member_shapes(like, len(sweep.expand_sweep(kept)))
  of = BEST if checkpoint == 'best' else CHECKPOINTS
  if checkpoint not in ('best', 'latest') and not checkpoint.isdigit():
    raise ValueError(
      f"checkpoint={checkpoint!r}: must be 'latest', 'best' or a step"
    )
  if latest_step(workdir, of) is None:
    hint = ''
    if of == BEST:
      hint = '; one is kept with eval_every, but not of an ensemble'
    raise FileNotFoundError(
      f'{workdir} has no {checkpoint} checkpoint yet{hint}'
    )
  with checkpoint_lib.RunCheckpointer(
    pathlib.Path(workdir) / of, read_only=True
  ) as saved:
    step = int(checkpoint) if checkpoint.isdigit() else saved.latest()
    if step not in saved.steps():
      raise FileNotFoundError(
        f'{workdir} has no checkpoint of step {step}; it has {saved.steps()}'
      )
    try:
      state = saved.restore(like, step)
    except checkpoint_lib.CorruptCheckpointError as error:
      others = [other for other in saved.steps() if other != step]
      if of == BEST or not others:
        raise
      raise checkpoint_lib.CorruptCheckpointError(
        f'{error}. There are others, of the steps {others}'
      ) from error
  if member is not None:
    state = jax.jit(ensemble.take_member)(state, member)
  return gan, config, shape, state


def load_sampler(
  workdir: str | pathlib.Path,
  *,
  weights: str = 'ema',
  checkpoint: str = 'latest',
  member: int | None = None,
  generator: Any = None,
  discriminator: Any = None,
  loss: Any = None,
) -> sampling.Sampler:
  """Loads the generator of a run as a sampling function.

  Args:
    workdir: directory of the run; a folder that export.py made of one, or a
      file of runner.convert_weights, which have no checkpoints or members.
    weights: 'ema' or 'raw'; batch norm statistics are recomputed for either.
    checkpoint: 'latest', 'best' or a step.
    member: index of a member of an ensemble.
    generator: generator of the run, if it was given one in place of its
      config's; as in experiment.build.
    discriminator: likewise.
    loss: likewise; samples do not need it.

  Returns:
    The sampler: `load('runs/digits')(64)` is `[64, 16, 16, 1]`.

  Raises:
    FileNotFoundError: if there is no run, or it has no such checkpoint.
    ValueError: for other weights, another `checkpoint`, or a member that does
      not exist.
  """
  if weights not in ('ema', 'raw'):
    raise ValueError(f"weights={weights!r}: choose one of ('ema', 'raw')")
  if pretrained.is_pretrained(workdir):
    return pretrained.make_sampler(pretrained.load_pretrained(workdir), weights)
  if model_folder.is_model_folder(workdir):
    _check_single(workdir, checkpoint, member)
    return model_folder.load_model_folder(workdir)
  parts = own_parts.make_own_parts(
    generator=generator, discriminator=discriminator, loss=loss
  )
  return load_from_parts(
    workdir, parts, weights=weights, checkpoint=checkpoint, member=member
  )


def _check_single(workdir: Any, checkpoint: str, member: int | None) -> None:
  """Refuses what only a run has."""
  if checkpoint != 'latest' or member is not None:
    raise ValueError(
      f'{workdir} is an exported folder with one generator: it has no '
      f'checkpoint={checkpoint!r}, member={member}'
    )


def load_from_parts(
  workdir: str | pathlib.Path,
  parts: OwnParts,
  *,
  weights: str = 'ema',
  checkpoint: str = 'latest',
  member: int | None = None,
) -> sampling.Sampler:
  """Loads a sampler, see `load_sampler`.

  An own generator that takes labels keeps the statistics of its checkpoint.

  Args:
    workdir: directory of the run.
    parts: networks that the run was given in place of its config's.
    weights: 'ema' or 'raw'.
    checkpoint: 'latest', 'best' or a step.
    member: index of a member of an ensemble.
  """
  workdir = files.resolve_path(workdir, 'workdir')
  gan, config, shape, restored = restore(
    workdir, checkpoint, member=member, parts=parts
  )
  raw = training.player_weights(restored.generator)
  picked = restored.ema if weights == 'ema' else raw
  metadata = read_config(workdir)
  label = _label_spec(metadata) if _has_own_networks(metadata) else None
  if label is None:  # labels would be needed for standing statistics
    labels = sampling.label_fn(gan)
    picked = standing_stats.evaluation_weights(gan, picked, labels=labels)
  return sampling.Sampler(config, shape, int(restored.step), picked, gan, label)
