"""Networks whose features or logits the metrics compare."""
