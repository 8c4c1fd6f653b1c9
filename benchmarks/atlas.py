"""Maps which losses work: every loss, five regularizers, three learning rates.

  python benchmarks/atlas.py --out=runs/atlas              all
  python benchmarks/atlas.py --out=runs/atlas --data ring  one of the data sets
  python benchmarks/atlas.py --out=runs/atlas --page       writes docs/atlas.md

A cell is a loss with a regularizer on a mixture of Gaussians: ten seeds at each
of three learning rates, all 30 as one program, scored by PacGAN's modes, share
of high-quality samples and reverse KL. A finished cell is a file of --out;
killed and started again, the program goes on with the next cell. --page collects
the files into benchmarks/results/atlas.json, and writes the page and its picture
from it (benchmarks/atlas_page.py).

Losses whose discriminators return the same (a logit, features, or both) share a
compiled program, in which a member's loss is an index among its hyper-parameters:
15 programs take the place of 115. A cell is what

  python train.py --config=FILE --config.loss=NAME --config.ensemble.seeds=10 ...

trains with the same fields.
"""

import argparse
import dataclasses
import functools
import json
import pathlib
import time
from typing import Any, Callable, Iterator, NamedTuple

import atlas_page
import jax
import jax.numpy as jnp
import numpy as np
import turns  # puts the root of the repository on the path

from configs import common
from gan_jax import config as config_lib
from gan_jax import experiment, losses, metrics, training
from gan_jax.config.losses import LOSSES as FACTS
from gan_jax.distributed import xla_setup
from gan_jax.io import files

RECORDS = turns.ROOT / 'benchmarks' / 'results' / 'atlas.json'
SAMPLES = 2500
INDEX = 'loss_index'  # hyper-parameter of a member: its loss in a group

DATA = {
  'ring': dict(size=100_000, modes=8, radius=1.0, sigma=0.03, seed=0),
  'grid': dict(size=100_000, side=3, spacing=2.0, sigma=0.1, seed=0),
}
REGULARIZERS: dict[str, dict[str, float]] = {
  'none': {},
  'R1': {'r1': 0.1},
  'R1 + R2': {'r1': 0.1, 'r2': 0.1},
  'WGAN-GP': {'wgan_gp': 10.0},
  'spectral norm': {},
}


@dataclasses.dataclass(frozen=True)
class Settings:
  """What all cells have in common.

  Attributes:
    steps: train steps, by data set.
    batch: examples of a step.
    features: width of each hidden layer of both networks.
    rates: learning rates of both players.
    seeds: members at each learning rate.
    ema_decay: decay of the average of G, which is scored.
  """

  steps: dict[str, int] = dataclasses.field(
    default_factory=lambda: {'ring': 1000, 'grid': 2000}
  )
  batch: int = 32
  features: tuple[int, ...] = (32, 32)
  rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)
  seeds: int = 10
  ema_decay: float = 0.99


class Cell(NamedTuple):
  """A loss with a regularizer on a data set, by their names."""

  data: str
  loss: str
  regularizer: str

  def path(self, directory: pathlib.Path) -> pathlib.Path:
    """Returns the path of the record."""
    regularizer = self.regularizer.replace(' ', '')
    return directory / f'{self.data}-{regularizer}-{self.loss}.json'


def make_config(cell: Cell, settings: Settings) -> dict[str, Any]:
  """Returns the config of a cell's ensemble."""
  config = common.base('')
  config.data.name = cell.data
  config.data[cell.data].update(DATA[cell.data])
  config.latent_dim = 2
  config.generator.name = config.discriminator.name = 'mlp'
  for player in (config.generator, config.discriminator):
    player.mlp.update(norm='none', features=settings.features)
  config.generator.mlp.activation = 'relu'
  config.discriminator.mlp.activation = 'leaky_relu'
  if FACTS[cell.loss].output == 'features':
    config.discriminator.mlp.outputs = 16
  if cell.regularizer == 'spectral norm':
    config.discriminator.mlp.norm = 'spectral'
  for name, weight in REGULARIZERS[cell.regularizer].items():
    config.penalties[name].weight = weight
  for optimizer in (config.d_optimizer, config.g_optimizer):
    common.adam(optimizer, settings.rates[0], b1=0.0, b2=0.99)
  config.update(
    loss=cell.loss,
    batch_size=settings.batch,
    num_steps=settings.steps[cell.data],
    log_every=settings.steps[cell.data],
    ema_decay=settings.ema_decay,
  )
  rates = ','.join(map(str, settings.rates))
  config.ensemble.seeds = settings.seeds
  config.ensemble.sweep = (
    f'd_optimizer.learning_rate+g_optimizer.learning_rate={rates}'
  )
  return config.to_dict()


