"""Text and figures that show what the upsampling operators compute, for `upnet operators` and the documentation."""
