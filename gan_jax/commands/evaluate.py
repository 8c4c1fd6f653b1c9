"""Scores a run, or samples in files, beside the baseline of real data.

  python evaluate.py --workdir=runs/digits
  python evaluate.py --workdir=runs/cifar10 --metrics=fid,kid,prdc --num_samples=10000
  python evaluate.py --samples=DIR_OR_NPZ --data=cifar10 --metrics=fid
  python evaluate.py --samples=DIR --data=PHOTOGRAPHS --size=64 --metrics=fid
  python evaluate.py --data=cifar10 --metrics=fid      the baseline alone

--data=cifar10 is a config of the library, a .py file one of your own. Installed,
the program is `gan-jax evaluate`.
Prints a table and writes a JSON record of scores, errors, baselines, protocol,
counts and hashes. docs/scores.md lists what each score needs.
"""

from typing import NoReturn

from absl import flags, logging

from gan_jax.runner import cli

# Flags that name what is scored, see runner.evaluate.Request.
_REQUEST = (
  'workdir checkpoint member weights psi samples value_range follow_symlinks data '
  'size data_dir seed num_devices out'
).split()
# Flags that replace fields of `config.eval`, None for those of the run.
_EVAL = (
  'metrics features feature_weights protocol num_samples num_real '
  'reference_split'
).split()


def define_flags() -> None:
  """Defines the flags of the program."""
  flags.DEFINE_string('workdir', '', 'Directory of the run to score.')
  flags.DEFINE_string(
    'checkpoint', 'latest', "Checkpoint of the run: 'latest', 'best' or a step."
  )
  flags.DEFINE_integer('member', None, 'Member of an ensemble to score.')
  flags.DEFINE_enum(
    'weights', 'ema', ['ema', 'raw'], 'EMA weights of the run, or the raw ones.'
  )
  flags.DEFINE_float('psi', None, 'Truncation of styles, from 0 to 1 (none).')
  flags.DEFINE_string('samples', '', 'Folder of images, .npz or .npy to score.')
  flags.DEFINE_list(
    'value_range', ['-1', '1'], 'Range of float images in --samples and --data.'
  )
  flags.DEFINE_bool(
    'follow_symlinks',
    False,
    'Whether links may lead out of a folder of images.',
  )
  flags.DEFINE_string(
    'data', '', "Config, folder, .npz or .npy of real data; default: the run's."
  )
  flags.DEFINE_integer(
    'size',
    0,
    'Side to which images of a folder in --data are resized; 0: none.',
  )
  flags.DEFINE_string('data_dir', '', 'Directory in which TFDS keeps datasets.')
  flags.DEFINE_integer('seed', 1, 'Seed of the samples.')
  flags.DEFINE_integer('num_devices', 0, 'Number of devices; 0 for all.')
  flags.DEFINE_string(
    'out',
    '',
    'The JSON record; default: in the workdir, or beside the samples.',
  )
  flags.DEFINE_string(
    'metrics', None, 'Names with commas, such as fid,kid,prdc.'
  )
  flags.DEFINE_string(
    'features', None, "'inception', 'pixels', 'mnist', or FILE.py:FUNCTION."
  )
  flags.DEFINE_string(
    'feature_weights', None, 'File of the weights; default: downloaded once.'
  )
  flags.DEFINE_string(
    'protocol',
    None,
    "Preprocessing for Inception: 'legacy_tensorflow' (as torch-fidelity), "
    "'legacy_pytorch' (as pytorch-fid), 'clean' (as clean-fid).",
  )
  flags.DEFINE_integer('num_samples', None, 'Samples to score; default: 1,000.')
  flags.DEFINE_integer('num_real', None, 'Real examples; default: all.')
  flags.DEFINE_string(
    'reference_split', None, "Split to compare with, 'train' or 'test'."
  )


def _main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.ERROR)
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax import distributed
  from gan_jax.distributed import shutdown

  distributed.configure_jax(limit_malloc=True)
  from gan_jax.runner import evaluate

  values = {name: flags.FLAGS[name].value for name in (*_REQUEST, *_EVAL)}
  overrides = {n: values[n] for n in _EVAL if values[n] is not None}
  request = evaluate.Request(**{n: values[n] for n in _REQUEST}, eval=overrides)
  with shutdown.exit_on_user_error('evaluate.py', *shutdown.USER_ERRORS):
    evaluate.evaluate(request)


def run() -> NoReturn:
  """Runs the program with the arguments of this process."""
  define_flags()
  cli.run(_main, __name__)
