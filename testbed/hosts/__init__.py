"""The hosts of the testbed, one program each."""
