"""What became of an export, in lines."""

from apparel.core.records import Exported


def export_lines(exported: Exported) -> str:
    """Say what was written, and how far it is from the model."""
    found = exported.comparison
    return (
        f"{exported.size / 1e6:,.2f} MB, {exported.format}, {exported.precision}, read back in "
        f"{found.runtime} {found.runtime_version}\n"
        f"On {found.images:,} images: the model's class for {found.same_class:.2%}, accuracy "
        f"{found.accuracy:.2%} (the model's: {found.model_accuracy:.2%}), probabilities within "
        f"{found.largest_difference:.1g}"
    )
