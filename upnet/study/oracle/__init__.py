"""The best that linear upsampling can do: every structure's exact least-squares optimum, in closed form.

`structures` lists them, `response` measures what a real operator does with one LR pixel, `moments` gathers what the
pictures say, and `experiment` puts the optimum into the operator and scores it as any network is scored.

Biases stay 0: a linear operator has none, and the optimum hardly would.
"""
