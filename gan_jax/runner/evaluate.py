"""Scores a run, or samples in files, beside the baseline of real data.

`evaluate.py` reads the flags and calls `evaluate`.
"""

import dataclasses
import functools
import hashlib
import inspect
import os
import pathlib
import runpy
import time
from typing import Any, Mapping, Sequence

from gan_jax import config as config_lib
from gan_jax import data as data_lib
from gan_jax import evaluation
from gan_jax.data import sample_files
from gan_jax.distributed import devices as devices_lib
from gan_jax.evaluation import (
  feature_cache,
  feature_extractors,
  features,
  reference_data,
  results,
  statistics,
)
from gan_jax.experiment import experiment as experiment_lib
from gan_jax.experiment import own_parts, run_dir
from gan_jax.io import files
from gan_jax.runner import config_file, console, recorded_parts


@dataclasses.dataclass(frozen=True)
class Request:
  """What to score, against what, and how.

  Attributes:
    workdir: directory of the run to score; '' for samples in files.
    checkpoint: checkpoint of the run: 'latest', 'best', or a step.
    member: member of an ensemble; None for a single run.
    weights: weights of the run: 'ema' or 'raw'.
    psi: truncation of the styles of StyleGAN2, from 0 to 1; None for none.
    samples: folder of images, .npz or .npy to score; '' for a run.
    value_range: two numbers, the range of float images in files.
    follow_symlinks: whether links in folders may lead out of them.
    data: real data: a config file, a folder, an .npz or an .npy; '' for the
      data of the run.
    size: side to which the images of a folder in `data` are cropped and
      resized, as for training; 0 leaves them as they are.
    data_dir: directory in which TFDS keeps datasets.
    eval: fields of `config.eval` that replace those of the run.
    seed: seed of the samples.
    num_devices: number of devices to use; 0 for all.
    out: path of the JSON record; '' for a name in the workdir or beside the
      samples.
  """

  workdir: str = ''
  checkpoint: str = 'latest'
  member: int | None = None
  weights: str = 'ema'
  psi: float | None = None
  samples: str = ''
  value_range: Sequence[str | float] = (-1.0, 1.0)
  follow_symlinks: bool = False
  data: str = ''
  size: int = 0
  data_dir: str = ''
  eval: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  seed: int = 1
  num_devices: int = 0
  out: str = ''


def evaluate(request: Request, *, quiet: bool = False) -> pathlib.Path:
  """Computes scores, writes a JSON record, and prints a table.

  Args:
    request: what to score.
    quiet: whether to print nothing.

  Returns:
    The path of the record: scores, errors, baselines, protocol, counts and
    hashes.

  Raises:
    ValueError: for a request that does not fit together, or a score that
      cannot be computed.
    OSError: if a file is missing or cannot be read or written.
  """
  reporter = console.ConsoleReporter(quiet=quiet)
  request = _with_resolved_paths(request)
  start = time.perf_counter()
  devices = devices_lib.local_devices(request.num_devices)
  parts = own_parts.OwnParts()
  if request.workdir and not request.samples:
    parts = recorded_parts.recorded_parts(request.workdir)
  source, facts, config = _open_generated(request, devices, parts)
  options = _eval_options(config, request, facts.get('count'))
  real, data = _open_reference(request, config, parts)
  reporter.files(source, next(iter(real.values())).reference)
  with reporter.feature_bars() as track:
    evaluator = evaluation.make_evaluator(
      real,
      options,
      extractor=_user_features(request.eval.get('features', '')),
      seed=config.seed if config else 0,
      devices=devices,
      store=feature_cache.default_feature_cache(),
      track=track,
    )
    path = _record_path(request, facts, evaluator.names)
    reporter.evaluation(facts, data, evaluator)
    if source is None:
      scores = evaluator.baselines()
    else:
      scores = evaluator(source)
  seconds = time.perf_counter() - start
  record = results.evaluation_record(
    scores,
    evaluator,
    devices,
    samples=facts,
    data=data,
    options=dataclasses.asdict(options)
    | {'value_range': _value_range(request.value_range)},
    seconds=seconds,
  )
  files.write_json(path, record)  # before anything of it is printed
  reporter.scores(scores, evaluator.notes)
  reporter.recorded(path, seconds)
  return path


