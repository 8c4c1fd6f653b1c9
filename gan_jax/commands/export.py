"""Exports the generator of a run, to be used without gan_jax.

  python export.py --workdir=runs/digits --to=folder
  python export.py --workdir=runs/digits --to=stablehlo --out=digits.stablehlo
  python export.py --workdir=runs/digits --to=onnx --out=digits.onnx
  python export.py --workdir=runs/digits --to=page --out=digits.html

folder: weights, config and model card, as the Hugging Face hub has them;
gan_jax.load(FOLDER) draws the same samples. stablehlo: a program for jax.export
on CPU, GPU and TPU. onnx: for onnxruntime and others; jax2onnx runs in an
environment that python -m gan_jax.runner.onnx_environment makes. page: one HTML
file that runs the generator in a browser. docs/export.md has examples of each,
and the table for PyTorch.
"""

from typing import NoReturn

from absl import flags, logging

from gan_jax.runner import cli

# Flags that are fields of runner.export.Request.
_REQUEST = (
  'workdir to out checkpoint member weights noise_seed float16 '
  'separate_weights title overwrite'
).split()


def define_flags() -> None:
  """Defines the flags of the program."""
  flags.DEFINE_string(
    'workdir',
    '',
    'Directory of the run; or an exported folder, or converted weights.',
  )
  flags.DEFINE_enum(
    'to', 'folder', ['folder', 'stablehlo', 'onnx', 'page'], 'Format.'
  )
  flags.DEFINE_string(
    'out',
    '',
    'Path to write: a directory for folder, else a file (.stablehlo, .onnx, '
    '.html); default: the name of the run, in the current directory.',
  )
  flags.DEFINE_string(
    'checkpoint', 'latest', "Checkpoint of the run: 'latest', 'best' or a step."
  )
  flags.DEFINE_integer('member', None, 'Member of an ensemble to export.')
  flags.DEFINE_enum(
    'weights', 'ema', ['ema', 'raw'], 'EMA weights of the run, or the raw ones.'
  )
  flags.DEFINE_integer(
    'noise_seed',
    None,
    'Seed of a fixed noise, for StyleGAN2 and FastGAN; default: no noise.',
  )
  flags.DEFINE_bool('float16', False, 'Weights of a page in float16.')
  flags.DEFINE_bool(
    'separate_weights',
    False,
    'StableHLO that takes the weights as its first argument.',
  )
  flags.DEFINE_string(
    'title', '', 'Title of a page or model card; default: the name of the run.'
  )
  flags.DEFINE_bool('overwrite', False, 'Whether to replace what is there.')


def _main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.ERROR)
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax import distributed
  from gan_jax.distributed import shutdown

  distributed.configure_jax(limit_malloc=True)
  from gan_jax.runner import export

  request = export.Request(**{n: flags.FLAGS[n].value for n in _REQUEST})
  with shutdown.exit_on_user_error('export.py', *shutdown.USER_ERRORS):
    export.export(request)


def run() -> NoReturn:
  """Runs the program with the arguments of this process."""
  define_flags()
  cli.run(_main, __name__)
