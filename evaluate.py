"""Scores a run, or anybody's samples, beside the baseline of real data.

  python evaluate.py --workdir=runs/digits
  python evaluate.py --workdir=runs/cifar10 --metrics=fid,kid,prdc --num_samples=10000
  python evaluate.py --samples=DIR_OR_NPZ --data=configs/cifar10.py --metrics=fid
  python evaluate.py --data=configs/cifar10.py --metrics=fid      the baseline alone

Prints a table and writes a JSON record of scores, errors, baselines, protocol,
counts and hashes. What each score needs is in docs/scores.md.
"""

import hashlib
import os
import pathlib
import runpy
import signal
import sys
import time

from absl import app, flags, logging

ROOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))  # configs import from here, wherever one stands

_WORKDIR = flags.DEFINE_string('workdir', '', 'The run to score.')
_CHECKPOINT = flags.DEFINE_string(
  'checkpoint', 'latest', "Of the run: 'latest', 'best', or a step."
)
_MEMBER = flags.DEFINE_integer(
  'member', None, 'Of an ensemble: the number of the member to score.'
)
_WEIGHTS = flags.DEFINE_enum(
  'weights', 'ema', ['ema', 'raw'], "The run's moving average, or its weights."
)
_SAMPLES = flags.DEFINE_string(
  'samples', '', 'Samples to score: a folder of pictures, an .npz or an .npy.'
)
_VALUE_RANGE = flags.DEFINE_list(
  'value_range',
  ['-1', '1'],
  'What float images run from and to, in --samples and --data.',
)
_FOLLOW_SYMLINKS = flags.DEFINE_bool(
  'follow_symlinks',
  False,
  'Whether links in folders of pictures may lead out of them.',
)
_DATA = flags.DEFINE_string(
  'data',
  '',
  'Real data: a config file, a folder, an .npz or an .npy; '
  "default: the run's own.",
)
_DATA_DIR = flags.DEFINE_string('data_dir', '', 'Where TFDS keeps datasets.')
_METRICS = flags.DEFINE_string(
  'metrics', None, "Such as fid,kid,prdc; default: the run's, or by the data."
)
_FEATURES = flags.DEFINE_string(
  'features',
  None,
  "'inception', 'pixels', 'mnist', or FILE.py:FUNCTION; default: Inception "
  'where a metric needs it, else pixels.',
)
_FEATURE_WEIGHTS = flags.DEFINE_string(
  'feature_weights', None, 'File of the weights; default: downloaded once.'
)
_PROTOCOL = flags.DEFINE_string(
  'protocol',
  None,
  "Of Inception's input: 'legacy_tensorflow' (as torch-fidelity), "
  "'legacy_pytorch' (as pytorch-fid), 'clean' (as clean-fid).",
)
_NUM_SAMPLES = flags.DEFINE_integer(
  'num_samples', None, 'Examples to score; default: all in a file, or 1,000.'
)
_NUM_REAL = flags.DEFINE_integer(
  'num_real', None, 'Real examples to compare with; default: all.'
)
_AGAINST = flags.DEFINE_string(
  'against', None, "Split to compare with, 'train' or 'test'."
)
_SEED = flags.DEFINE_integer('seed', 1, 'Of the samples.')
_NUM_DEVICES = flags.DEFINE_integer('num_devices', 0, 'To use; 0 for all.')
_OUT = flags.DEFINE_string(
  'out', '', 'The JSON record; default: in the workdir, or beside the samples.'
)


def options(given: dict) -> dict:
  """The run's options of scores, with those of the flags over them."""
  from gan_jax import config as config_lib

  chosen = config_lib.defaults()['eval'] | given
  for name, flag in (
    ('metrics', _METRICS),
    ('features', _FEATURES),
    ('feature_weights', _FEATURE_WEIGHTS),
    ('protocol', _PROTOCOL),
    ('num_samples', _NUM_SAMPLES),
    ('num_real', _NUM_REAL),
    ('against', _AGAINST),
  ):
    if flag.value is not None:
      chosen[name] = flag.value
  return dict(config_lib.from_mapping({'eval': chosen}).eval)


def value_range() -> tuple[float, float]:
  """--value_range as two numbers."""
  try:
    low, high = map(float, _VALUE_RANGE.value)
  except ValueError:
    low = high = 0.0
  if not low < high:
    given = ','.join(_VALUE_RANGE.value)
    raise ValueError(f'--value_range={given}: must be LOW,HIGH, such as 0,1')
  return low, high


def opened_samples(path: str):
  """The pictures or arrays that --samples or --data names."""
  from gan_jax import data as data_lib

  return data_lib.open_samples(
    path,
    value_range=value_range(),
    follow_symlinks=_FOLLOW_SYMLINKS.value,
  )


