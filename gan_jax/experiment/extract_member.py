"""Makes an ordinary run of one member of an ensemble.

  python -m gan_jax.experiment.extract_member runs/sweep 5 runs/member5

The new run has the member's settings and its last checkpoint, so that it can
be scored, sampled, and continued like any other.
"""

import argparse
import logging
import pathlib
import signal
import sys

from gan_jax import config as config_lib
from gan_jax.experiment import compatibility, run_dir
from gan_jax.io import checkpoint, files


def extract(
  workdir: str | pathlib.Path, member: int, out: str | pathlib.Path
) -> int:
  """Writes a member of an ensemble as a run.

  Args:
    workdir: of the ensemble.
    member: its number.
    out: directory of the new run, which must not hold one.

  Returns:
    Train steps of the checkpoint; fewer than the ensemble's where the member
    diverged.

  Raises:
    FileNotFoundError: where there is no ensemble, or no checkpoint of it.
    FileExistsError: where `out` holds anything.
    ValueError: for a member that is not there.
  """
  out = pathlib.Path(out)
  if out.exists() and (not out.is_dir() or any(out.iterdir())):
    raise FileExistsError(f'{out} is there already: name a new directory')
  _, config, _, state = run_dir.restore(workdir, member=member)
  metadata = run_dir.read_config(workdir)
  step = int(state.step)
  out.mkdir(parents=True, exist_ok=True)
  kept = config_lib.to_dict(config)
  metadata = metadata | {'config': kept}
  directory = out / run_dir.CHECKPOINTS
  with checkpoint.RunCheckpointer(
    directory, keep=1, metadata=metadata
  ) as saved:
    saved.save(step, state)
  files.write_json(out / run_dir.CONFIG_FILE, metadata)
  return step


def main() -> None:
  """Reads the command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('workdir', help='of the ensemble')
  parser.add_argument('member', type=int, help='its number, from 0')
  parser.add_argument('out', help='directory of the new run')
  options = parser.parse_args()
  signal.signal(signal.SIGINT, signal.SIG_DFL)  # else JAX may lose it
  logging.getLogger('absl').setLevel(logging.ERROR)  # orbax tells of all
  try:
    step = extract(options.workdir, options.member, options.out)
  except (ValueError, OSError) as error:
    sys.exit(f'extract: {error}')
  told = f'{options.out}: member {options.member} at step {step}'
  reached = run_dir.latest_step(options.workdir)
  if step < reached:
    told += f', after which it diverged (the others are at {reached})'
  print(told)
  before = config_lib.resolve(run_dir.read_config(options.workdir)['config'])
  after = config_lib.resolve(run_dir.read_config(options.out)['config'])
  changed = compatibility.incompatible_fields(
    config_lib.to_dict(before), config_lib.to_dict(after)
  )
  given = ' '.join(
    f'--config.{leaf}={new}'
    for leaf, (_, new) in changed.items()
    if not leaf.startswith('ensemble.')
  )
  print(
    'to go on: the command of the ensemble without --config.ensemble, and with '
    f'{given} --workdir={options.out}'
  )


if __name__ == '__main__':
  main()
