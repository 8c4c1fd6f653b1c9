"""Prepares a dataset, once: see gan_jax/data/prepare.py, or --help."""

from gan_jax.io import terminal


def run() -> None:
  """Runs the program with the arguments of this process."""
  terminal.start_program('gan-jax prepare')
  from gan_jax.data import prepare

  prepare.main()
