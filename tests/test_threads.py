import pytest
import torch

from upnet.imresize import imresize
from upnet.metrics import ssim
from upnet.threads import one_thread


def fail_on_one_thread() -> None:
    with one_thread():
        raise RuntimeError(f"on {torch.get_num_threads()} thread")


def test_the_number_of_threads_is_restored_also_after_an_error() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(RuntimeError, match="on 1 thread"):
            fail_on_one_thread()
        imresize(torch.rand(20, 20), 2)
        ssim(torch.rand(1, 20, 20), torch.rand(1, 20, 20))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
