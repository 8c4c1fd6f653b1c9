"""The torch-fidelity side of inception.py, timed on request."""

import sys

import numpy as np
import torch
import turns
from torch_fidelity.feature_extractor_inceptionv3 import (
  FeatureExtractorInceptionV3,
)


def main() -> None:
  """Serves requests until standard input ends."""
  path, images = sys.argv[1:]
  pixels = np.load(images).transpose(0, 3, 1, 2).copy()
  extractor = FeatureExtractorInceptionV3(
    'inception-v3-compat', ['2048'], feature_extractor_weights_path=path
  )

  def work(layout: str, out: str) -> None:
    memory_format = getattr(torch, layout)
    extractor.to(memory_format=memory_format)
    batch = torch.from_numpy(pixels).contiguous(memory_format=memory_format)
    with torch.no_grad():
      (features,) = extractor(batch)
    np.save(out, features.numpy())

  turns.serve({'version': torch.__version__}, work)


if __name__ == '__main__':
  main()
