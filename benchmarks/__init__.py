"""What Gatebook claims about speed, measured against a peer or a ceiling in the same run: `make bench`."""
