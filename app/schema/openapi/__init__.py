"""What REST takes and tells, written down once: for its doors to hold to, and for whoever reads the document."""
