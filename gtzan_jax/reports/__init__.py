"""Reports: from scores to JSON, HTML, Markdown and figures."""
