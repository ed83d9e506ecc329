"""Which scan belongs to which ground truth, and how their pixels are read."""
