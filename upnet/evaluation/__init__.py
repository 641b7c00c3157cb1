"""Evaluation: PSNR and SSIM of a network on a data set, results files, tables, figures and TensorBoard."""
