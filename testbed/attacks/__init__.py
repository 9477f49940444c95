"""The attacks of the testbed, one program each; episode.py is the log they write."""
