"""Value, error and floor of every score, on fixed examples."""

import numpy as np
import pytest

from tests.helpers import api

SIZE, COUNT = 60, 20
METRICS = api.names('metric')


def examples(seed, shift):
  """(points in three classes, classes)."""
  rng = np.random.default_rng(seed)
  label = np.arange(SIZE) % 3
  x = rng.normal(size=(SIZE, 3)) + 2 * np.eye(3)[label] + shift
  return x.astype(np.float32), label


@pytest.mark.parametrize('metric', METRICS)
def test_score_and_floor(golden, metric):
  train, test, fake = examples(0, 0.0), examples(1, 0.0), examples(2, 0.5)
  # A score that wants all examples of a class has them.
  count = SIZE if metric in ('intra_fd', 'cas') else COUNT
  found = api.scores(metric, train, test, fake, count)
  golden('scores').numbers(metric, found, rtol=1e-4)


def test_no_record_is_left_over(golden):
  golden('scores').names(METRICS)
