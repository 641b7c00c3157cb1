"""The network family: an encoder, a decoder and a tail."""

from upnet.models.encoder_decoder import EncoderDecoder
from upnet.models.tail import Tail

__all__ = ["EncoderDecoder", "Tail"]