def real_data(spec: dict | None):
  """What to compare with, and what it is.

  Args:
    spec: of the run's data, for where --data is not given.
  """
  from gan_jax import data as data_lib
  from gan_jax.evaluation import reference_data
  from gan_jax.experiment import experiment

  path, _, variant = _DATA.value.partition('.py')
  if _DATA.value and path + '.py' != _DATA.value.partition(':')[0]:
    source = opened_samples(_DATA.value)
    facts = {'data': str(pathlib.Path(_DATA.value).resolve())}
    return reference_data.split_half_reference(source, facts), facts
  if _DATA.value:
    if not pathlib.Path(path + '.py').is_file():
      raise FileNotFoundError(f'--data={_DATA.value}: there is no such config')
    try:
      config = runpy.run_path(path + '.py')['get_config'](variant[1:])
      spec = config.data.to_dict()
    except (Exception, SyntaxError) as error:  # a file of anybody's
      raise ValueError(
        f'--data={_DATA.value} is no config: {type(error).__name__}: {error}'
      ) from error
  if spec is None:
    raise ValueError(
      '--samples needs --data: a config (configs/cifar10.py), a folder, an '
      '.npz or an .npy of real examples'
    )
  if _DATA_DIR.value:
    spec = {**spec, 'data_dir': _DATA_DIR.value}
  spec = data_lib.source_options(spec)
  sides = (data_lib.make_source(spec, split) for split in ('train', 'test'))
  facts = experiment.data_identity(spec)
  return reference_data.train_test_references(*sides, facts), facts


def scored_samples(count: int | None, devices):
  """The examples to score: source, facts for the record, the run's settings."""
  from gan_jax.evaluation import features, results
  from gan_jax.experiment import run_dir

  if _WORKDIR.value and _SAMPLES.value:
    raise ValueError('give one of --workdir (a run) and --samples (files)')
  if not _WORKDIR.value and not _SAMPLES.value:
    if not _DATA.value:
      raise ValueError(
        'give --workdir (a run) or --samples (files); or --data alone, for '
        'the baseline of the scores'
      )
    return None, {'samples': 'none'}, None
  if _SAMPLES.value:
    source = opened_samples(_SAMPLES.value)
    facts = {'samples': _SAMPLES.value, 'count': len(source)}
    return source, facts | {'digest': features.source_digest(source)[:16]}, None
  sampler = run_dir.load_sampler(
    _WORKDIR.value,
    weights=_WEIGHTS.value,
    which=_CHECKPOINT.value,
    member=_MEMBER.value,
  )
  count = count or sampler.config.eval['num_samples']
  source = sampler.source(
    results.num_samples_needed(count), seed=_SEED.value, devices=devices
  )
  facts = {
    'workdir': _WORKDIR.value,
    'step': sampler.step,
    'weights': _WEIGHTS.value,
    'seed': _SEED.value,
  }
  if _MEMBER.value is not None:
    facts['member'] = _MEMBER.value
  return source, facts, sampler.config


def own_features(text: str):
  """An extractor from FILE.py:FUNCTION; None for other text."""
  from gan_jax.evaluation import feature_extractors

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
  own = feature_extractors.from_function(names[function], text)
  content = pathlib.Path(path).read_bytes()
  return own._replace(sha256=hashlib.sha256(content).hexdigest())


def record_path(facts: dict, names: tuple[str, ...]) -> pathlib.Path:
  """Where the record goes; refused now rather than when all is computed."""
  named = '-'.join(names)
  if _OUT.value:
    path = pathlib.Path(_OUT.value)
  elif 'step' in facts:
    member = f'member{facts["member"]}-' if 'member' in facts else ''
    of = f'{facts["step"]:08d}-{member}{facts["weights"]}'
    path = pathlib.Path(_WORKDIR.value) / f'evaluation-{of}-{named}.json'
  else:
    path = pathlib.Path(_SAMPLES.value or 'baseline').resolve()
    path = path.with_name(f'{path.name}.evaluation-{named}.json')
  writable = path.parent.is_dir() and os.access(path.parent, os.W_OK)
  if path.is_dir() or not writable:
    raise ValueError(
      f'the record cannot be written to {path}: name another file by --out'
    )
  return path


def main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.ERROR)
  from gan_jax import distributed
  from gan_jax.distributed import devices as devices_lib

  distributed.configure_jax()
  from gan_jax import evaluation
  from gan_jax.distributed import shutdown
  from gan_jax.evaluation import feature_cache, results
  from gan_jax.io import files
  from gan_jax.runner import console

  report = console.ConsoleReporter()
  start = time.perf_counter()
  with shutdown.exit_on_user_error('evaluate.py', *shutdown.USER_ERRORS):
    devices = devices_lib.local_devices(_NUM_DEVICES.value)
    source, facts, config = scored_samples(_NUM_SAMPLES.value, devices)
    chosen = options(dict(config.eval) if config else {})
    if 'count' in facts and _NUM_SAMPLES.value is None:
      chosen['num_samples'] = facts['count']
    real, data = real_data(dict(config.data) if config else None)
    with report.tracks() as track:
      evaluator = evaluation.make_evaluator(
        real,
        chosen,
        extractor=own_features(chosen['features']),
        seed=config.seed if config else 0,
        devices=devices,
        store=feature_cache.default_feature_cache(),
        track=track,
      )
      path = record_path(facts, evaluator.names)
      report.evaluation(facts, data, evaluator)
      rows = evaluator(source) if source is not None else evaluator.baselines()
    report.scores(rows, evaluator.notes)
    seconds = time.perf_counter() - start
    record = results.evaluation_record(
      rows,
      evaluator,
      devices,
      samples=facts,
      data=data,
      options=chosen | {'value_range': value_range()},
      seconds=seconds,
    )
    files.write_json(path, record)
  report.recorded(path, seconds)


if __name__ == '__main__':
  # Raised as an exception, a Ctrl-C may be lost in a callback of JAX.
  signal.signal(signal.SIGINT, signal.SIG_DFL)
  app.run(main)
