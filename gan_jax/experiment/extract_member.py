"""Makes an ordinary run of one member of an ensemble.

  python -m gan_jax.experiment.extract_member runs/sweep 5 runs/member5

is the program of gan_jax/commands/extract.py, as is `gan-jax extract`.
"""

import pathlib
import runpy

from gan_jax import config as config_lib
from gan_jax.experiment import run_dir
from gan_jax.io import checkpoint, files


def extract_member(
  workdir: str | pathlib.Path, member: int, out: str | pathlib.Path
) -> int:
  """Writes a member of an ensemble as a run.

  Args:
    workdir: directory of the ensemble.
    member: index of the member.
    out: directory of the new run; must be missing or empty.

  Returns:
    Number of train steps of the checkpoint; fewer than the ensemble's if the
    member diverged.

  Raises:
    FileNotFoundError: if there is no ensemble, or no checkpoint of it.
    FileExistsError: if `out` is not empty.
    ValueError: if there is no such member.
  """
  workdir = files.resolve_path(workdir, 'workdir')
  out = files.resolve_path(out, 'out')
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise FileExistsError(f'{out} exists already: name a new directory')
  _, config, _, state = run_dir.restore(workdir, member=member)
  metadata = run_dir.read_config(workdir)
  step = int(state.step)
  out.mkdir(parents=True, exist_ok=True)
  metadata = metadata | {'config': config_lib.to_dict(config)}
  directory = out / run_dir.CHECKPOINTS
  with checkpoint.RunCheckpointer(
    directory, keep=1, metadata=metadata
  ) as saved:
    saved.save(step, state)
  files.write_json(out / run_dir.CONFIG_FILE, metadata)
  return step


if __name__ == '__main__':
  runpy.run_module('gan_jax.commands.extract', run_name='__main__')