def make_group_loss(names: tuple[str, ...]) -> Callable[..., Any]:
  """Returns a loss that each member chooses from a group by its index.

  Args:
    names: names of losses, which ask the discriminator for the same output.

  Returns:
    The function (hparams, step) -> loss of `experiment.build`.
  """
  first = losses.LOSSES[names[0]]

  def player_loss(index: jax.Array, player: str) -> Callable[..., Any]:
    def call(name: str, real: Any, fake: Any) -> jax.Array:
      loss = losses.LOSSES[name]
      return losses.player_loss(loss, player, real, fake, None)

    branches = [functools.partial(call, name) for name in names]
    return lambda real, fake: jax.lax.switch(index, branches, real, fake)

  def choose(hparams: Any, step: Any) -> losses.AdversarialLoss:
    if len(names) == 1:
      return first
    index = jnp.asarray(hparams.get(INDEX, 0.0)).astype(jnp.int32)
    players = [player_loss(index, p) for p in ('discriminator', 'generator')]
    witness = None
    if first.witness is not None:

      def witness(*sets: jax.Array, **options: Any) -> jax.Array:
        branches = [
          functools.partial(losses.LOSSES[name].witness, **options)
          for name in names
        ]
        return jax.lax.switch(index, branches, *sets)

    return losses.AdversarialLoss(
      *players, output=first.output, witness=witness, decision_threshold=None
    )

  return choose


class Group:
  """Losses that share a compiled program, on a data set with a regularizer.

  Attributes:
    cells: the cells, one for each loss.
  """

  def __init__(
    self,
    data: str,
    names: tuple[str, ...],
    regularizer: str,
    settings: Settings,
  ):
    """Builds nothing yet.

    Args:
      data: a key of DATA.
      names: names of losses, which ask the discriminator for the same output.
      regularizer: a key of REGULARIZERS.
      settings: those of all cells.
    """
    self.cells = [Cell(data, name, regularizer) for name in names]
    self._names, self._settings = names, settings

  @functools.cached_property
  def built(self) -> experiment.EnsembleExperiment:
    """The members, whose hyper-parameters have the index of the first loss."""
    config = make_config(self.cells[0], self._settings)
    return experiment.build_ensemble(config, loss=make_group_loss(self._names))

  @functools.cached_property
  def _program(self) -> Any:
    return self.built.program()

  @functools.cached_property
  def _score(self) -> Callable[..., Any]:
    return make_scorer(self.built.base.gan)

  @functools.cached_property
  def _initial(self) -> Any:
    return jax.device_get(self.built.init_state())

  def train(self, cell: Cell) -> Any:
    """Trains the members of a cell, and returns their states.

    Raises:
      ValueError: if the loss does not combine with the regularizer.
    """
    config_lib.resolve(make_config(cell, self._settings))  # or refuses it
    index = np.full(len(self.built.members), self._names.index(cell.loss))
    hparams = self._initial.hparams | {INDEX: index.astype(np.float32)}
    program, steps = self._program, self.built.config.num_steps
    state = program.put(self._initial.replace(hparams=hparams))
    streams = program.put(self.built.streams)
    step = 0
    with program.feed(0) as feed:
      while step < steps:
        most = min(program.max_steps, steps - step)
        batch, count = feed.take(step, most, lambda: None)
        state, _ = program.run(state, batch, streams, np.int32(count))
        step += count
    return jax.block_until_ready(state)

  def score(self, state: Any) -> dict[str, np.ndarray]:
    """Returns the scores of all members, `[rates, seeds]` each.

    Args:
      state: their states.
    """
    truth = self.built.train.distribution
    *scores, finite = self._score(
      state.ema,
      jnp.asarray(truth.centers, jnp.float32),
      jnp.float32(truth.sigma),
    )
    ended = np.asarray(state.step) == self.built.config.num_steps
    names = ('modes', 'high_quality', 'reverse_kl', 'live')
    shape = (-1, self._settings.seeds)
    return {
      name: np.asarray(values, float).reshape(shape)
      for name, values in zip(names, (*scores, ended & np.asarray(finite)))
    }


def make_scorer(gan: Any) -> Callable[..., Any]:
  """Returns the compiled function that scores all members.

  Args:
    gan: the GAN of the members.

  Returns:
    The function (weights, centers `[k, 2]`, sigma) -> modes, share of
    high-quality samples, reverse KL, and whether all samples are finite.
  """
  sample = training.make_sample_fn(gan)

  def score(weights: Any, centers: jax.Array, sigma: jax.Array) -> Any:
    latents = jax.random.normal(jax.random.key(1), (SAMPLES, gan.latent_dim))

    def score_member(of_member: Any) -> tuple[jax.Array, ...]:
      x = sample(of_member, latents, None)
      return *metrics.mode_scores(x, centers, sigma), jnp.isfinite(x).all()

    return jax.lax.map(score_member, weights)

  return jax.jit(score)


def mean_and_error(values: np.ndarray) -> list[float] | None:
  """Returns the mean and its standard error; None without values."""
  if not len(values):
    return None
  error = values.std(ddof=1) / len(values) ** 0.5 if len(values) > 1 else 0.0
  return [round(float(values.mean()), 5), round(float(error), 5)]


