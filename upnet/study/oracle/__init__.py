"""Oracle: the best PSNR that a linear upsampler can reach, from its exact least-squares optimum, without training.

`structures` lists the upsamplers and measures their linear responses, `moments` holds the least-squares problem of the
training images, `experiment` fits and evaluates every structure, and `tables` prints the result.

Biases are fixed at 0.
"""
