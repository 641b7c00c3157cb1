"""Image files: reading, writing, metadata, colour conversion and MATLAB-compatible resizing."""
