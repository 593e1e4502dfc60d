"""Looking inside a shipped bundle: what its discriminator has learned, and which maps of its generator draw what."""
