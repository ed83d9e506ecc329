"""The `segnet` backend: restoration as a classification of every pixel into its grey level."""