def _with_resolved_paths(request: Request) -> Request:
  """Expands `~` in what a request names, and refuses impossible paths."""

  def resolve(values, names):
    return {
      name: str(files.resolve_path(values[name], name))
      for name in names
      if values.get(name)
    }

  own = ('workdir', 'samples', 'data', 'data_dir', 'out')
  changed = resolve(vars(request), own)
  scored = resolve(request.eval, ('features', 'feature_weights'))
  return dataclasses.replace(
    request, **changed, eval={**request.eval, **scored}
  )


def _eval_options(
  config: config_lib.Config | None, request: Request, count: int | None
) -> Any:
  """Returns the eval section of the run with the overrides, checked."""
  options = dataclasses.asdict(config.eval) if config else {}
  options |= request.eval
  if count is not None:
    options.setdefault('num_samples', count)
  if '.py:' in options.get('features', ''):  # a function, see _user_features
    options['features'] = ''
  return config_lib.resolve_eval(options)


def _value_range(given: Sequence[str | float]) -> tuple[float, float]:
  try:
    low, high = map(float, given)
  except ValueError:
    low = high = 0.0
  if not low < high:
    text = ','.join(map(str, given))
    raise ValueError(f'--value_range={text}: must be LOW,HIGH, such as 0,1')
  return low, high


def _open_samples(request: Request, path: str) -> data_lib.Source:
  """Opens the images or arrays that `samples` or `data` names."""
  return data_lib.open_samples(
    path,
    value_range=_value_range(request.value_range),
    follow_symlinks=request.follow_symlinks,
  )


def _open_real_files(request: Request) -> data_lib.Source:
  """Opens the images or arrays that `data` names."""
  try:
    return data_lib.open_samples(
      request.data,
      value_range=_value_range(request.value_range),
      follow_symlinks=request.follow_symlinks,
      size=request.size,
    )
  except sample_files.SeveralSizesError as error:
    raise ValueError(
      f'{error}; --size=PIXELS crops and resizes those of --data'
    ) from error
  except FileNotFoundError as error:
    path, variant = f'{request.data}.py', ''
    if ':' in request.data:
      name, _, variant = request.data.rpartition(':')
      path, variant = f'{name}.py', f':{variant}'
    if not pathlib.Path(path).is_file():
      raise
    raise FileNotFoundError(
      f'{error}. Did you mean --data={path}{variant}?'
    ) from error


def _open_reference(
  request: Request,
  config: config_lib.Config | None,
  parts: own_parts.OwnParts,
) -> tuple[reference_data.ReferenceData, dict[str, Any]]:
  """Opens the real data to compare with.

  Args:
    request: names the data, or leaves them to the run.
    config: config of the run, if there is one.
    parts: what the run was given in place of its config's parts.

  Returns:
    The reference data, and facts about them for the record.
  """
  is_config = config_file.is_config(request.data)
  published = statistics.open_statistics(request.data)
  if published is not None:
    published.check_protocol(request.eval.get('protocol', ''), '--protocol=')
    facts = {'data': request.data, 'digest': published.digest}
    return reference_data.statistics_reference(published, facts), facts
  if request.data and not is_config:
    source = _open_real_files(request)
    facts = {'data': str(pathlib.Path(request.data).resolve())}
    return reference_data.split_half_reference(source, facts), facts
  if request.data:
    try:
      config = config_file.load_config(request.data)
      of_file = config_file.load_parts(request.data, config)
      config = config_lib.resolve(config_lib.with_own_parts(config, of_file))
      own = {n: of_file[n] for n in ('train', 'test') if n in of_file}
      parts = own_parts.make_own_parts(**own)
    except (FileNotFoundError, ValueError) as error:
      kind = type(error) if isinstance(error, OSError) else ValueError
      raise kind(f'--data={request.data}: {error}') from error
  if config is None:
    raise ValueError(
      '--samples needs --data: a config (configs/cifar10.py), a folder, an '
      '.npz or an .npy of real examples'
    )
  if request.size:
    raise ValueError('--size is for a folder of images in --data')
  if config.data.name == 'folder' and not config.data.options.path:
    side = config.data.options.size
    raise ValueError(
      f'--data={request.data}: it names no folder (data.folder.path is empty); '
      f'name the folder itself, --data=DIR --size={side}'
    )
  if request.data_dir:
    name = config.data.name
    field = f'data.{name}.data_dir'
    if not hasattr(config.data.options, 'data_dir'):
      raise ValueError(f'--data_dir: data.name is {name!r}, which has none')
    config = config_lib.with_values(config, {field: request.data_dir})
  if config.data.name == 'own' and parts.train is None:
    raise ValueError(
      'the run was given its own data: name the real examples by --data'
    )
  sources = experiment_lib.open_sources(config, parts)
  facts = experiment_lib.data_identity(config)
  return experiment_lib.make_references(config, *sources), facts


