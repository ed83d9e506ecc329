"""Line scratches along the film: found over the whole frame, told from the picture, repaired."""
