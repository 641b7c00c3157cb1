"""Picture files with all that belongs to them: bits, alpha, colour profile, EXIF."""
