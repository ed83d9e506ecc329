"""Training networks on pairs of a scan and its retouched version."""
