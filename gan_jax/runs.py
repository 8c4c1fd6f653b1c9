"""What a run keeps in its directory, and how it is taken up again."""

import dataclasses
import json
import pathlib
import shutil
from typing import Any, Mapping, NamedTuple

import jax
import numpy as np

from gan_jax import (
  __version__,
  assemble,
  checkpoint,
  continuation,
  ensemble,
  game,
  processes,
  sampling,
  settings,
  standing,
  state,
  sweep,
)

CONFIG_FILE = 'config.json'
CHECKPOINTS = 'checkpoints'
BEST = 'best'
DAMAGED = 'damaged'


def describe(built: Any) -> dict[str, Any]:
  """What a run's config.json holds: settings, shape of the data, versions.

  Args:
    built: an experiment.Experiment.
  """
  return {
    'settings': json.loads(json.dumps(dataclasses.asdict(built.settings))),
    'shape': list(built.shape),
    'examples': count_examples(built),
    'versions': {
      'gan_jax': __version__,
      'jax': jax.__version__,
      'numpy': np.__version__,
    },
  }


def count_examples(built: Any) -> dict[str, int]:
  """Sizes of the two splits of an experiment's data."""
  return {'train': len(built.train), 'test': len(built.test)}


def latest(workdir: str | pathlib.Path, of: str = CHECKPOINTS) -> int | None:
  """Step of the newest checkpoint in a run's directory; None for none.

  Args:
    workdir: the run's directory.
    of: CHECKPOINTS, or BEST, of which there is one.
  """
  directory = pathlib.Path(workdir) / of
  if not directory.is_dir():
    return None
  with checkpoint.Checkpoints(directory, read_only=True) as saved:
    return saved.latest()


def read_config(workdir: str | pathlib.Path) -> dict[str, Any]:
  """Reads what a run's directory says of it.

  Raises:
    FileNotFoundError: where the directory holds no run.
  """
  path = pathlib.Path(workdir) / CONFIG_FILE
  if not path.exists():
    raise FileNotFoundError(f'{workdir} holds no run: there is no {path}')
  return json.loads(path.read_text())


class Start(NamedTuple):
  """What a run begins with.

  Attributes:
    state: its state, on the host or the first device.
    step: train steps done; a frozen member's state may have done fewer.
    rollbacks: how often it has gone back to a checkpoint for a NaN.
    note: a sentence that says where the state comes from. Checkpoints that
      are damaged are named in it and set aside, in `damaged/`.
  """

  state: state.GANState
  step: int
  rollbacks: int
  note: str


def start(built: Any, workdir: pathlib.Path, init_from: str = '') -> Start:
  """What a run begins with: its own checkpoint, or a fresh state.

  Of several processes the first one reads, and tells the others.

  Args:
    built: the experiment.Experiment.
    workdir: the run's directory, made if missing.
    init_from: directory of another run, whose weights (not its optimizer or
      step) a fresh run takes; '' for none.

  Raises:
    ValueError: where the directory holds a run of another config, or
      init_from one of other networks; the leaves that differ are named. Where
      all checkpoints are damaged.
    FileNotFoundError: where init_from holds no run.
  """
  found = None
  with processes.together('start', ValueError, OSError):
    if processes.is_chief():
      found = _start(built, workdir, init_from)
  if processes.count() == 1:
    return found
  if found is None:
    shapes = built.state_shapes()
    empty = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes)
    found = Start(empty, 0, 0, '')
  numbers = np.array([found.step, found.rollbacks], np.int32)
  whole, (step, rollbacks) = processes.from_chief((found.state, numbers))
  return Start(whole, int(step), int(rollbacks), found.note)


def _start(built, workdir, init_from) -> Start:
  workdir.mkdir(parents=True, exist_ok=True)
  found = _newest(built, workdir)
  if found is not None:
    total = built.settings.num_steps
    told = f'continues from the checkpoint of step {found.step} of {total}'
    return found._replace(note=found.note + told)
  fresh = built.init_state()
  if not init_from:
    return Start(fresh, 0, 0, 'a new run')
  _, other, shape, trained = restore(init_from)
  parts = ('generator', 'discriminator', 'latent_dim', 'packing')
  facts = lambda chosen, shape: {
    'shape': list(shape),
    **{name: getattr(chosen, name) for name in parts},
  }
  _refuse(
    continuation.differences(
      facts(other, shape), facts(built.settings, built.shape)
    ),
    f'the networks of {init_from} do not fit; they differ in',
    'Weights can be taken from the same networks alone.',
  )
  take = lambda new, old: new.replace(params=old.params, stats=old.stats)
  fresh = fresh.replace(
    generator=take(fresh.generator, trained.generator),
    discriminator=take(fresh.discriminator, trained.discriminator),
    ema=trained.ema,
  )
  note = f'a new run from the weights of {init_from}, step {trained.step}'
  return Start(fresh, 0, 0, note)


