"""Packages the configs, which are outside gan_jax in a clone.

Everything else about the package is in pyproject.toml.
"""

import setuptools

setuptools.setup(
  packages=[
    *setuptools.find_packages(include=['gan_jax', 'gan_jax.*']),
    'gan_jax.configs',
  ],
  package_dir={'gan_jax.configs': 'configs'},
)
