"""Image sources: folders of files, HR/LR pairs, photographs of scikit-image, and synthetic dead leaves."""
