"""The audit: what is wrong with a set of pictures, found before it costs a day.

Letters: E is the picture that is looked for and T the one it is looked for in; h, w are the sides of a thumbnail.
"""
