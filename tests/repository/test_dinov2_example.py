"""Tests of examples/dinov2_features.py."""

import hashlib

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from examples import dinov2_features
from tests.helpers import dinov2

# Of Dinov2Model of transformers 5.24 with torch 2.13 for these weights and
# images, the position embeddings resized from 3 x 3 to 5 x 5.
EXPECTED = [
  [-1.543973, 0.251067, -1.955850, 1.787096, -2.428200],
  [-1.064669, 0.018317, -2.970022, -0.119766, -2.623903],
]


@pytest.fixture(autouse=True)
def rank_promotion():
  """An example need not be as strict as the library is in tests."""
  with jax.numpy_rank_promotion('allow'):
    yield


def test_the_network_is_that_of_transformers():
  params = dinov2_features.convert(dinov2.tensors())
  found = jax.jit(dinov2_features.encode)(params, dinov2.images())
  assert found.shape == (2, dinov2.DIM)
  np.testing.assert_allclose(found[:, :5], EXPECTED, atol=2e-5)


def test_the_network_is_that_of_transformers_here(tmp_path):
  """The same with what is installed."""
  torch = pytest.importorskip(
    'torch', reason='pip install torch transformers compares with them'
  )
  transformers = pytest.importorskip(
    'transformers', reason='pip install transformers compares with it'
  )
  config = transformers.Dinov2Config(
    hidden_size=dinov2.DIM,
    num_hidden_layers=dinov2.LAYERS,
    num_attention_heads=dinov2.DIM // dinov2_features.HEAD_DIM,
    image_size=14 * dinov2.PATCHES,
    patch_size=14,
  )
  config.save_pretrained(tmp_path)
  path = tmp_path / 'model.safetensors'
  safetensors_numpy.save_file(dinov2.tensors(), path, {'format': 'pt'})
  network = transformers.Dinov2Model.from_pretrained(tmp_path).eval()
  images = torch.tensor(dinov2.images()).permute(0, 3, 1, 2)
  with torch.no_grad():
    expected = network(images).pooler_output.numpy()
  params = dinov2_features.convert(dinov2.tensors())
  found = dinov2_features.encode(params, dinov2.images())
  np.testing.assert_allclose(found, expected, atol=2e-5)


def test_bicubic_interpolation():
  same = dinov2_features.bicubic(5, 5)
  np.testing.assert_allclose(same, np.eye(5), atol=1e-6)
  larger = dinov2_features.bicubic(4, 7)
  np.testing.assert_allclose(larger.sum(axis=1), 1, atol=1e-6)


def test_the_extractor(tmp_path, monkeypatch):
  monkeypatch.delenv('DINOV2_WEIGHTS', raising=False)
  with pytest.raises(ValueError, match='DINOV2_WEIGHTS must name'):
    dinov2_features.dinov2()
  path = tmp_path / 'model.safetensors'
  safetensors_numpy.save_file(dinov2.tensors(), path)
  monkeypatch.setenv('DINOV2_WEIGHTS', str(path))
  monkeypatch.setattr(dinov2_features, 'SIDE', 28)
  extractor = dinov2_features.dinov2()
  assert extractor.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
  gray = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 1), np.uint8)
  apply = jax.jit(extractor.apply)
  found = apply(extractor.params, gray)
  assert found.shape == (2, dinov2.DIM) and np.isfinite(found).all()
  color = np.repeat(gray, 3, axis=3)
  np.testing.assert_allclose(found, apply(extractor.params, color), atol=1e-5)
  assert (found[0] != found[1]).any()


def test_the_giant_is_refused():
  tensors = dinov2.tensors() | {
    'encoder.layer.0.mlp.weights_in.bias': np.ones(2)
  }
  with pytest.raises(ValueError, match='DINOv2-giant'):
    dinov2_features.convert(tensors)
