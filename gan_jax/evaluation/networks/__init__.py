"""Networks whose features or logits are scored."""
