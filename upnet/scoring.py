"""A network scored on whole data sets, beside bicubic."""

from collections.abc import Callable, Iterable, Mapping

from torch import Tensor
from tqdm import tqdm

from upnet.data import Store
from upnet.data.loading import Pictures
from upnet.metrics import Protocol, bicubic
from upnet.models import EncoderDecoder
from upnet.models.enlarge import enlarge
from upnet.results import Tally

Look = Callable[[str, str, Tensor], None]
"""Called with the data set's name, the picture's name and the output, (3, H, W) about [0, 1]."""


def score_sets(
    net: EncoderDecoder, sets: Mapping[str, Store], protocol: Protocol, look: Look | None = None
) -> Iterable[Tally]:
    """A Tally per set. Training scores by the same functions, so that the same weights get the same numbers."""
    device = next(net.parameters()).device
    for dataset, store in sets.items():
        tally = Tally(dataset, store.digest)
        pictures = Pictures(store)
        bar = tqdm(range(len(pictures)), desc=dataset, unit="picture", leave=False, disable=None)
        for item in (pictures[index] for index in bar):
            lr, hr = item["lr"].to(device), item["hr"].to(device)
            output = enlarge(net, lr / 255)
            baseline = protocol.score(bicubic(lr, net.scale), hr, net.scale)
            tally.add(item["name"], protocol.score(output, hr, net.scale), baseline)
            if look is not None:
                look(dataset, item["name"], output)
        yield tally
