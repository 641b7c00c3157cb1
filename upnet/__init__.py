"""upnet: train image super-resolution networks with any upsampling operator in any place."""

__version__ = "0.1.0"
