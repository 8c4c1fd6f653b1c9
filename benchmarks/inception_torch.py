"""torch-fidelity's Inception for inception.py, in a process of its own."""

import json
import sys
import time

import numpy as np
import torch
from torch_fidelity.feature_extractor_inceptionv3 import (
  FeatureExtractorInceptionV3,
)


def main() -> None:
  """Answers requests until standard input ends."""
  path, images = sys.argv[1:]
  pixels = np.load(images).transpose(0, 3, 1, 2).copy()
  extractor = FeatureExtractorInceptionV3(
    'inception-v3-compat', ['2048'], feature_extractor_weights_path=path
  )
  about = {'version': torch.__version__, 'threads': torch.get_num_threads()}
  print(json.dumps(about), flush=True)
  for line in sys.stdin:
    request = json.loads(line)
    layout = getattr(torch, request['layout'])
    extractor.to(memory_format=layout)
    batch = torch.from_numpy(pixels).contiguous(memory_format=layout)
    wall, cpu = time.perf_counter(), time.process_time()
    with torch.no_grad():
      (features,) = extractor(batch)
    spent = {
      'wall': time.perf_counter() - wall,
      'cpu': time.process_time() - cpu,
    }
    np.save(request['out'], features.numpy())
    print(json.dumps(spent), flush=True)


if __name__ == '__main__':
  main()
