"""Runs with a checkpoint of their first state, for programs that read runs."""

import dataclasses

import jax.numpy as jnp

from gan_jax import experiment
from gan_jax.experiment import run_dir
from gan_jax.io import files

# Small networks, which compile in a second.
MLP = {
  'data': {'name': 'digits', 'digits': {'size': 8}},
  'generator': {'name': 'mlp', 'mlp': {'features': (8,)}},
  'discriminator': {'name': 'mlp', 'mlp': {'features': (8,)}},
  'latent_dim': 6,
  'batch_size': 8,
  'num_steps': 3,
  'num_samples': 20,
  'eval': {'metrics': 'nn'},
}
CLASSES = MLP | {'conditional': True}
STYLES = MLP | {
  'generator': {
    'name': 'stylegan2',
    'stylegan2': {'channel_base': 32, 'style_dim': 8, 'mapping_layers': 1},
  },
}
TONES = MLP | {
  'data': {'name': 'tones', 'tones': {'length': 512}},
  'conditional': True,
}


def save_run(path, config, step=3):
  """Writes the files of a run that has been initialized and not trained."""
  built = experiment.build(config)
  state = dataclasses.replace(
    built.init_state(), step=jnp.asarray(step, jnp.int32)
  )
  path.mkdir(parents=True, exist_ok=True)
  files.write_json(path / run_dir.CONFIG_FILE, run_dir.run_metadata(built))
  with run_dir.open_checkpoints(built, path) as checkpoints:
    checkpoints.save(step, state)
  return path
