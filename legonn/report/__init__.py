"""Pages and pictures, made from results and from the design."""
