"""The 2-D mixtures over seeds: RpGAN + R1 + R2 beside the non-saturating GAN.

  python benchmarks/mixtures.py                    ring and grid, 3 seeds
  python benchmarks/mixtures.py --data=grid --seeds=10 --jobs=8 --out=runs/mix

Each run is configs/ring.py or grid.py as it stands, the variant ':short'
(non-saturating) or ':rpgan'; both take the same number of steps. Prints the
curve of each run, then a table of means and standard errors over seeds beside
a perfect sampler; writes the points to OUT/curves.jsonl and, where matplotlib
is installed, a plot.
"""

import argparse
import concurrent.futures
import importlib
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SCORES = ('modes', 'high_quality', 'reverse_kl')
LABELS = {'short': 'non-saturating', 'rpgan': 'RpGAN + R1 + R2'}


def run(job):
  """One run; its points as dicts. In a process of its own, on one core."""
  name, variant, seed, every, steps = job
  os.environ['XLA_FLAGS'] = (
    '--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1'
  )
  import jax

  from gan_jax import experiment, sampling, standing
  from gan_jax.evaluation import mixtures

  config = importlib.import_module(f'configs.{name}').get_config(variant)
  config.seed = seed
  if steps:
    config.num_steps = steps
  built = experiment.build(config.to_dict())
  runner = built.parallelise()
  now, key = runner.put(built.init_state()), runner.put(built.key)
  draw, truth = sampling.make_draw(built.gan), built.train.truth
  score = jax.jit(lambda x: mixtures.mode_scores(x, truth.centres, truth.sigma))
  points = []
  with built.batches(put=runner.put_batch) as batches:
    for step in range(1, config.num_steps + 1):
      now, _ = runner.step(now, next(batches), key)
      if step % every and step != config.num_steps:
        continue
      weights = standing.for_evaluation(built.gan, now.ema)
      found = jax.device_get(score(draw(weights, 2500, seed=1)))
      scores = {n: float(getattr(found, n)) for n in SCORES}
      points.append(
        dict(data=name, method=variant, seed=seed, step=step, **scores)
      )
      print(json.dumps(points[-1]), flush=True)
  samples = draw(weights, 2500, seed=1)
  return points, samples.tolist()


def floor(name):
  """The same scores of a perfect sampler, 20 draws of 2,500."""
  import jax
  import numpy as np

  from gan_jax import data
  from gan_jax.evaluation import mixtures

  config = importlib.import_module(f'configs.{name}').get_config('test')
  truth = data.make_source(config.data.to_dict(), 'train').truth
  draws = [
    jax.device_get(
      mixtures.mode_scores(
        truth.sample(2500, [seed, 2]), truth.centres, truth.sigma
      )
    )
    for seed in range(20)
  ]
  return {n: np.array([float(getattr(d, n)) for d in draws]) for n in SCORES}


def table(name, points):
  """Prints the last points of all runs, over seeds, beside the floor."""
  import numpy as np

  print(f'\n{name}: mean +- standard error over seeds, 2,500 samples')
  print('| method | steps | seeds | modes | high quality % | reverse KL |')
  print('|---|---|---|---|---|---|')

  def row(label, steps, values):
    cells = []
    for score in SCORES:
      x = np.asarray(values[score]) * (100 if score == 'high_quality' else 1)
      error = x.std(ddof=1) / np.sqrt(len(x)) if len(x) > 1 else float('nan')
      digits = 4 if score == 'reverse_kl' else 1
      cells.append(f'{x.mean():.{digits}f} +- {error:.{digits}f}')
    print(f'| {label} | {steps} | {len(x)} | {" | ".join(cells)} |')

  for variant, label in LABELS.items():
    mine = [p for p in points if (p['data'], p['method']) == (name, variant)]
    if not mine:
      continue
    last = max(p['step'] for p in mine)
    ends = [p for p in mine if p['step'] == last]
    row(label, last, {s: [p[s] for p in ends] for s in SCORES})
  row('perfect sampler', '', floor(name))


def plot(path, names, points, samples):
  """Curves over steps, a line per seed, and the first seed's samples."""
  try:
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt
  except ImportError:
    print("no plot: pip install 'gan_jax[plots]'")
    return
  columns = ('high_quality', 'reverse_kl', *LABELS)
  figure, axes = plt.subplots(
    len(names), 4, figsize=(15, 3.6 * len(names)), squeeze=False
  )
  colours = dict(zip(LABELS, ('tab:orange', 'tab:blue')))
  for row, name in zip(axes, names):
    for axis, column in zip(row, columns):
      if column in LABELS:
        x = samples.get((name, column))
        if x is not None:
          axis.scatter(*zip(*x), s=1, alpha=0.3, color=colours[column])
        limit = 5 if name == 'grid' else 1.4
        axis.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect='equal')
        axis.set_title(f'{name}: samples, {LABELS[column]}')
        continue
      for variant, label in LABELS.items():
        mine = [
          p for p in points if (p['data'], p['method']) == (name, variant)
        ]
        for seed in sorted({p['seed'] for p in mine}):
          line = [(p['step'], p[column]) for p in mine if p['seed'] == seed]
          axis.plot(
            *zip(*line),
            color=colours[variant],
            label=label if seed == 0 else None,
          )
      best = floor(name)[column].mean()
      axis.axhline(best, color='grey', linestyle=':', label='perfect sampler')
      axis.set(xlabel='steps', title=f'{name}: {column.replace("_", " ")}')
      if column == 'reverse_kl':
        axis.set_yscale('log')
      axis.legend(fontsize=8)
  figure.tight_layout()
  figure.savefig(path, dpi=80)
  print(f'plot     {path}')


def main():
  """Runs, tables, plot."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--data', nargs='*', default=['ring', 'grid'])
  parser.add_argument('--methods', nargs='*', default=list(LABELS))
  parser.add_argument('--seeds', type=int, default=3)
  parser.add_argument('--jobs', type=int, default=2, help='runs at a time')
  parser.add_argument('--every', type=int, default=1000, help='steps per point')
  parser.add_argument('--steps', type=int, default=0, help="0: the config's")
  parser.add_argument('--out', type=pathlib.Path, default='runs/mixtures')
  args = parser.parse_args()
  args.out.mkdir(parents=True, exist_ok=True)
  jobs = [
    (name, variant, seed, args.every, args.steps)
    for name in args.data
    for seed in range(args.seeds)
    for variant in args.methods
  ]
  import multiprocessing

  context = multiprocessing.get_context('spawn')
  with concurrent.futures.ProcessPoolExecutor(
    args.jobs, mp_context=context, max_tasks_per_child=1
  ) as pool:
    results = list(pool.map(run, jobs))
  points = [point for found, _ in results for point in found]
  with open(args.out / 'curves.jsonl', 'w') as file:
    file.writelines(json.dumps(point) + '\n' for point in points)
  samples = {
    (job[0], job[1]): x for job, (_, x) in zip(jobs, results) if job[2] == 0
  }
  for name in args.data:
    table(name, points)
  plot(args.out / 'mixtures.png', args.data, points, samples)


if __name__ == '__main__':
  main()
