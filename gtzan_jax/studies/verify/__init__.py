"""Every stored number, computed anew."""