def _open_generated(
  request: Request, devices: Sequence[Any], parts: own_parts.OwnParts
) -> tuple[data_lib.Source | None, dict[str, Any], config_lib.Config | None]:
  """Opens the examples to score.

  Args:
    request: names a run or files.
    devices: devices that generate the samples of a run.
    parts: what the run was given in place of its config's parts.

  Returns:
    The examples (None for the baseline alone), facts about them for the
    record, and the run's config (None for files).
  """
  if request.workdir and request.samples:
    raise ValueError('give one of --workdir (a run) and --samples (files)')
  if not request.workdir and not request.samples:
    if not request.data:
      raise ValueError(
        'give --workdir (a run) or --samples (files); or --data alone, for '
        'the baseline of the scores'
      )
    return None, {'samples': 'none'}, None
  if request.psi is not None and not request.workdir:
    raise ValueError(
      f'--psi={request.psi}: is for the samples of a run (--workdir)'
    )
  if request.samples:
    source = _open_samples(request, request.samples)
    facts = {'samples': request.samples, 'count': len(source)}
    return source, facts | {'digest': features.source_digest(source)[:16]}, None
  sampler = run_dir.load_from_parts(
    request.workdir,
    parts,
    weights=request.weights,
    checkpoint=request.checkpoint,
    member=request.member,
  )
  count = request.eval.get('num_samples') or sampler.config.eval.num_samples
  labels = lambda indices: None
  if sampler.label is not None:
    _, test = experiment_lib.open_sources(sampler.config, parts)
    labels = functools.partial(experiment_lib.sample_labels, test)
  source = sampler.source(
    results.num_samples_needed(count),
    seed=request.seed,
    devices=devices,
    labels=labels,
    psi=request.psi,
  )
  facts = {
    'workdir': request.workdir,
    'step': sampler.step,
    'weights': request.weights,
    'seed': request.seed,
  }
  if request.member is not None:
    facts['member'] = request.member
  if request.psi is not None:
    facts['psi'] = request.psi
  return source, facts, sampler.config


def _user_features(
  text: str,
) -> feature_extractors.FeatureExtractor | None:
  """Returns the extractor of FILE.py:FUNCTION, or None for other text.

  A function without arguments returns the extractor itself, whose weights are
  arguments of the compiled program instead of constants in it.
  """
  path, _, function = text.partition(':')
  if not path.endswith('.py'):
    return None
  if not pathlib.Path(path).is_file():
    raise FileNotFoundError(f'--features={text}: there is no file {path}')
  names = runpy.run_path(path)
  if not callable(names.get(function)):
    raise ValueError(
      f'--features={text}: must be FILE.py:FUNCTION; {path} has no function '
      f'{function!r}'
    )
  content = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
  if inspect.signature(names[function]).parameters:
    extractor = feature_extractors.from_function(names[function], text)
    return extractor._replace(sha256=content)
  extractor = names[function]()
  if not isinstance(extractor, feature_extractors.FeatureExtractor):
    raise ValueError(
      f'--features={text}: {function}() returned {type(extractor).__name__}; '
      'must take images, or take nothing and return a '
      'feature_extractors.FeatureExtractor'
    )
  # Whatever it says, these are not the features that FID is defined on.
  return extractor._replace(
    name=text, sha256=extractor.sha256 or content, is_reference_inception=False
  )


def _record_path(
  request: Request, facts: Mapping[str, Any], names: Sequence[str]
) -> pathlib.Path:
  """Returns the path of the record; refuses it before scores are computed."""
  metrics = '-'.join(names)
  if request.out:
    path = pathlib.Path(request.out)
  elif 'step' in facts:
    member = f'member{facts["member"]}-' if 'member' in facts else ''
    psi = f'-psi{facts["psi"]:g}' if 'psi' in facts else ''
    state = f'{facts["step"]:08d}-{member}{facts["weights"]}{psi}'
    path = pathlib.Path(request.workdir) / f'evaluation-{state}-{metrics}.json'
  else:
    path = pathlib.Path(request.samples or 'baseline').resolve()
    path = path.with_name(f'{path.name}.evaluation-{metrics}.json')
  is_writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
  if path.is_dir() or not is_writable:
    raise ValueError(
      f'the record cannot be written to {path}: name another file by --out'
    )
  return path
