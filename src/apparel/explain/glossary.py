"""The metrics explained in plain language, with an example each."""

METRICS_EXPLAINED: tuple[tuple[str, str], ...] = tuple(
    {
        "accuracy": "The share of all images that are classified correctly. "
        "If 90 of 100 garments get the right class, the accuracy is 90 %.",
        "balanced accuracy": "The mean recall of the classes, so that each counts the same however "
        "many images it has. If 90 of 100 shirts are recognised but only 5 of 10 bags, the "
        "accuracy is 86 % and the balanced accuracy 70 %.",
        "precision": "How far you can trust the model when it predicts a class. "
        "If it predicts 'Coat' for 10 images and 8 are coats, the precision of Coat is 80 %.",
        "recall": "How much of a class the model finds. "
        "If there are 20 coats and it recognises 15 of them, the recall of Coat is 75 %.",
        "F1": "The harmonic mean of precision and recall: high only if both are. Predicting "
        "'Shirt' for all images finds every shirt, but if one in ten is a shirt, its F1 is 18 %.",
        "top-2 accuracy": "The share of all images whose true class is among the two most "
        "probable. A shirt given 50 % for 'Coat', 40 % for 'Shirt' and 10 % for 'Bag' is "
        "misclassified, but counts as right here.",
        "log loss": "The negative logarithm of the true class's probability, as a mean over all "
        "images: 0 is perfect, and training lowers it. A sandal given 90 % for 'Sandal' counts "
        "0.1, one given 1 % counts 4.6: confident mistakes cost most.",
        "Brier score": "The squared distance of the probabilities from the truth, summed over the "
        "classes, as a mean over all images. 0 is perfect, 2 the worst. A coat given "
        "80 % for 'Coat' and 20 % for 'Shirt' counts 0.2² + 0.2² = 0.08.",
        "calibration error": "The mean distance between confidence and accuracy among images of "
        "similar confidence: 0 is perfect. If the model is 90 % confident of each of 100 images "
        "and classifies 85 of them correctly, these count 0.05.",
        "confidence interval": "A range that holds the true value in 95 of 100 such tests, as "
        "other test images would give other values. If 90 of 100 images are classified correctly, "
        "the accuracy is 90 %, and its interval reaches from 82.6 % to 94.5 %.",
        "abstaining": "Not answering where the confidence is below a threshold, chosen on "
        "validation images. If the model answers 90 of 100 images and classifies 88 of these "
        "correctly, it abstains from 10 % and is right in 97.8 % of its answers.",
        "confusion matrix": "A table with a row for each true class and a column for each "
        "predicted class. Row Shirt, column Coat counts the shirts predicted as coats; the "
        "diagonal counts the correct predictions.",
        "precision and recall during training": "The training curves show Keras's own: over all "
        "classes together, counting only predictions above 50 % confidence, so a boot recognised "
        "with 45 % counts as missed. The test metrics are macro averages instead: computed for "
        "each class, at any confidence, then averaged over the classes.",
    }.items()
)
