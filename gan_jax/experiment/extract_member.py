"""Makes an ordinary run of one member of an ensemble.

  python -m gan_jax.experiment.extract_member runs/sweep 5 runs/member5

The new run has the member's config and its last checkpoint, so that it can be
scored, sampled, and continued like any other run.
"""

import logging
import pathlib
import shlex
import signal
import sys

from gan_jax import config as config_lib
from gan_jax.experiment import compatibility, run_dir
from gan_jax.io import checkpoint, files, terminal


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


def main() -> None:
  """Runs the command line program."""
  parser = terminal.ArgumentParser(
    prog='python -m gan_jax.experiment.extract_member',
    description=__doc__.splitlines()[0],
  )
  parser.add_argument('workdir', help='directory of the ensemble')
  parser.add_argument('member', type=int, help='index of the member, from 0')
  parser.add_argument('out', help='directory of the new run')
  options = parser.parse_args()
  signal.signal(signal.SIGINT, signal.SIG_DFL)  # a callback of JAX may lose it
  logging.getLogger('absl').setLevel(
    logging.ERROR
  )  # orbax logs what it raises, too
  try:
    workdir = files.resolve_path(options.workdir, 'workdir')
    out = files.resolve_path(options.out, 'out')
    step = extract_member(workdir, options.member, out)
  except (ValueError, OSError) as error:
    sys.exit(f'{parser.prog}: {terminal.error_message(error)}')
  text = f'{files.printable(out)}: member {options.member} at step {step}'
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


if __name__ == '__main__':
  terminal.start_program('extract_member')
  main()