def _newest(built, workdir) -> Start | None:
  """The newest good checkpoint, with what is to be said of newer ones."""
  kept = workdir / CHECKPOINTS
  if not kept.is_dir():
    return None
  damaged: dict[int, str] = {}
  with checkpoint.Checkpoints(kept, read_only=True) as saved:
    for step in reversed(saved.steps()):
      try:
        about = saved.about(step) or read_config(workdir)
        _check_continues(built, workdir, step, about)
        restored = saved.restore(built.state_shapes(), step)
        break
      except checkpoint.Damaged as error:
        damaged[step] = str(error)
    else:
      if damaged:
        raise ValueError(
          'no checkpoint is left to continue from: '
          f'{"; ".join(damaged.values())}. Choose another --workdir, or remove '
          f'{kept} to start anew'
        )
      return None
  for number in damaged:
    aside = workdir / DAMAGED
    aside.mkdir(exist_ok=True)
    shutil.rmtree(aside / str(number), ignore_errors=True)
    (kept / str(number)).rename(aside / str(number))
  said = ''.join(f'{text} (moved to {DAMAGED}/); ' for text in damaged.values())
  return Start(restored, step, about.get('rollbacks', 0), said)


def _check_continues(built, workdir, step, about) -> None:
  """Refuses a checkpoint of another run, or beyond the end of this."""
  _refuse(
    continuation.differences(
      about['settings'] | {'examples': about['examples']},
      dataclasses.asdict(built.settings) | {'examples': count_examples(built)},
    ),
    f'{workdir} holds a run of another config; it differs in',
    'Choose another --workdir, or the old values.',
  )
  if step > built.settings.num_steps:
    raise ValueError(
      f'num_steps={built.settings.num_steps}: {workdir} has already done '
      f'{step} steps'
    )


def checkpoints(
  built: Any, workdir: pathlib.Path, rollbacks: int = 0
) -> checkpoint.Checkpoints:
  """The checkpoints of a run, to write; each says of which run it is.

  Args:
    built: the experiment.Experiment, or team.Team.
    workdir: the run's directory.
    rollbacks: how often the run has gone back.
  """
  return checkpoint.Checkpoints(
    workdir / CHECKPOINTS,
    keep=built.settings.keep_checkpoints,
    about=describe(built) | {'rollbacks': rollbacks},
  )


def _refuse(different: Mapping[str, tuple], reason: str, advice: str) -> None:
  if different:
    listed = ''.join(
      f'\n  {leaf}: {old!r} there, {new!r} now'
      for leaf, (old, new) in different.items()
    )
    raise ValueError(f'{reason}{listed}\n{advice}')


def _of_member(
  config: settings.Settings, workdir: Any, member: int | None
) -> settings.Settings:
  """The settings of a run, or of a member of an ensemble."""
  if not settings.is_ensemble(config):
    if member is not None:
      raise ValueError(f'member={member}: {workdir} holds one run, no ensemble')
    return config
  found = sweep.members(config)
  if member is None or not 0 <= member < len(found):
    given = 'no member was named' if member is None else f'member={member}'
    raise ValueError(
      f'{given}: {workdir} holds an ensemble; its members are 0 to '
      f'{len(found) - 1}'
    )
  return found[member].settings


def restore(
  workdir: str | pathlib.Path,
  which: str = 'latest',
  *,
  member: int | None = None,
) -> tuple[game.GAN, settings.Settings, tuple[int, ...], state.GANState]:
  """Reads a checkpoint of a run.

  Args:
    workdir: the run's directory.
    which: 'latest', 'best' (by the first of the run's scores), or a step.
    member: of an ensemble, its number.

  Returns:
    The game, its settings, the shape of one example, and the state.

  Raises:
    FileNotFoundError: where there is no run, or it has no such checkpoint.
    ValueError: for another `which`, or a member that is not there.
  """
  config = read_config(workdir)
  kept, shape = settings.parse(config['settings']), tuple(config['shape'])
  chosen = _of_member(kept, workdir, member)
  gan, hyper, chosen = assemble.build_gan(chosen, shape)
  like = assemble.state_shapes(
    gan, hyper, shape, assemble.memory_options(chosen)
  )
  if member is not None:
    like = ensemble.stacked_shapes(like, len(sweep.members(kept)))
  of = BEST if which == 'best' else CHECKPOINTS
  if which not in ('best', 'latest') and not which.isdigit():
    raise ValueError(
      f"checkpoint={which!r}: must be 'latest', 'best' or a step"
    )
  if latest(workdir, of) is None:
    hint = '; one is kept with --config.eval.every' if of == BEST else ''
    raise FileNotFoundError(f'{workdir} has no {which} checkpoint yet{hint}')
  with checkpoint.Checkpoints(
    pathlib.Path(workdir) / of, read_only=True
  ) as saved:
    step = int(which) if which.isdigit() else None
    if step is not None and step not in saved.steps():
      raise FileNotFoundError(
        f'{workdir} has no checkpoint of step {step}; it has {saved.steps()}'
      )
    state = saved.restore(like, step)
  if member is not None:
    state = ensemble.take(state, member)
  return gan, chosen, shape, state


def load(
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
  gan, chosen, shape, restored = restore(workdir, which, member=member)
  raw = (restored.generator.params, restored.generator.stats)
  picked = standing.for_evaluation(
    gan, restored.ema if weights == 'ema' else raw
  )
  return sampling.Sampler(chosen, shape, int(restored.step), picked, gan)
