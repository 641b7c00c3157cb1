"""Meeting the operators: what each makes of a few numbers, in text, and of a photograph, in a picture."""
