"""Architectures; each file defines a Flax `Generator` and `Discriminator`."""
