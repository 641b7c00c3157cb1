"""Image sources: folders of files, HR/LR pairs, photographs of scikit-image, and generated dead leaves."""
