"""Programs: training, evaluation and what they print."""
