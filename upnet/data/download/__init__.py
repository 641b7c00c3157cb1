"""Get published sets: fetch archives, check them, unpack the pictures in them."""
