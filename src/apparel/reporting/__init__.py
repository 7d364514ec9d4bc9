"""Records to text, figures, HTML and a model card."""
