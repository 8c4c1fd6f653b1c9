"""Makes an ordinary run of one member of an ensemble.

  gan-jax extract runs/sweep 5 runs/member5

The new run has the member's config and its last checkpoint, so that it can be
scored, sampled, and continued like any other run.
"""

import argparse
import logging
import signal

from gan_jax.io import terminal


def run() -> None:
  """Runs the program with the arguments of this process."""
  terminal.start_program('extract')
  parser = terminal.ArgumentParser(
    prog='python -m gan_jax.experiment.extract_member',
    description=__doc__,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('workdir', help='directory of the ensemble')
  parser.add_argument('member', type=int, help='index of the member, from 0')
  parser.add_argument('out', help='directory of the new run')
  options = parser.parse_args()
  # Imported here, so that --help and errors in arguments come at once.
  from gan_jax.distributed import shutdown
  from gan_jax.runner import extract

  signal.signal(signal.SIGINT, signal.SIG_DFL)  # a callback of JAX may lose it
  # orbax logs what it raises, too
  logging.getLogger('absl').setLevel(logging.ERROR)
  with shutdown.exit_on_user_error(parser.prog, ValueError, OSError):
    extract.extract(options.workdir, options.member, options.out)


if __name__ == '__main__':
  run()
