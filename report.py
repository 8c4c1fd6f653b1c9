"""Writes the page of runs: see gan_jax/commands/report.py, or --help."""

import pathlib
import sys

# Configs import from here, in any directory.
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from gan_jax.commands import report  # noqa: E402

if __name__ == '__main__':
  report.run()
