import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from upnet.evaluation.figures import mark_crop


def test_box_of_a_crop_of_the_full_image_has_four_edges() -> None:
    figure = Figure(figsize=(1, 1), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.1, 0.1, 0.8, 0.8))
    axes.imshow(np.zeros((8, 8, 3), np.uint8))
    axes.set_axis_off()
    mark_crop(axes, corner=(0, 0), side=8)
    canvas.draw()
    red, green, blue = np.moveaxis(np.asarray(canvas.buffer_rgba())[..., :3].astype(int), -1, 0)
    yellow = (red > 150) & (green > 120) & (blue < 100)
    middle = slice(45, 55)
    assert all(
        edge.any() for edge in (yellow[:15, middle], yellow[85:, middle], yellow[middle, :15], yellow[middle, 85:])
    )
