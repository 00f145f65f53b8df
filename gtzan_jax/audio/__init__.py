"""Audio: files, decoding, distortions."""
