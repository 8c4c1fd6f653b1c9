"""Scores samples against real data, from a notebook.

  import gan_jax
  gan_jax.evaluate(samples, real, metrics=('fid', 'kid'))
  gan_jax.evaluate('runs/digits', metrics='prdc')

`evaluate.py` does the same for files and writes a record.
"""

import dataclasses
import functools
import os
from typing import Any, NamedTuple, Sequence

import numpy as np

from gan_jax import config as config_lib
from gan_jax import data as data_lib
from gan_jax import evaluation, sampling, training
from gan_jax.data import sample_files
from gan_jax.distributed import devices as devices_lib
from gan_jax.distributed import xla_setup
from gan_jax.evaluation import (
  feature_cache,
  reference_data,
  results,
  statistics,
)
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.experiment import own_parts, run_dir
from gan_jax.io import files
from gan_jax.runner import config_file, recorded_parts
from gan_jax.runner.train import TrainingResult
from gan_jax.sampling import standing_stats


class Evaluation(NamedTuple):
  """What `evaluate` returns.

  Attributes:
    rows: results of the metrics, with errors and baselines.
    notes: remarks on the scores, one sentence each.
  """

  rows: list[results.MetricResult]
  notes: list[str]

  def __getitem__(self, name: int | slice | str) -> Any:
    """Returns the result of a metric by its name, such as 'fid'."""
    if not isinstance(name, str):
      return tuple.__getitem__(self, name)
    found = [row for row in self.rows if name in (row.metric, row.name)]
    if not found:
      known = sorted({row.metric for row in self.rows})
      raise KeyError(f'{name!r}: the metrics are {known}')
    return found[0]

  def __repr__(self) -> str:
    return '\n'.join(map(repr, self.rows))


def evaluate(
  samples: Any,
  real: Any = None,
  *,
  metrics: str | Sequence[str] = (),
  num_samples: int = 0,
  value_range: tuple[float, float] = (-1.0, 1.0),
  seed: int = 1,
  checkpoint: str = 'latest',
  weights: str = 'ema',
  member: int | None = None,
  psi: float | None = None,
  generator: Any = None,
  discriminator: Any = None,
  **options: Any,
) -> Evaluation:
  """Computes scores of generated examples, with errors and baselines.

  Args:
    samples: generated examples: an array (uint8 images, float images in
      `value_range`, or points), a mapping of arrays, a dataset with `len()` and
      `[i]`; a folder of images, an .npz or an .npy file; or a run: its
      directory, a sampling.Sampler, or a TrainingResult.
    real: real examples, likewise (but no run), the path of a config, or an .npz
      with the published statistics 'mu' and 'sigma' of their features; None for
      the data of the run.
    metrics: names of metrics, such as ('fid', 'kid') or 'fid,kid'; () for those
      that suit the data.
    num_samples: number of examples to score; 0 for all that are given, and for
      a run its `config.eval.num_samples`.
    value_range: lowest and highest value of float images.
    seed: seed of the samples of a run.
    checkpoint: checkpoint of a run: 'latest', 'best' or a step.
    weights: weights of a run: 'ema' or 'raw'.
    member: member of an ensemble.
    psi: truncation of the styles of StyleGAN2, from 0 to 1; None for none.
    generator: generator that the run was given; see gan_jax.load.
    discriminator: likewise.
    **options: further options of `config.eval`, such as features, num_real,
      protocol or reference_split.

  Returns:
    The results. Without held-out data the baseline compares two halves of the
    real examples.

  Raises:
    ValueError: if a metric or an option is unknown, a metric does not suit the
      data, there are no real examples, or a psi is given for what has no
      styles.
    FileNotFoundError: if a file is missing.
  """
  names = metrics if isinstance(metrics, str) else ','.join(metrics)
  if not xla_setup.is_backend_initialized():
    xla_setup.configure_xla()
  devices = devices_lib.local_devices(0)
  run = _open_run(
    samples, checkpoint, weights, member, generator, discriminator
  )
  references, base = run and run.references, {}
  if real is not None:
    references = _open_real(real, value_range, options.get('protocol', ''))
  elif run:
    base = dataclasses.asdict(run.config.eval)
  if references is None:
    raise ValueError('real=None: pass the real examples to compare with')
  if psi is not None and run is None:
    raise ValueError(f'psi={psi}: is for the samples of a run')
  if run is None:
    source = _open_examples(samples, 'samples', value_range)
    count = num_samples or len(source)
  else:
    count = num_samples or run.config.eval.num_samples
    source = run.sampler.source(
      results.num_samples_needed(count),
      seed=seed,
      devices=devices,
      labels=run.labels,
      psi=psi,
    )
  given = {**base, **({'metrics': names} if names else {}), **options}
  evaluator = evaluation.make_evaluator(
    references,
    config_lib.resolve_eval({**given, 'num_samples': count}),
    devices=devices,
    store=feature_cache.default_feature_cache(),
  )
  return Evaluation(evaluator(source), list(evaluator.notes))


