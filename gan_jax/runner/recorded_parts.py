"""Own networks of a run, from the config file that the run recorded."""

import os

from gan_jax import config as config_lib
from gan_jax.data import custom
from gan_jax.experiment import own_parts, run_dir
from gan_jax.io import files
from gan_jax.runner import config_file


def recorded_parts(workdir: str | os.PathLike) -> own_parts.OwnParts:
  """Returns what `get_parts` of a run's config file returns.

  Args:
    workdir: directory of the run.

  Returns:
    The parts; none if the run recorded no config file with get_parts.

  Raises:
    FileNotFoundError: if the directory holds no run, or the file is gone.
    ValueError: if the file, or that of the run's data, lies in the run's
      directory, or it does not load.
  """
  workdir = files.resolve_path(workdir, 'workdir')
  metadata = run_dir.read_config(workdir)
  data = metadata['config'].get('data')
  if isinstance(data, dict) and data.get('name') == 'custom':
    function = data.get('custom', {}).get('function', '')
    custom.check_outside(str(function), workdir)
  path = metadata.get('config_file', '')
  if not isinstance(path, str) or not path:
    return own_parts.OwnParts()
  # The directory may come from someone else, and a config file is a program.
  file = config_file.split_path(path)[0].resolve()
  if file.is_relative_to(workdir.resolve()):
    raise ValueError(
      f'{workdir} names {file} as its config file: a file in the directory of '
      'a run is not executed; move it elsewhere, or pass generator= and '
      'discriminator= to gan_jax.load'
    )
  config = config_lib.resolve(metadata['config'])
  parts = own_parts.make_own_parts(**config_file.load_parts(path, config))
  return parts._replace(config_file=path)
