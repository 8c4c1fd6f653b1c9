"""Samples from a run: pictures, files, films, and what it has learned.

  python sample.py --workdir=runs/digits                     a grid
  python sample.py --workdir=runs/digits --what=files --num_samples=1000 --out=DIR
  python sample.py --workdir=runs/digits --what=npz --indices=0-63,100
  python sample.py --workdir=runs/sngan --class=3 --what=zip --num_samples=5000
  python sample.py --workdir=runs/digits --what=walk --out=walk.webp
  python sample.py --workdir=runs/sngan --what=walk --indices=0 --class=0-9
  python sample.py --workdir=runs/stylegan2 --what=mix --psi=0.7
  python sample.py --workdir=runs/digits --what=neighbors
  python sample.py --workdir=runs/digits --what=project --images=PICTURE.png
  python sample.py --workdir=runs/digits --what=directions --indices=7
  python sample.py --workdir=runs/digits --what=film         of its training
  python sample.py --workdir=runs/digits --what=files --again=GRID.png --tile=3,7

Sample i of a seed is the same whenever, wherever and with how many others it is
drawn. Seed, index, class, step, psi and a hash of the weights are in the text
chunk of every PNG, and in a JSON beside other files of samples. docs/sampling.md
has more.
"""

import sys
from typing import NoReturn

from absl import flags, logging

from gan_jax.io import terminal
from gan_jax.runner import cli

_CHOICES = (
  *('grid', 'files', 'npz', 'zip', 'wav', 'walk', 'mix', 'neighbors'),
  *('project', 'directions', 'film'),
)
# Flags that are fields of runner.sample.Request; --class is `classes`.
_REQUEST = (
  'workdir what out overwrite num_samples indices seed checkpoint weights '
  'member psi truncate_z num_devices batch_size columns npz_key interpolation points '
  'frames fps rows cols styles features nearest images resize space starts '
  'steps lpips num_directions distance again tile'
).split()
# Flags that only some kinds have.
_OF_KINDS = {
  ('grid',): 'columns',
  ('npz',): 'npz_key',
  ('walk',): 'interpolation frames points',
  ('walk', 'film'): 'fps',
  ('mix',): 'rows cols styles',
  ('neighbors',): 'features nearest',
  ('project',): 'images resize space starts steps lpips',
  ('directions',): 'num_directions distance',
}


def define_flags() -> None:
  """Defines the flags of the program."""
  _define_source_flags()
  _define_sample_flags()
  _define_kind_flags()


def _define_source_flags() -> None:
  flags.DEFINE_string(
    'workdir', '', 'Directory of a run, an exported folder, or its weights.'
  )
  flags.DEFINE_enum('what', 'grid', _CHOICES, 'What to make of the samples.')
  flags.DEFINE_string(
    'out', '', 'File or directory to write; default: in WORKDIR/generated.'
  )
  flags.DEFINE_bool('overwrite', False, 'Whether to replace what is there.')
  flags.DEFINE_string(
    'checkpoint', 'latest', "Checkpoint of the run: 'latest', 'best' or a step."
  )
  flags.DEFINE_enum(
    'weights', 'ema', ['ema', 'raw'], 'EMA weights of the run, or the raw ones.'
  )
  flags.DEFINE_integer('member', None, 'Member of an ensemble.')
  flags.DEFINE_integer('num_devices', 0, 'Number of devices; 0 for all.')
  flags.DEFINE_integer(
    'batch_size', 64, 'Samples per batch, on all devices together.'
  )


