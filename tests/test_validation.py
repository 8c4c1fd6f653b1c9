"""Tests of validation.warn."""

import warnings

from gan_jax import config


def test_warnings_point_to_the_caller_of_the_library():
  mapping = {
    'data': {'name': 'ring'},
    'generator': {'name': 'mlp'},
    'discriminator': {'name': 'mlp', 'mlp': {'norm': 'batch'}},
    'penalties': {'r1': {'weight': 0.1}},
  }
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always')
    resolved = config.resolve(mapping)
    config.with_values(resolved, {'seed': 1})
  assert [w.filename for w in caught] == [__file__, __file__]
  assert 'penalty r1' in str(caught[0].message)
