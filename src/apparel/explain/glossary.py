"""What the metrics mean, in plain language, with an example each."""

METRICS_EXPLAINED: tuple[tuple[str, str], ...] = tuple(
    {
        "accuracy": "The share of all images whose class was named correctly. "
        "If 90 of 100 garments get the right name, the accuracy is 90 %.",
        "balanced accuracy": "The mean recall of the classes, so that each counts the same however "
        "many images it has. If 90 of 100 shirts are recognised but only 5 of 10 bags, the "
        "accuracy is 86 % and the balanced accuracy 70 %.",
        "precision": "How far you can trust a name once the model gives it. "
        "If it calls 10 images 'Coat' and 8 of them are coats, the precision of Coat is 80 %.",
        "recall": "How much of a class the model finds. "
        "If there are 20 coats and it recognises 15 of them, the recall of Coat is 75 %.",
        "F1": "The harmonic mean of precision and recall: high only if both are. Calling all "
        "images 'Shirt' finds every shirt, but if one in ten is a shirt, its F1 is only 18 %.",
        "top-2 accuracy": "The share of all images whose true class is among the two that the "
        "model finds most probable. A shirt given 50 % for 'Coat', 40 % for 'Shirt' and 10 % for "
        "'Bag' is named wrongly, but counts as right here.",
        "log loss": "How little confidence the true classes got, as a mean over all images: 0 is "
        "perfect, and training makes it smaller. A sandal given 90 % for 'Sandal' counts 0.1, "
        "one given 1 % counts 4.6: being sure and wrong costs most.",
        "Brier score": "How far the confidences are from the truth: their squared distances, added "
        "up over the classes, as a mean over all images. 0 is perfect, 2 the worst. A coat given "
        "80 % for 'Coat' and 20 % for 'Shirt' counts 0.2² + 0.2² = 0.08.",
        "calibration error": "How far confidence and accuracy lie apart, on average, among images "
        "of about the same confidence: 0 is perfect. If the model is 90 % sure of each of 100 "
        "images and names 85 of them correctly, these count 0.05.",
        "confidence interval": "The range that holds the true value in 95 of 100 such tests, for "
        "other test images would give other figures. If 90 of 100 images are named correctly, the "
        "accuracy is 90 %, but its interval reaches from 82.6 % to 94.5 %.",
        "abstaining": "Not answering where the confidence is below a threshold that was chosen on "
        "validation images. If the model answers 90 of 100 images and names 88 of these "
        "correctly, it abstains from 10 % and is right in 97.8 % of its answers.",
        "confusion matrix": "A table with a row for each true class and a column for each "
        "predicted class. Row Shirt, column Coat counts the shirts that were taken for coats; "
        "the diagonal counts what was right.",
        "precision and recall during training": "The training curves show Keras's own: over all "
        "classes together, counting only predictions above 50 % confidence, so a boot named with "
        "45 % counts as missed. The test figures are the macro average instead: each class for "
        "itself, whatever the confidence, then the mean over the classes.",
    }.items()
)
