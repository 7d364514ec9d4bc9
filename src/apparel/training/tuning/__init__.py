"""The search for better hyperparameters: its space, its trials, and Optuna, which samples them."""
