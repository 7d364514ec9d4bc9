"""What the metrics mean, in plain language, with an example each."""

METRICS_EXPLAINED: tuple[tuple[str, str], ...] = tuple(
    {
        "accuracy": "The share of all images whose class was named correctly. "
        "If 90 of 100 garments get the right name, the accuracy is 90 %.",
        "precision": "How far you can trust a name once the model gives it. "
        "If it calls 10 images 'Coat' and 8 of them are coats, the precision of Coat is 80 %.",
        "recall": "How much of a class the model finds. "
        "If there are 20 coats and it recognises 15 of them, the recall of Coat is 75 %.",
        "F1": "The harmonic mean of precision and recall: high only if both are. Calling all "
        "images 'Shirt' finds every shirt, but if one in ten is a shirt, its F1 is only 18 %.",
        "log loss": "How little confidence the true classes got, as a mean over all images: 0 is "
        "perfect, and training makes it smaller. A sandal given 90 % for 'Sandal' counts 0.1, "
        "one given 1 % counts 4.6: being sure and wrong costs most.",
        "confusion matrix": "A table with a row for each true class and a column for each "
        "predicted class. Row Shirt, column Coat counts the shirts that were taken for coats; "
        "the diagonal counts what was right.",
        "precision and recall during training": "The training curves show Keras's own: over all "
        "classes together, counting only predictions above 50 % confidence, so a boot named with "
        "45 % counts as missed. The test figures are the macro average instead: each class for "
        "itself, whatever the confidence, then the mean over the classes.",
    }.items()
)
