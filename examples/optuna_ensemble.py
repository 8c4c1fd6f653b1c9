"""Searches learning rates with Optuna, 16 GANs x 8 seeds at a time.

  pip install optuna
  python examples/optuna_ensemble.py --out=runs/search --rounds=4

Each round asks Optuna for 16 points, trains the toy of Dive into Deep Learning
at each of them with 8 seeds, and tells the median over the seeds of the KL
divergence to the data. The 128 GANs of a round are one program, which is
compiled once: what the points vary lives in the state. A second start goes on
with the study that the first one left.

Scores of GANs vary over seeds, so that a search can do worse than it seems to:
compare with `--sampler=random` and as many rounds.
"""

import argparse
import pathlib
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

# Not needed if gan_jax is installed.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

import gan_jax  # noqa: E402
from configs import d2l_gaussian  # noqa: E402
from gan_jax import experiment, metrics, training  # noqa: E402

NAMES = ('d_optimizer.learning_rate', 'g_optimizer.learning_rate')
LOW, HIGH = 1e-4, 1.0
POINTS, SEEDS = 16, 8
WORST = 1e3  # a member that diverged


class Trainer:
  """Trains points, with a program that is compiled once."""

  def __init__(self, num_steps: int, points: int = POINTS, seeds: int = SEEDS):
    self.points, self.seeds = points, seeds
    config = d2l_gaussian.get_config().to_dict()
    self.config = config | {'num_steps': num_steps, 'log_every': num_steps}
    self.program = None

  def build(self, points):
    """Builds the ensemble of some points, as train.py does."""
    several = {'seeds': self.seeds, 'points': points}
    return experiment.build_ensemble(self.config | {'ensemble': several})

  def __call__(self, points):
    """Returns the KL divergence of each point and seed, `[points, seeds]`."""
    ensemble = self.build(points)
    if self.program is None:
      self.program = ensemble.program()
      self.score = jax.jit(jax.vmap(make_score(ensemble)))
    run, put, feed, max_steps = self.program
    state, streams = put(ensemble.init_state()), put(ensemble.streams)
    step = 0
    with feed(0) as batches:
      while step < ensemble.config.num_steps:
        count = min(max_steps, ensemble.config.num_steps - step)
        batch, _ = batches.take(step, count, lambda: None)
        state, _ = run(state, batch, streams, np.int32(count))
        step += count
    kl = np.asarray(self.score(state.ema)).reshape(len(points), self.seeds)
    diverged = np.asarray(state.step).reshape(kl.shape) < step
    return np.where(np.isfinite(kl) & ~diverged, kl, WORST)


def make_score(ensemble):
  """Builds a function from EMA weights to the KL divergence to the data."""
  truth = ensemble.train.distribution
  latents = jax.random.normal(jax.random.key(0), (1000, 2))
  sample = training.make_sample_fn(ensemble.base.gan)

  def score(weights):
    mean, covariance = metrics.fit_gaussian(sample(weights, latents))
    known = jnp.float32(truth.mean), jnp.float32(truth.covariance)
    return metrics.kl_divergence(mean, covariance, *known)

  return score


def open_study(out, sampler):
  """Opens the study of a directory, a new one if there is none."""
  import optuna

  optuna.logging.set_verbosity(optuna.logging.WARNING)
  samplers = {
    'tpe': lambda: optuna.samplers.TPESampler(
      seed=0, constant_liar=True, n_startup_trials=POINTS
    ),
    'random': lambda: optuna.samplers.RandomSampler(seed=0),
  }
  out.mkdir(parents=True, exist_ok=True)
  return optuna.create_study(
    study_name=sampler,
    storage=f'sqlite:///{out / "optuna.db"}',
    load_if_exists=True,
    direction='minimize',
    sampler=samplers[sampler](),
  )


def search(study, train, rounds):
  """Asks, trains and tells; prints a line for each round."""
  for number in range(rounds):
    start = time.time()
    trials = [study.ask() for _ in range(train.points)]
    points = [
      {name: trial.suggest_float(name, LOW, HIGH, log=True) for name in NAMES}
      for trial in trials
    ]
    asked = time.time()
    medians = np.median(train(points), axis=1)
    seconds = time.time() - asked
    for trial, median in zip(trials, medians):
      study.tell(trial, float(median))
    best = ', '.join(f'{n} {v:.3g}' for n, v in study.best_params.items())
    print(
      f'round {number}: best of {len(medians)} {medians.min():.4f}; best of '
      f'{len(study.trials)} {study.best_value:.4f} at {best} '
      f'({asked - start:.1f} s to ask, {seconds:.1f} s to train)'
    )


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--out', type=pathlib.Path, default='runs/search')
  parser.add_argument('--rounds', type=int, default=4)
  parser.add_argument('--num_steps', type=int, default=2500)
  parser.add_argument('--sampler', choices=('tpe', 'random'), default='tpe')
  options = parser.parse_args()
  gan_jax.distributed.configure_jax()
  study = open_study(options.out, options.sampler)
  search(study, Trainer(options.num_steps), options.rounds)


if __name__ == '__main__':
  main()