def _define_sample_flags() -> None:
  flags.DEFINE_integer(
    'num_samples', None, "Number of samples; default: as in the run's pictures."
  )
  flags.DEFINE_string('indices', '', 'Which samples, such as 0-63,100.')
  flags.DEFINE_integer('seed', 0, "Seed; that of the run's pictures is 0.")
  flags.DEFINE_list(
    'class',
    [],
    'Classes by name or number, such as 3 or 0-9 or cat,dog: the samples are of '
    'these in turn. Default: as frequent as in the data; a row each in a grid.',
  )
  flags.DEFINE_string(
    'again', '', 'PNG of this program or of a run, to make its samples again.'
  )
  flags.DEFINE_string('tile', '', 'ROW,COLUMN, from 0,0, of a tile of --again.')
  flags.DEFINE_list(
    'psi',
    [],
    'Truncation of the styles of StyleGAN2, from 0 (all samples are the mean: '
    'one picture) to 1 (none); one number, or one for each layer.',
  )
  flags.DEFINE_float(
    'truncate_z',
    None,
    'Threshold of truncated normal latents, such as 0.5 (BigGAN); latents '
    'beyond it are drawn again, and batch norm is adapted to them.',
  )


def _define_kind_flags() -> None:
  flags.DEFINE_integer('columns', 0, 'grid: pictures per row; 0: as a square.')
  flags.DEFINE_string(
    'npz_key', 'x', 'npz: name of the array; ADM reads arr_0.'
  )
  flags.DEFINE_enum(
    'interpolation',
    '',
    ['', 'slerp', 'lerp', 'w'],
    'walk: on arcs, on lines, or between styles; default: the best.',
  )
  flags.DEFINE_string(
    'points', '', 'walk: npz of a projection, in place of samples.'
  )
  flags.DEFINE_integer('frames', 24, 'walk: frames from a sample to the next.')
  flags.DEFINE_float('fps', 25, 'walk, film: frames per second.')
  flags.DEFINE_string('rows', '0-3', 'mix: samples of the rows.')
  flags.DEFINE_string('cols', '4-9', 'mix: samples of the columns.')
  flags.DEFINE_string(
    'styles', '', 'mix: layers of the columns, such as 0-3; default: a third.'
  )
  flags.DEFINE_enum(
    'features',
    'pixels',
    ['pixels', 'run'],
    "neighbors: distance of pixels, or of the features of the run's scores.",
  )
  flags.DEFINE_integer('nearest', 7, 'neighbors: how many of each sample.')
  flags.DEFINE_string(
    'images', '', 'project: a picture, a folder or an npz; default: held out.'
  )
  flags.DEFINE_bool('resize', False, 'project: crop and resize the pictures.')
  flags.DEFINE_enum(
    'space',
    '',
    ['', 'z', 'w', 'w+'],
    'project: latents, styles, or a style for each layer; default: w, or z.',
  )
  flags.DEFINE_integer('starts', 2048, 'project: drawn starts.')
  flags.DEFINE_integer('steps', 300, 'project: steps of Adam.')
  flags.DEFINE_string(
    'lpips', '', 'project: weights of LPIPS; default: compare pixels.'
  )
  flags.DEFINE_integer('num_directions', 6, 'directions: how many.')
  flags.DEFINE_float('distance', 6, 'directions: how far to both sides.')


def _refuse_flags_of_other_kinds() -> None:
  given, what = flags.FLAGS, flags.FLAGS.what
  for kinds, names in _OF_KINDS.items():
    for name in names.split():
      if given[name].present and what not in kinds:
        sys.exit(
          f'{terminal.program_name("sample.py")}: {name} is an option of '
          f'--what={" and ".join(kinds)}; must not be given with --what={what}'
        )


def _main(_):
  if not flags.FLAGS['verbosity'].present:
    logging.set_verbosity(logging.ERROR)
  _refuse_flags_of_other_kinds()
  # Imported here, so that --help and errors in flags come at once.
  from gan_jax import distributed
  from gan_jax.distributed import shutdown

  distributed.configure_jax(limit_malloc=True)
  from gan_jax.runner import sample

  values = {name: flags.FLAGS[name].value for name in _REQUEST}
  with shutdown.exit_on_user_error('sample.py', *shutdown.USER_ERRORS):
    classes = flags.FLAGS['class'].value
    sample.sample(sample.Request(**values, classes=classes))


def run() -> NoReturn:
  """Runs the program with the arguments of this process."""
  define_flags()
  cli.run(_main, __name__)
