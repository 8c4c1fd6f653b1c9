"""Makes a run of a member of an ensemble, and prints how to continue it."""

import shlex

from gan_jax import config as config_lib
from gan_jax.experiment import compatibility, extract_member, run_dir
from gan_jax.io import files


def extract(workdir: str, member: int, out: str) -> None:
  """Writes a member of an ensemble as a run, and prints where it is.

  Args:
    workdir: directory of the ensemble.
    member: index of the member.
    out: directory of the new run; must be missing or empty.

  Raises:
    OSError: as extract_member.extract_member.
    ValueError: likewise.
  """
  workdir = files.resolve_path(workdir, 'workdir')
  out = files.resolve_path(out, 'out')
  step = extract_member.extract_member(workdir, member, out)
  text = f'{files.printable(out)}: member {member} at step {step}'
  reached = run_dir.latest_step(workdir)
  if step < reached:
    text += f', after which it diverged (the others are at {reached})'
  print(text)
  before = config_lib.resolve(run_dir.read_config(workdir)['config'])
  after = config_lib.resolve(run_dir.read_config(out)['config'])
  changed = compatibility.incompatible_fields(
    config_lib.to_dict(before), config_lib.to_dict(after)
  )
  overrides = ' '.join(
    f'--config.{field}={shlex.quote(str(new))}'
    for field, (_, new) in changed.items()
    if not field.startswith('ensemble.')
  )
  print(
    'to continue it: the command of the ensemble without --config.ensemble, '
    f'with {overrides} --workdir={shlex.quote(str(out))}'
  )