def summarize(
  scores: dict[str, np.ndarray], settings: Settings
) -> list[dict[str, Any]]:
  """Averages the scores of the members that did not diverge, by rate.

  Args:
    scores: as Group.score returns them.
    settings: those of all cells.
  """
  rows = []
  for i, rate in enumerate(settings.rates):
    live = scores['live'][i] > 0
    means = {
      name: mean_and_error(scores[name][i][live])
      for name in ('modes', 'high_quality', 'reverse_kl')
    }
    rows.append({'rate': rate, 'diverged': int((~live).sum()), **means})
  return rows


def make_groups(names: list[str], settings: Settings) -> Iterator[Group]:
  """Yields all groups: those on logits first, which take a tenth of the time.

  Args:
    names: data sets.
    settings: those of all cells.
  """
  outputs: dict[str, list[str]] = {'logits': [], 'scores': [], 'features': []}
  for name in losses.LOSSES:
    outputs[FACTS[name].output].append(name)
  for group in outputs.values():
    for data in names:
      for regularizer in REGULARIZERS:
        yield Group(data, tuple(group), regularizer, settings)


def run_cell(group: Group, cell: Cell, settings: Settings) -> dict[str, Any]:
  """Trains and scores a cell, and returns its record."""
  started = time.process_time()
  record: dict[str, Any] = cell._asdict()
  record['settings'] = dataclasses.asdict(settings)
  try:
    scores = group.score(group.train(cell))
  except ValueError as error:
    return record | {'refused': str(error)}
  return record | {
    'rates': summarize(scores, settings),
    'cpu_seconds': round(time.process_time() - started, 1),
    'machine': turns.machine(),
  }


def describe(record: dict[str, Any], settings: Settings) -> str:
  """Returns a line on a record."""
  cell = ' '.join(record[name] for name in Cell._fields)
  if 'refused' in record:
    return f'{cell}: refused: {record["refused"]}'
  found = atlas_page.coverages(record, settings.seeds)
  by_rate = zip(settings.rates, found)
  listed = ', '.join(f'{rate:g} {x:.2f}' for rate, x in by_rate)
  return f'{cell}: coverage {listed}; {record["cpu_seconds"]} CPU s'


def run(directory: pathlib.Path, names: list[str], settings: Settings) -> None:
  """Runs the cells that have no record yet.

  Args:
    directory: place of the records.
    names: data sets.
    settings: those of all cells.

  Raises:
    ValueError: if there is a record with other settings.
  """
  directory.mkdir(parents=True, exist_ok=True)
  groups = make_groups(names, settings)
  cells = [(group, cell) for group in groups for cell in group.cells]
  for number, (group, cell) in enumerate(cells, 1):
    path = cell.path(directory)
    if path.exists():
      check_settings(path, settings)
      continue
    record = run_cell(group, cell, settings)
    files.write_json(path, record)
    print(f'{number}/{len(cells)} {describe(record, settings)}', flush=True)


def check_settings(path: pathlib.Path, settings: Settings) -> None:
  """Checks that a record has these settings.

  Raises:
    ValueError: if it has others.
  """
  found = files.read_json(path)['settings']
  wanted = files.parse_json(
    json.dumps(dataclasses.asdict(settings)).encode(), path
  )
  if found != wanted:
    raise ValueError(
      f'{path} has the settings {found}, and these are {wanted}: choose '
      'another --out'
    )


def collect(directory: pathlib.Path) -> dict[str, Any]:
  """Returns the records of a directory as one, in the order of the tables.

  Raises:
    ValueError: if the directory has none.
  """
  cells = (
    Cell(data, loss, regularizer)
    for data in DATA
    for loss in losses.LOSSES
    for regularizer in REGULARIZERS
  )
  found = [cell.path(directory) for cell in cells]
  records = [files.read_json(path) for path in found if path.exists()]
  if not records:
    raise ValueError(f'{directory} has no records of cells')
  machines = sorted({r.pop('machine') for r in records if 'machine' in r})
  settings = [record.pop('settings') for record in records][0]
  return {'settings': settings, 'machines': machines, 'cells': records}


def main() -> None:
  """Runs cells, or writes the page."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=pathlib.Path, required=True)
  parser.add_argument('--data', nargs='*', choices=DATA, default=list(DATA))
  parser.add_argument('--steps', type=int, default=0, help='for a trial')
  parser.add_argument('--seeds', type=int, default=Settings.seeds)
  parser.add_argument(
    '--page', action='store_true', help='writes docs/atlas.md and atlas.png'
  )
  options = parser.parse_args()
  if options.page:
    files.write_json(RECORDS, collect(options.out))
    record = files.read_json(RECORDS)
    text = atlas_page.make_page(record, len(losses.LOSSES), len(REGULARIZERS))
    files.atomic_write(atlas_page.DOCS / 'atlas.md', text)
    atlas_page.draw(record, atlas_page.DOCS / 'atlas.png')
    return
  xla_setup.configure_jax(members=True)
  settings = Settings(seeds=options.seeds)
  if options.steps:
    steps = dict.fromkeys(DATA, options.steps)
    settings = dataclasses.replace(settings, steps=steps)
  run(options.out, options.data, settings)


if __name__ == '__main__':
  main()
