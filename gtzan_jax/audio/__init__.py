"""Sound: files, decoding, distortions."""
