# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Teach a computer to recognise clothes
#
# In this notebook you train a small neural network on 60,000 pictures of clothes, test it on
# 10,000 pictures that it has never seen, and find out where it goes wrong and why.
#
# The first cell installs `apparel` where it is missing. In Colab, upload the project's folder, or
# clone its repository, and change into the folder `notebooks` first.

# %%
import importlib.util

if importlib.util.find_spec("apparel") is None:
    # %pip install --quiet ..

# %% [markdown]
# `LIMIT = None` uses every picture, which takes some minutes. With `LIMIT = 2000` you are through
# in seconds, with a weaker network.

# %%
from apparel import ApparelClassifier

LIMIT = None
EPOCHS = 15

classifier = ApparelClassifier(limit=LIMIT, epochs=EPOCHS, seed=0)

# %% [markdown]
# ## 1. The pictures
#
# Fashion-MNIST has grey pictures of 28 × 28 pixels in ten classes. A pixel is a number from 0
# (black) to 255 (white), and a label is a number from 0 to 9 that stands for a class.

# %%
classifier.import_data()
print("one picture:", classifier.train_images[0].shape, classifier.train_images.dtype)
print("its label:  ", classifier.train_labels[0])
print("classes:    ", ", ".join(classifier.labels))

# %% [markdown]
# ## 2. Prepare them
#
# Networks learn best from small numbers, so pixels are scaled to 0-1. Each label becomes a row of
# ten numbers with a single 1 (*one-hot*): that is what the network's ten outputs are compared with.

# %%
classifier.prepare_data()
print("pixels now:", classifier.train_images.min(), "to", classifier.train_images.max())
print("label now: ", classifier.train_labels[0])

# %% [markdown]
# ## 3. Build the network
#
# - **Conv2D** slides small 3 × 3 windows over the picture and learns what to look for: edges first,
#   then shapes made of edges.
# - **MaxPooling2D** keeps the strongest answer of each 2 × 2 block: a quarter of the numbers, and
#   small shifts matter less.
# - **Dropout** switches off a random quarter of the values while training, so that the network
#   does not lean on single details.
# - **Dense** layers combine everything; the last one gives a probability for each class.

# %%
classifier.create_model()
classifier.setup_model();

# %% [markdown]
# ## 4. Train it
#
# One *epoch* shows the network every training picture once. A tenth of the training pictures is
# held out: `val_accuracy` is measured on those, and tells whether what was learnt carries over.

# %%
history = classifier.run_training()

# %% [markdown]
# ## 5. Test it
#
# The test pictures were not touched so far, and they are scored once. Every figure comes with an
# interval: another 10,000 pictures would have given a slightly different figure, most likely one
# inside it.

# %%
evaluation = classifier.test_model()

# %% [markdown]
# **Question.** Find the row *Shirt* in the confusion matrix. What are shirts taken for, and would
# you have known better from 28 × 28 grey pixels?
#
# **Question.** The last picture compares how sure the computer is with how often it is right. Where
# it says 70 %, in how many of 100 cases is it right? And if it may say "I do not know" to one picture
# in ten, how good are the other answers?
#
# ## 6. What do these figures mean?

# %%
findings = classifier.explain_results()

# %% [markdown]
# ## 7. Look at single pictures
#
# The bars show how sure the network is. Look for pictures where it is wrong *and* sure.

# %%
figure = classifier.visualize_predictions(sample_indices=[0, 12, 42, 100])

# %% [markdown]
# These are the pictures it got wrong while being most sure. The bright spots are the pixels that
# speak for the wrong name: *Grad-CAM* asks where the network found its features, *occlusion* covers a
# square and watches how much less sure it becomes.
#
# **Question.** Choose a picture. Does the label fit it? Would you have been wrong there, too?

# %%
figure = classifier.show_mistakes(count=6)

# %% [markdown]
# ## 8. Keep it
#
# The saved file opens in Keras anywhere, without `apparel`.

# %%
path = classifier.export_model("refactored_fashion_cnn.keras")

# %% [markdown]
# ## Now you
#
# 1. Do what the last line of section 6 proposes. Does it help?
# 2. Train again with `seed=1`. How far apart are the two accuracies, and do the intervals overlap?
# 3. Set `LIMIT = 2000`. What happens to the gap between training and validation accuracy?