class _Run(NamedTuple):
  """A generator, and the data that its run was trained on.

  Attributes:
    sampler: the generator.
    labels: labels of samples by index.
    references: reference data by split.
  """

  sampler: sampling.Sampler
  labels: sampling.LabelFn
  references: Any

  @property
  def config(self) -> config_lib.Config:
    return self.sampler.config


def _open_run(
  samples: Any,
  checkpoint: str,
  weights: str,
  member: int | None,
  generator: Any,
  discriminator: Any,
) -> _Run | None:
  """Opens the run that `samples` is, None if it is none."""
  if isinstance(samples, TrainingResult):
    return _run_of_result(samples, weights)
  if isinstance(samples, sampling.Sampler):
    return _with_data(samples, own_parts.OwnParts())
  is_path = isinstance(samples, str | os.PathLike)
  workdir = files.resolve_path(samples) if is_path else None
  if workdir is None or not (workdir / run_dir.CONFIG_FILE).is_file():
    return None
  parts = own_parts.make_own_parts(
    generator=generator, discriminator=discriminator
  )
  if not parts.described:
    parts = recorded_parts.recorded_parts(workdir)
  sampler = run_dir.load_from_parts(
    workdir, parts, weights=weights, checkpoint=checkpoint, member=member
  )
  return _with_data(sampler, parts)


def _run_of_result(result: TrainingResult, weights: str) -> _Run:
  experiment, state = result.experiment, result.state
  if hasattr(experiment, 'members'):
    raise ValueError(
      'samples is the result of an ensemble: pass its workdir and member=...'
    )
  raw = training.player_weights(state.generator)
  picked = standing_stats.evaluation_weights(
    experiment.gan,
    state.ema if weights == 'ema' else raw,
    labels=experiment.labels,
  )
  sampler = sampling.Sampler(
    experiment.config, experiment.shape, result.step, picked, experiment.gan
  )
  references = experiment_lib.make_references(
    experiment.config, experiment.train, experiment.test
  )
  return _Run(sampler, experiment.labels, references)


def _with_data(sampler: sampling.Sampler, parts: own_parts.OwnParts) -> _Run:
  """Returns a run with the data of its config, or those of its parts."""
  if sampler.config.data.name == 'own' and parts.train is None:
    return _Run(sampler, lambda indices: None, None)
  train, test = experiment_lib.open_sources(sampler.config, parts)
  references = experiment_lib.make_references(sampler.config, train, test)
  labels = functools.partial(experiment_lib.sample_labels, test)
  if sampler.label is None:
    labels = lambda indices: None
  return _Run(sampler, labels, references)


def _open_examples(
  given: Any, name: str, value_range: tuple[float, float]
) -> data_lib.Source:
  """Opens examples in memory or in files, with images as uint8."""
  if isinstance(given, str | os.PathLike):
    return data_lib.open_samples(given, value_range=value_range)
  if hasattr(given, '__array__'):
    return sample_files.samples_from_arrays(
      np.asarray(given), name=name, value_range=value_range
    )
  source = data_lib.as_source(given, name)
  if not isinstance(source, data_lib.ArraySource) or source is given:
    return source
  return sample_files.samples_from_arrays(
    source.x, source.label, name, value_range=value_range
  )


def _open_real(
  given: Any, value_range: tuple[float, float], protocol: str
) -> dict[str, reference_data.ReferenceData]:
  """Opens the real examples, or their statistics, to compare with."""
  is_path = isinstance(given, str | os.PathLike)
  published = statistics.open_statistics(given) if is_path else None
  if published is not None:
    published.check_protocol(protocol, 'protocol=')
    facts = {'data': str(given), 'digest': published.digest}
    return reference_data.statistics_reference(published, facts)
  if is_path and config_file.is_config(given):
    config = config_lib.resolve(config_file.load_config(given))
    sources = experiment_lib.open_sources(config, own_parts.OwnParts())
    return experiment_lib.make_references(config, *sources)
  source = _open_examples(given, 'real', value_range)
  facts = {'data': str(given) if is_path else 'memory'}
  return reference_data.split_half_reference(source, facts)
